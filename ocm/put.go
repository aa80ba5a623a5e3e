package ocm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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
	var out []oci.LocalBlob
	add := func(kind string, e *descriptor.Element, a descriptor.Access, identity descriptor.Identity) error {
		spec, ok, err := access.DecodeLocal(a)
		if err != nil || !ok {
			return err
		}
		dgst, err := digest.Parse(spec.LocalReference)
		if err != nil {
			return fmt.Errorf("%s %s: localReference %q is no digest: %w", kind, e, spec.LocalReference, err)
		}
		user := oci.BlobUser{Kind: kind, Identity: identity}
		if i := slices.IndexFunc(out, func(b oci.LocalBlob) bool { return b.Digest == dgst }); i >= 0 {
			out[i].Users = append(out[i].Users, user)
			return nil
		}
		if source == nil {
			return fmt.Errorf("%s %s: there is no source for its local blob %s", kind, e, dgst)
		}
		size, err := sizeOf(ctx, source, dgst)
		if err != nil {
			return fmt.Errorf("%s %s: local blob %s: %w", kind, e, dgst, err)
		}
		mediaType := spec.MediaType
		if strings.TrimSpace(mediaType) == "" {
			mediaType = defaultMediaType
		}
		out = append(out, oci.LocalBlob{
			Digest: dgst, Size: size, MediaType: mediaType, Users: []oci.BlobUser{user},
			Open: func() (io.ReadCloser, error) {
				rc, _, err := source.OpenBlob(ctx, dgst)
				return rc, err
			},
		})
		return nil
	}
	c := &d.Component
	for i := range c.Resources {
		e := &c.Resources[i]
		id := identity(len(c.Resources), i, func(i int) *descriptor.Element { return &c.Resources[i].Element })
		if err := add("resource", &e.Element, e.Access, id); err != nil {
			return nil, err
		}
	}
	for i := range c.Sources {
		e := &c.Sources[i]
		id := identity(len(c.Sources), i, func(i int) *descriptor.Element { return &c.Sources[i].Element })
		if err := add("source", &e.Element, e.Access, id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func sizeOf(ctx context.Context, source BlobSource, d digest.Digest) (int64, error) {
	rc, size, err := source.OpenBlob(ctx, d)
	if err != nil {
		return 0, err
	}
	return size, rc.Close()
}

// identity returns the complete identity of an element, to which its version
// belongs only where nothing else tells it from another one.
func identity(n, index int, at func(int) *descriptor.Element) descriptor.Identity {
	e := at(index)
	id := descriptor.Identity{}
	for k, v := range e.ExtraIdentity {
		id[k] = v
	}
	id["name"] = e.Name
	for i := range n {
		other := at(i)
		if i != index && other.Name == e.Name && other.ExtraIdentity.String() == e.ExtraIdentity.String() {
			id["version"] = e.Version
		}
	}
	return id
}
