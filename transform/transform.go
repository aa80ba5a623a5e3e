// Package transform puts values into the files of an archive.
//
// What is put where is a list of Substitutions, made from the rules of a component by the packages
// localize and configure, and at most one Merger. This package only carries them out; it streams the
// archive and holds no more than the one file in memory that is being edited.
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

// Plan is what is done to the files of an archive.
type Plan struct {
	// Substitutions come first, those of one file in their order.
	Substitutions []Substitution
	// Merge comes after them. It may be nil.
	Merge *Merger
	// Root is the folder that everything in the archive lies in, where files may be named without it: that of a
	// packed Helm chart, in which podinfo/values.yaml and values.yaml are the same. It may be empty.
	Root string
	// Turn is waited for before a large file is edited. Those who run plans at once share one; nil is none.
	Turn *Turn
}

// Apply copies an archive in canonical form and carries out the substitutions, those of one file in
// their order. It is Run with nothing else in the plan.
func Apply(ctx context.Context, dst io.Writer, src io.Reader, subs []Substitution, l Limits) (Stats, error) {
	return Run(ctx, dst, src, Plan{Substitutions: subs}, l)
}

// Run copies an archive in canonical form and carries out the plan. The entries keep their order, so
// that a packed Helm chart stays one. On any error dst holds an incomplete archive that must be
// thrown away.
//
// Errors are *RuleError, which wraps those of packages yamledit and patch, that of the context, or
// those of archive.Copy.
func Run(ctx context.Context, dst io.Writer, src io.Reader, p Plan, l Limits) (Stats, error) {
	e, err := newEditor(ctx, p)
	if err != nil {
		return Stats{}, err
	}
	stats, err := archive.Copy(dst, &stopper{ctx: ctx, src: src}, e, l)
	if rule := (*RuleError)(nil); errors.As(err, &rule) {
		return stats, rule // it names the file already
	}
	if err != nil {
		return stats, err
	}
	return stats, e.missing()
}

// File carries out what the plan has for one file, and returns its content unchanged if that is nothing.
func (p Plan) File(ctx context.Context, file string, content []byte) ([]byte, error) {
	e, err := newEditor(ctx, p)
	if err != nil || !e.Wants(file) {
		return content, err
	}
	return e.Edit(file, content)
}

// editor is the archive.Editor of a plan.
type editor struct {
	ctx   context.Context //nolint:containedctx // an archive.Editor has no other way to know it
	subs  map[string][]Substitution
	order []string // the files in the order of their first substitution
	merge *Merger
	into  string // the file that is merged
	done  map[string]bool
	there listing
	turn  *Turn
}

func newEditor(ctx context.Context, p Plan) (*editor, error) {
	e := &editor{ctx: ctx, subs: map[string][]Substitution{}, merge: p.Merge, done: map[string]bool{}, turn: p.Turn}
	for _, s := range p.Substitutions {
		if _, err := yamledit.ParsePath(s.Path); err != nil {
			return nil, s.fail(err)
		}
		file, err := p.cleanFile(s.File)
		if err != nil {
			return nil, s.fail(err)
		}
		if _, ok := e.subs[file]; !ok {
			e.order = append(e.order, file)
		}
		e.subs[file] = append(e.subs[file], s)
	}
	if p.Merge == nil {
		return e, nil
	}
	var err error
	if e.into, err = p.cleanFile(p.Merge.File); err != nil {
		return nil, p.Merge.fail(err)
	}
	return e, nil
}

// cleanFile brings the file of a rule into the form of the paths in the archive.
func (p Plan) cleanFile(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(name, "/"))
	if clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("the file must be a path within the source")
	}
	if first, _, _ := strings.Cut(clean, "/"); p.Root != "" && first != p.Root {
		return p.Root + "/" + clean, nil
	}
	return clean, nil
}

// Wants implements archive.Editor.
func (e *editor) Wants(file string) bool {
	e.there.add(file, e.concerns)
	return e.concerns(file)
}

func (e *editor) concerns(file string) bool {
	return len(e.subs[file]) > 0 || e.merge != nil && file == e.into
}

// Edit implements archive.Editor.
func (e *editor) Edit(file string, content []byte) ([]byte, error) {
	e.done[file] = true
	done, err := e.turn.Take(e.ctx, len(content)+e.base(file))
	if err != nil {
		return nil, err
	}
	defer done()
	content, err = e.substitute(e.subs[file], content)
	if err != nil || e.merge == nil || file != e.into {
		return content, err
	}
	return e.merge.merge(content)
}

// base is how much a file is merged over.
func (e *editor) base(file string) int {
	if e.merge == nil || file != e.into {
		return 0
	}
	return len(e.merge.Base)
}

func (e *editor) substitute(subs []Substitution, content []byte) ([]byte, error) {
	if len(subs) == 0 {
		return content, nil
	}
	edits := make([]yamledit.Edit, len(subs))
	for i, s := range subs {
		edits[i] = yamledit.Edit{Path: s.Path, Value: s.Value, Document: s.Document, Selector: s.Selector}
	}
	out, err := yamledit.Apply(e.ctx, content, edits)
	if err == nil {
		return out, nil
	}
	if stopped := e.ctx.Err(); stopped != nil {
		return nil, stopped // not the fault of a rule
	}
	if failed := (*yamledit.EditError)(nil); errors.As(err, &failed) {
		return nil, subs[failed.Index].fail(failed.Err)
	}
	return nil, subs[0].fail(err)
}

// missing returns an error for the first rule whose file did not come by.
func (e *editor) missing() error {
	for _, file := range e.order {
		if !e.done[file] {
			return e.subs[file][0].fail(e.there.lacks(file))
		}
	}
	if e.merge != nil && !e.done[e.into] {
		return e.merge.fail(e.there.lacks(e.into))
	}
	return nil
}

// stopper ends a source with its context.
type stopper struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to know it
	src io.Reader
}

func (s *stopper) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.src.Read(p)
}
