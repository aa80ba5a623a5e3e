package ctf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// repository is one repository of a store.
type repository struct {
	store *Store
	name  string
}

var _ oci.Storage = (*repository)(nil)

// String implements fmt.Stringer.
func (r *repository) String() string { return r.name + " in " + r.store.path }

// Location implements oci.Storage. There is no host.
func (r *repository) Location() oci.Location { return oci.Location{Path: r.name} }

// view returns a fresh view with its index. The caller must be done with it.
func (r *repository) view(ctx context.Context, fresh bool) (view, *index, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	v, err := r.store.layout.view(ctx, fresh)
	if err != nil {
		return nil, nil, err
	}
	i, err := v.index()
	if err != nil {
		v.done()
		return nil, nil, fmt.Errorf("transport archive %s: %w", r.store.path, err)
	}
	return v, i, nil
}

// Tags implements oci.Storage.
func (r *repository) Tags(ctx context.Context) ([]string, error) {
	v, i, err := r.view(ctx, true)
	if err != nil {
		return nil, err
	}
	defer v.done()
	tags, ok := i.tags(r.name)
	if !ok {
		return nil, fmt.Errorf("list tags of %s: %w", r, oci.ErrNotFound)
	}
	return tags, nil
}

// Resolve implements oci.Storage.
func (r *repository) Resolve(ctx context.Context, tag string) (digest.Digest, error) {
	v, i, err := r.view(ctx, true)
	if err != nil {
		return "", err
	}
	defer v.done()
	return r.resolve(i, tag)
}

func (r *repository) resolve(i *index, tag string) (digest.Digest, error) {
	a, ok := i.tagged(r.name, tag)
	if !ok {
		return "", fmt.Errorf("resolve %s of %s: %w", tag, r, oci.ErrNotFound)
	}
	return a.Digest, nil
}

// Manifest implements oci.Storage. A tag and what it leads to are read from one
// view, so that an archive that is replaced meanwhile makes no difference.
func (r *repository) Manifest(ctx context.Context, ref string) (*oci.Manifest, error) {
	if d, err := digest.Parse(ref); err == nil {
		m, err := r.manifest(ctx, ref, d, false)
		if errors.Is(err, oci.ErrNotFound) {
			return r.manifest(ctx, ref, d, true)
		}
		return m, err
	}
	return r.manifest(ctx, ref, "", true)
}

func (r *repository) manifest(ctx context.Context, ref string, d digest.Digest, fresh bool) (*oci.Manifest, error) {
	v, i, err := r.view(ctx, fresh)
	if err != nil {
		return nil, err
	}
	defer v.done()
	if d == "" {
		if d, err = r.resolve(i, ref); err != nil {
			return nil, err
		}
	}
	object := fmt.Sprintf("manifest %s of %s", ref, r)
	rc, size, err := r.store.openIn(v, object, d, -1)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if limit := r.store.options.ManifestBytes; size > limit {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d are read", object, oci.ErrTooLarge, size, limit)
	}
	data, err := io.ReadAll(rc)
	if err != nil {
		return nil, err
	}
	m, err := oci.NewManifest(data, i.mediaType(r.name, d))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object, err)
	}
	m.Digest = d
	return m, nil
}

// Has implements oci.Storage.
func (r *repository) Has(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	size, ok, err := r.store.has(ctx, desc.Digest)
	if err != nil {
		return false, fmt.Errorf("blob %s of %s: %w", desc.Digest, r, err)
	}
	return ok && (desc.Size < 0 || size == desc.Size), nil
}

// HasManifest implements oci.Storage. Manifests are blobs here.
func (r *repository) HasManifest(ctx context.Context, d digest.Digest) (bool, error) {
	_, ok, err := r.store.has(ctx, d)
	if err != nil {
		return false, fmt.Errorf("manifest %s of %s: %w", d, r, err)
	}
	return ok, nil
}

// Blob implements oci.Storage.
func (r *repository) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	return r.store.openBlob(ctx, fmt.Sprintf("blob %s of %s", d, r), d, size, also...)
}

// PushBlob implements oci.Storage.
func (r *repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	return r.store.addBlob(ctx, fmt.Sprintf("push blob %s to %s", desc.Digest, r), desc.Digest, desc.Size, open)
}

// ReplaceBlob stores a blob even if there is one of its name and size, which may have
// been damaged.
func (r *repository) ReplaceBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	return r.store.putBlob(ctx, fmt.Sprintf("replace blob %s of %s", desc.Digest, r), desc.Digest, desc.Size, open)
}

// PushManifest implements oci.Storage.
func (r *repository) PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error) {
	object := fmt.Sprintf("push manifest %s to %s", tag, r)
	d := digest.FromBytes(body)
	added := artifact{Repository: r.name, Tag: tag, Digest: d, MediaType: mediaType}
	if want, err := digest.Parse(tag); err == nil {
		if got := want.Algorithm().FromBytes(body); got != want {
			return "", &oci.DigestMismatchError{Object: object, Want: want.String(), Got: got.String()}
		}
		d, added.Tag = want, ""
	} else if err := oci.CheckTag(tag); err != nil {
		return "", fmt.Errorf("%s: %w", object, err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	if err := r.store.addBlob(ctx, object, d, int64(len(body)), open); err != nil {
		return "", err
	}
	// Manifests without a tag are found through those that list them.
	if added.Tag == "" {
		return d, nil
	}
	if err := r.store.layout.update(ctx, func(i *index) *index { return i.with(added) }); err != nil {
		return "", fmt.Errorf("%s: %w", object, oci.ExplainDisk(err))
	}
	return d, nil
}
