package ocm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// defaultCreator is what the manifest names as the tool that made it.
const defaultCreator = "ocm-operator"

// BlobSource provides the local blobs of a component version. Where a local blob
// is the manifest of an OCI artifact, it provides all of the artifact.
type BlobSource interface {
	// OpenBlob opens a blob and returns its size. It may be called several
	// times for one blob.
	OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error)
}

// PutOptions configure how a component version is written.
type PutOptions struct {
	// Overwrite allows replacing a version that has other content.
	Overwrite bool
	// Creator is the name of the tool that made the version, ocm-operator if
	// empty.
	Creator string
}

// Put writes a component version and returns the digest of its manifest, which
// is the same for equal input. The local blobs are taken from the source, which
// may be nil if there are none. A version that is there already is left alone
// if it is equal, and is ErrExists otherwise.
func (r *Repository) Put(ctx context.Context, d *descriptor.Descriptor, blobs BlobSource, o PutOptions) (digest.Digest, error) {
	if err := r.mapping.checkWrite(); err != nil {
		return "", err
	}
	repo, err := r.of(d.Component.Name)
	if err != nil {
		return "", err
	}
	if o.Creator == "" {
		o.Creator = defaultCreator
	}
	local, artifacts, err := localContent(ctx, d, blobs)
	if err != nil {
		return "", fmt.Errorf("put %s:%s: %w", d.Component.Name, d.Component.Version, err)
	}
	pack, err := oci.Pack(d, local, artifacts, o.Creator)
	if err != nil {
		return "", err
	}
	// Only bytes are compared: what a registry says of them may be wrong, or of
	// another algorithm.
	existing, err := repo.Manifest(ctx, pack.Tag())
	switch {
	case err == nil && digest.FromBytes(existing.Bytes) == pack.Digest:
		return pack.Digest, nil
	case err == nil && !o.Overwrite:
		return "", fmt.Errorf("%w: %s:%s in %s has other content; publish a new version or allow overwriting",
			ErrExists, d.Component.Name, d.Component.Version, r.URL())
	case err != nil && !errors.Is(err, ErrNotFound):
		return "", err
	}
	if err := oci.Publish(ctx, repo, pack); err != nil {
		return "", err
	}
	return pack.Digest, nil
}
