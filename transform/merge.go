package transform

import (
	"context"
	"io"

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

// Merge copies an archive in canonical form with one of its files merged strategically over a base. It is Run with nothing
// else in the plan.
func Merge(ctx context.Context, dst io.Writer, src io.Reader, m Merger, l Limits) (Stats, error) {
	return Run(ctx, dst, src, Plan{Merge: &m}, l)
}

func (m *Merger) fail(err error) error { return &RuleError{Rule: m.Rule, File: m.File, Err: err} }

func (m *Merger) merge(content []byte) ([]byte, error) {
	out, err := patch.Merge(m.Base, content)
	if err != nil {
		return nil, m.fail(err)
	}
	return out, nil
}
