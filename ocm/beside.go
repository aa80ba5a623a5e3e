package ocm

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Beside returns the repository with blobs that it lacks read from the same place
// in another one. An archive that was made for who has something already leaves
// that out, and is whole only together with what they have. What is tagged, and
// all manifests, are those of the repository itself.
func (r *Repository) Beside(other *Repository) *Repository {
	both := *r
	both.place = beside{place: r.place, other: other.place}
	return &both
}

// beside is a place that lacks what another one has.
type beside struct {
	place

	other place
}

// Repository implements place.
func (b beside) Repository(path string) (oci.Storage, error) {
	own, err := b.place.Repository(path)
	if err != nil {
		return nil, err
	}
	other, err := b.other.Repository(path)
	if err != nil {
		return nil, err
	}
	return &completed{Storage: own, other: other}, nil
}

// completed is a repository that lacks what another one has.
type completed struct {
	oci.Storage

	other oci.Storage
}

// Blob implements oci.Storage. If neither has the blob, the error is that of the
// repository itself, which the reader knows of.
func (c *completed) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	rc, n, err := c.Storage.Blob(ctx, d, size, also...)
	if !errors.Is(err, oci.ErrNotFound) {
		return rc, n, err
	}
	rc, n, elsewhere := c.other.Blob(ctx, d, size, also...)
	if errors.Is(elsewhere, oci.ErrNotFound) {
		return nil, 0, err
	}
	return rc, n, elsewhere
}
