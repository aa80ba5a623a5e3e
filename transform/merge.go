package transform

import (
	"context"
	"errors"
	"io"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/patch"
)

// Merger merges one file of an archive over a file from elsewhere.
type Merger struct {
	// Rule names what asks for it, such as "patchStrategicMerge".
	Rule string
	// File is the path of the file in the archive. It is the patch, and the result takes its place.
	File string
	// Base is the content of the file that it is merged over.
	Base []byte
}

// Merge copies an archive in canonical form with one of its files merged strategically over a base. On
// any error dst holds an incomplete archive that must be thrown away.
//
// Errors are *RuleError, which wraps those of package patch, that of the context, or those of
// archive.Copy.
func Merge(ctx context.Context, dst io.Writer, src io.Reader, m Merger, l Limits) (Stats, error) {
	file, err := cleanFile(m.File)
	if err != nil {
		return Stats{}, m.fail(err)
	}
	e := &mergeEditor{merger: m, file: file}
	stats, err := archive.Copy(dst, &stopper{ctx: ctx, src: src}, e, l)
	if rule := (*RuleError)(nil); errors.As(err, &rule) {
		return stats, rule // it names the file already
	}
	if err == nil && !e.done {
		err = m.fail(e.there.lacks(file))
	}
	return stats, err
}

func (m Merger) fail(err error) error { return &RuleError{Rule: m.Rule, File: m.File, Err: err} }

// mergeEditor is the archive.Editor of a Merger.
type mergeEditor struct {
	merger Merger
	file   string
	done   bool
	there  listing
}

// Wants implements archive.Editor.
func (e *mergeEditor) Wants(file string) bool {
	e.there.add(file, func(wanted string) bool { return wanted == e.file })
	return file == e.file
}

// Edit implements archive.Editor.
func (e *mergeEditor) Edit(_ string, content []byte) ([]byte, error) {
	e.done = true
	out, err := patch.Merge(e.merger.Base, content)
	if err != nil {
		return nil, e.merger.fail(err)
	}
	return out, nil
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
