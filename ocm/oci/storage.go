package oci

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Storage is one repository of manifests and blobs: a *Repository of a
// registry, or a repository in an archive. Its errors are those of this
// package.
type Storage interface { //nolint:interfacebloat // a repository is what all of this can be done with
	fmt.Stringer

	// Location returns where the repository is. The host is empty if it is in
	// no registry.
	Location() Location
	// Tags lists all tags. It is ErrNotFound if there is no such repository.
	Tags(ctx context.Context) ([]string, error)
	// Resolve returns the digest a tag points to.
	Resolve(ctx context.Context, tag string) (digest.Digest, error)
	// Manifest reads the manifest of a tag or a digest.
	Manifest(ctx context.Context, ref string) (*Manifest, error)
	// Blob opens a blob, whose reader compares size and digests at the end. A
	// size below zero is not known; the returned one may be.
	Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error)
	// Has reports whether a blob is there, and of the size that it must have. One
	// that is not there is no error.
	Has(ctx context.Context, desc ocispec.Descriptor) (bool, error)
	// HasManifest reports whether a manifest is there.
	HasManifest(ctx context.Context, d digest.Digest) (bool, error)
	// PushBlob stores a blob unless it is there already. The content may be
	// opened several times; it is compared with its digest unless its reader
	// comes from Verify and does that.
	PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error
	// PushManifest stores a manifest and lets the tag point to it; the tag may
	// be the digest of the manifest.
	PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error)
}

var _ Storage = (*Repository)(nil)

// Blobs is the part of a Storage that blobs are copied from.
type Blobs interface {
	fmt.Stringer

	// Blob is as that of Storage.
	Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error)
}

// Manifests is the part of a Storage that manifests are read from.
type Manifests interface {
	fmt.Stringer

	// Manifest is as that of Storage.
	Manifest(ctx context.Context, ref string) (*Manifest, error)
}

// SmallBlob reads a whole blob that is known to be small.
func SmallBlob(ctx context.Context, s Storage, desc ocispec.Descriptor, limit int64) ([]byte, error) {
	object := fmt.Sprintf("blob %s of %s", desc.Digest, s)
	if desc.Size > limit {
		return nil, tooLarge(object, limit)
	}
	ctx, watch := NewWatch(ctx, Patience)
	defer watch.End()
	rc, _, err := s.Blob(ctx, desc.Digest, desc.Size)
	if err != nil {
		return nil, err
	}
	rc = watch.Over(rc)
	defer rc.Close()
	return readAll(rc, object, limit)
}
