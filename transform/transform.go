// Package transform puts values into the files of an archive.
//
// What is put where is a list of Substitutions, made from the rules of a component by the packages
// localize and configure. This package only carries them out; it streams the archive and holds
// no more than the one file in memory that is being edited.
package transform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// Substitution puts one value into one file.
type Substitution struct {
	// Rule names the rule that it comes from, such as "configuration rule 3".
	Rule string
	// File is the path of the file in the archive, as it is there: in a Helm chart the files are in a
	// folder named after the chart, such as podinfo/values.yaml.
	File string
	// Path is where the value goes in the file, in the grammar of yamledit.ParsePath.
	Path string
	// Value is what is put there.
	Value any
	// Document and Selector choose the document of the file, as in yamledit.Edit.
	Document *int
	Selector *yamledit.Selector
}

// Limits bounds what the archive may cost.
type Limits = archive.Limits

// Stats tells what Apply did.
type Stats = archive.Stats

// ErrNoFile says that the file of a rule is not in the archive, or is no regular file there.
var ErrNoFile = errors.New("not a regular file in the source")

// RuleError says which rule could not be carried out.
type RuleError struct {
	// Rule, File and Path are those of the Substitution. A merge has no path.
	Rule, File, Path string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *RuleError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s: file %q: %v", e.Rule, e.File, e.Err)
	}
	return fmt.Sprintf("%s: file %q, path %q: %v", e.Rule, e.File, e.Path, e.Err)
}

// Unwrap makes errors.Is see the reason.
func (e *RuleError) Unwrap() error { return e.Err }

func (s Substitution) fail(err error) error {
	return &RuleError{Rule: s.Rule, File: s.File, Path: s.Path, Err: err}
}

// Apply copies an archive in canonical form and carries out the substitutions, those of one file in
// their order. The entries keep their order, so that a packed Helm chart stays one. On any error dst
// holds an incomplete archive that must be thrown away.
//
// Errors are *RuleError, that of the context, or those of archive.Copy.
func Apply(ctx context.Context, dst io.Writer, src io.Reader, subs []Substitution, l Limits) (Stats, error) {
	e, err := newEditor(subs)
	if err != nil {
		return Stats{}, err
	}
	e.apply = func(content []byte, edits []yamledit.Edit) ([]byte, error) {
		out, err := yamledit.Apply(ctx, content, edits)
		if stopped := ctx.Err(); err != nil && stopped != nil {
			return nil, stopped // not the fault of a rule
		}
		return out, err
	}
	stats, err := archive.Copy(dst, src, e, l)
	if rule := (*RuleError)(nil); errors.As(err, &rule) {
		return stats, rule // it names the file already
	}
	if err != nil {
		return stats, err
	}
	return stats, e.missing()
}

// editor is the archive.Editor of a list of substitutions.
type editor struct {
	apply func(content []byte, edits []yamledit.Edit) ([]byte, error)
	subs  map[string][]Substitution
	order []string // the files in the order of their first substitution
	done  map[string]bool
	there listing
}

func newEditor(subs []Substitution) (*editor, error) {
	e := &editor{subs: map[string][]Substitution{}, done: map[string]bool{}}
	for _, s := range subs {
		if _, err := yamledit.ParsePath(s.Path); err != nil {
			return nil, s.fail(err)
		}
		file, err := cleanFile(s.File)
		if err != nil {
			return nil, s.fail(err)
		}
		if _, ok := e.subs[file]; !ok {
			e.order = append(e.order, file)
		}
		e.subs[file] = append(e.subs[file], s)
	}
	return e, nil
}

// cleanFile brings the file of a rule into the form of the paths in an archive.
func cleanFile(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(name, "/"))
	if clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("the file must be a path within the source")
	}
	return clean, nil
}

// Wants implements archive.Editor.
func (e *editor) Wants(file string) bool {
	e.there.add(file, func(wanted string) bool { return len(e.subs[wanted]) > 0 })
	return len(e.subs[file]) > 0
}

// Edit implements archive.Editor.
func (e *editor) Edit(file string, content []byte) ([]byte, error) {
	e.done[file] = true
	subs := e.subs[file]
	edits := make([]yamledit.Edit, len(subs))
	for i, s := range subs {
		edits[i] = yamledit.Edit{Path: s.Path, Value: s.Value, Document: s.Document, Selector: s.Selector}
	}
	out, err := e.apply(content, edits)
	if failed := (*yamledit.EditError)(nil); errors.As(err, &failed) {
		return nil, subs[failed.Index].fail(failed.Err)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, err
	}
	if err != nil {
		return nil, subs[0].fail(err)
	}
	return out, nil
}

// missing returns an error for the first rule whose file did not come by.
func (e *editor) missing() error {
	for _, file := range e.order {
		if !e.done[file] {
			return e.subs[file][0].fail(e.there.lacks(file))
		}
	}
	return nil
}

// listing remembers some of the files that are there, for messages.
type listing struct {
	files []string
	more  bool
	near  map[string]string // wanted files that are one folder deeper
}

func (l *listing) add(file string, wanted func(string) bool) {
	const most = 20
	if len(l.files) < most {
		l.files = append(l.files, file)
	} else {
		l.more = true
	}
	if _, below, ok := strings.Cut(file, "/"); ok && wanted(below) && l.near[below] == "" {
		if l.near == nil {
			l.near = map[string]string{}
		}
		l.near[below] = file
	}
}

// lacks says that a file is not there, and what is.
func (l *listing) lacks(file string) error {
	if near := l.near[file]; near != "" {
		return fmt.Errorf("%w, where it is %q: name the file with its folder", ErrNoFile, near)
	}
	there := strings.Join(l.files, ", ")
	switch {
	case l.more:
		there += ", ..."
	case there == "":
		there = "nothing"
	}
	return fmt.Errorf("%w; it holds: %s", ErrNoFile, there)
}
