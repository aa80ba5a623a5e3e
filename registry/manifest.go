package registry

import (
	"bytes"
	"context"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	// maxReads bounds the manifests that are read and proven at once, which takes as much memory as they have bytes, and
	// waits for no client.
	maxReads = 32
	// maxHeld is how much of a manifest is kept in memory while a client takes it.
	maxHeld = 32 << 10
)

// manifest returns what a reference points at. It is in memory if it is small; of a large one many slow clients would keep as
// many copies.
func (h *Handler) manifest(ctx context.Context, repo *store.Repository, ref string) (ocispec.Descriptor, io.ReadSeeker, error) {
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return ocispec.Descriptor{}, nil, context.Cause(ctx)
	}
	desc, body, err := repo.Manifest(ctx, ref)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if len(body) <= maxHeld {
		return desc, bytes.NewReader(body), nil
	}
	return desc, io.NewSectionReader(&stored{repo, desc.Digest}, 0, desc.Size), nil
}

// stored reads a manifest from the store, part by part.
type stored struct {
	repo   *store.Repository
	digest digest.Digest
}

// ReadAt implements io.ReaderAt.
func (s *stored) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.repo.ReadManifestAt(s.digest, p, off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}
