package snapshot

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNotFound is matched by every error that says that a manifest, tag or blob is not in a
// repository.
var ErrNotFound = errors.New("not found in the snapshot registry")

// ErrStorageFull is matched by every error that says that there is no room for what is to be written. It passes when there is.
var ErrStorageFull = errors.New("the snapshot registry has no room")

// Store hands out the repositories that snapshots are kept in.
type Store interface {
	// Repository returns the repository of that name, whether or not it holds content yet.
	// It fails only when the name is not a valid repository name.
	Repository(name string) (Repository, error)
}

// Repository is what a snapshot needs of one OCI repository. An implementation reports
// missing content with an error that matches ErrNotFound.
type Repository interface {
	// Stage begins the upload of one blob.
	Stage(ctx context.Context) (Stage, error)
	// PutManifest stores a manifest under its digest and the tags. Every blob that it names
	// must be in the repository already.
	PutManifest(ctx context.Context, mediaType string, body []byte, tags ...string) (ocispec.Descriptor, error)
	// Manifest reads a manifest by tag or digest.
	Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error)
	// OpenBlob opens a blob of the repository and tells its size.
	OpenBlob(ctx context.Context, dgst digest.Digest) (io.ReadCloser, int64, error)
	// StatBlob tells the size of a blob of the repository.
	StatBlob(ctx context.Context, dgst digest.Digest) (int64, error)
	// DeleteManifest removes a manifest and the tags that point at it. Removing what is not
	// there is an error that matches ErrNotFound.
	DeleteManifest(ctx context.Context, dgst digest.Digest) error
}

// Stage is one blob on its way into a repository. Nobody sees it before Commit returned
// without error.
type Stage interface {
	io.Writer
	// Commit makes the blob part of the repository. A want that is not empty has to be the
	// digest of what was written.
	Commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error)
	// Close drops what was not committed. It is safe to call after Commit, and twice.
	Close() error
}
