package ocm

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

var errSkeleton = errors.New("skeleton")

// Sentinels.
var (
	ErrNotFound     = errors.New("not found")
	ErrUnauthorized = errors.New("unauthorized")
)

// DigestMismatchError says that content is not what its digest promised.
type DigestMismatchError struct{ What, Want, Got string }

// Error names both digests.
func (e *DigestMismatchError) Error() string { return e.What + e.Want + e.Got }

// Limits bound what is accepted from a registry; zero fields mean defaults.
type Limits struct {
	ManifestBytes, DescriptorBytes, ConfigBytes int64
	TagPages, Tags                              int
}

// Options configure a repository.
type Options struct {
	Credentials *credentials.Store
	Transport   http.RoundTripper
	UserAgent   string
	Limits      Limits
}

// Repository is a place component versions are stored in.
type Repository struct{}

// Open returns the repository at a URL.
func Open(url string, o Options) (*Repository, error) { return nil, errSkeleton }

// URL returns the normalised URL.
func (r *Repository) URL() string { return "" }

// ListVersions lists versions, newest first.
func (r *Repository) ListVersions(ctx context.Context, component string) ([]string, error) {
	return nil, errSkeleton
}

// Resolve returns the digest of the manifest.
func (r *Repository) Resolve(ctx context.Context, component, version string) (digest.Digest, error) {
	return "", errSkeleton
}

// Get reads a component version.
func (r *Repository) Get(ctx context.Context, component, version string) (*ComponentVersion, error) {
	return nil, errSkeleton
}

// GetPinned reads a component version by digest.
func (r *Repository) GetPinned(ctx context.Context, component, version string, manifest digest.Digest) (*ComponentVersion, error) {
	return nil, errSkeleton
}

// BlobSource provides the local blobs of a component version.
type BlobSource interface {
	OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error)
}

// PutOptions configure Put.
type PutOptions struct{ Overwrite bool }

// Put writes a component version.
func (r *Repository) Put(ctx context.Context, d *descriptor.Descriptor, blobs BlobSource, o PutOptions) (digest.Digest, error) {
	return "", errSkeleton
}

// ComponentVersion is a component version that was read.
type ComponentVersion struct{}

// Descriptor returns the descriptor.
func (v *ComponentVersion) Descriptor() *descriptor.Descriptor { return nil }

// ManifestDigest returns the digest of the manifest.
func (v *ComponentVersion) ManifestDigest() digest.Digest { return "" }

// Component returns the name.
func (v *ComponentVersion) Component() string { return "" }

// Version returns the version.
func (v *ComponentVersion) Version() string { return "" }

// Blob is content being read.
type Blob struct {
	io.ReadCloser

	MediaType string
	Size      int64
	Digest    digest.Digest
}

// ReadOptions bound a read.
type ReadOptions struct{ MaxBytes int64 }

// Open opens the content of a resource.
func (v *ComponentVersion) Open(ctx context.Context, res *descriptor.Resource, o ReadOptions) (*Blob, error) {
	return nil, errSkeleton
}

// ImageReference returns the image reference of a resource.
func (v *ComponentVersion) ImageReference(res *descriptor.Resource) (string, error) {
	return "", errSkeleton
}
