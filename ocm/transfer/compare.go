package transfer

import (
	"bytes"
	"context"
	"errors"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// compare finds out what the target has of the component versions. It is an error
// if that is something else, before anything is written.
func (r *run) compare(ctx context.Context) error {
	return each(ctx, r.options.Concurrency, len(r.versions), func(ctx context.Context, i int) error {
		err := r.compareOne(ctx, r.versions[i])
		r.progress.step()
		return err
	})
}

func (r *run) compareOne(ctx context.Context, n *node) error {
	there, err := r.target.Get(ctx, n.component, n.version)
	if errors.Is(err, ocm.ErrNotFound) {
		n.outcome = Created
		return nil
	}
	if err != nil {
		return err
	}
	n.there = there
	same, err := sameContent(n.found.Descriptor(), there.Descriptor())
	if err != nil {
		return err
	}
	switch {
	case !same && !r.options.Overwrite:
		return &ConflictError{Component: n.component, Version: n.version, Repository: r.target.URL(), Found: there.ManifestDigest(), Why: "its component descriptor differs"}
	case !same:
		n.outcome = Replaced
		return nil
	}
	merged := n.written
	equal, err := equalText(merged, there.Descriptor())
	if err != nil {
		return err
	}
	n.outcome = Merged
	if equal {
		n.outcome, n.target = Unchanged, there.ManifestDigest()
	}
	return nil
}

func sameContent(a, b *descriptor.Descriptor) (bool, error) {
	x, err := normalize.Normalise(a, normalize.V3)
	if err != nil {
		return false, err
	}
	y, err := normalize.Normalise(b, normalize.V3)
	if err != nil {
		return false, err
	}
	return bytes.Equal(x, y), nil
}

func equalText(a, b *descriptor.Descriptor) (bool, error) {
	x, err := descriptor.Encode(a)
	if err != nil {
		return false, err
	}
	y, err := descriptor.Encode(b)
	if err != nil {
		return false, nil //nolint:nilerr // what can't be written is not what is written
	}
	return bytes.Equal(x, y), nil
}
