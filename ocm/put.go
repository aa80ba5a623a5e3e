package ocm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// defaultCreator is what the manifest names as the tool that made it.
const defaultCreator = "ocm-operator"

// defaultMediaType is that of blobs whose access states none.
const defaultMediaType = "application/octet-stream"

// BlobSource provides the local blobs of a component version.
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
	repo, err := r.of(d.Component.Name)
	if err != nil {
		return "", err
	}
	if o.Creator == "" {
		o.Creator = defaultCreator
	}
	local, err := localBlobs(ctx, d, blobs)
	if err != nil {
		return "", fmt.Errorf("put %s:%s: %w", d.Component.Name, d.Component.Version, err)
	}
	pack, err := oci.Pack(d, local, o.Creator)
	if err != nil {
		return "", err
	}
	existing, err := repo.Resolve(ctx, pack.Tag())
	switch {
	case err == nil && existing == pack.Digest:
		return existing, nil
	case err == nil && !o.Overwrite:
		return "", fmt.Errorf("%w: %s:%s in %s has other content; publish a new version or allow overwriting",
			ErrExists, d.Component.Name, d.Component.Version, r.URL())
	case err != nil && !errors.Is(err, ErrNotFound):
		return "", err
	}
	if err := repo.Publish(ctx, pack); err != nil {
		return "", err
	}
	return pack.Digest, nil
}

// localBlobs collects the blobs in the order of the elements, each once.
func localBlobs(ctx context.Context, d *descriptor.Descriptor, source BlobSource) ([]oci.LocalBlob, error) {
	c := collector{source: source, index: map[digest.Digest]int{}}
	for i, id := range d.ResourceIdentities() {
		if err := c.add(ctx, oci.BlobUser{Kind: "resource", Identity: id}, d.Component.Resources[i].Access); err != nil {
			return nil, err
		}
	}
	for i, id := range d.SourceIdentities() {
		if err := c.add(ctx, oci.BlobUser{Kind: "source", Identity: id}, d.Component.Sources[i].Access); err != nil {
			return nil, err
		}
	}
	return c.blobs, nil
}

type collector struct {
	source BlobSource
	blobs  []oci.LocalBlob
	index  map[digest.Digest]int
}

func (c *collector) add(ctx context.Context, user oci.BlobUser, a descriptor.Access) error {
	spec, ok, err := access.DecodeLocal(a)
	if err != nil || !ok {
		return err
	}
	d, err := digest.Parse(spec.LocalReference)
	if err != nil {
		return fmt.Errorf("%s %s: localReference %q is no digest: %w", user.Kind, user.Identity, spec.LocalReference, err)
	}
	if i, ok := c.index[d]; ok {
		c.blobs[i].Users = append(c.blobs[i].Users, user)
		return nil
	}
	if c.source == nil {
		return fmt.Errorf("%s %s: there is no source for its local blob %s", user.Kind, user.Identity, d)
	}
	size, err := sizeOf(ctx, c.source, d)
	if err != nil {
		return fmt.Errorf("%s %s: local blob %s: %w", user.Kind, user.Identity, d, err)
	}
	mediaType := spec.MediaType
	if mediaType == "" {
		mediaType = defaultMediaType
	}
	c.index[d] = len(c.blobs)
	c.blobs = append(c.blobs, oci.LocalBlob{
		Digest: d, Size: size, MediaType: mediaType, Users: []oci.BlobUser{user},
		Open: func() (io.ReadCloser, error) {
			rc, _, err := c.source.OpenBlob(ctx, d)
			return rc, err
		},
	})
	return nil
}

func sizeOf(ctx context.Context, source BlobSource, d digest.Digest) (int64, error) {
	rc, size, err := source.OpenBlob(ctx, d)
	if err != nil {
		return 0, err
	}
	return size, rc.Close()
}
