package ocm

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// defaultMediaType is that of blobs whose access states none.
const defaultMediaType = "application/octet-stream"

const (
	// maxIndexDepth bounds how deep indexes nest in a local artifact.
	maxIndexDepth = 8
	// maxManifestBytes bounds the manifests of local artifacts.
	maxManifestBytes = 4 << 20
)

// localContent collects blobs and artifacts in the order of the elements, each
// once.
func localContent(ctx context.Context, d *descriptor.Descriptor, source BlobSource) ([]oci.LocalBlob, []oci.LocalArtifact, error) {
	c := collector{source: source, blobAt: map[digest.Digest]int{}, artifactAt: map[digest.Digest]int{}}
	for i, id := range d.ResourceIdentities() {
		if err := c.add(ctx, oci.BlobUser{Kind: "resource", Identity: id}, d.Component.Resources[i].Access); err != nil {
			return nil, nil, err
		}
	}
	for i, id := range d.SourceIdentities() {
		if err := c.add(ctx, oci.BlobUser{Kind: "source", Identity: id}, d.Component.Sources[i].Access); err != nil {
			return nil, nil, err
		}
	}
	return c.blobs, c.artifacts, nil
}

type collector struct {
	source     BlobSource
	blobs      []oci.LocalBlob
	blobAt     map[digest.Digest]int
	artifacts  []oci.LocalArtifact
	artifactAt map[digest.Digest]int
}

func (c *collector) add(ctx context.Context, user oci.BlobUser, a descriptor.Access) error {
	spec, ok, err := access.DecodeLocal(a)
	if err != nil || !ok {
		return err
	}
	chunks, err := spec.Chunks()
	if err != nil {
		return fmt.Errorf("%s %s: %w", user.Kind, user.Identity, err)
	}
	mediaType := spec.MediaType
	if mediaType == "" {
		mediaType = defaultMediaType
	}
	for _, d := range chunks {
		if spec.IsArtifact() {
			if err := c.addArtifact(ctx, user, d, mediaType); err != nil {
				return fmt.Errorf("%s %s: local artifact %s: %w", user.Kind, user.Identity, d, err)
			}
			continue
		}
		if err := c.addBlob(ctx, user, d, mediaType); err != nil {
			return fmt.Errorf("%s %s: local blob %s: %w", user.Kind, user.Identity, d, err)
		}
	}
	return nil
}

func (c *collector) addBlob(ctx context.Context, user oci.BlobUser, d digest.Digest, mediaType string) error {
	if i, ok := c.blobAt[d]; ok {
		c.blobs[i].Users = append(c.blobs[i].Users, user)
		return nil
	}
	blob, err := c.blob(ctx, d)
	if err != nil {
		return err
	}
	blob.MediaType, blob.Users = mediaType, []oci.BlobUser{user}
	c.blobAt[d] = len(c.blobs)
	c.blobs = append(c.blobs, blob)
	return nil
}

func (c *collector) blob(ctx context.Context, d digest.Digest) (oci.LocalBlob, error) {
	if c.source == nil {
		return oci.LocalBlob{}, errors.New("there is no source for it")
	}
	size, err := sizeOf(ctx, c.source, d)
	return oci.LocalBlob{Digest: d, Size: size, Open: func() (io.ReadCloser, error) {
		rc, _, err := c.source.OpenBlob(ctx, d)
		return rc, err
	}}, err
}

func (c *collector) addArtifact(ctx context.Context, user oci.BlobUser, d digest.Digest, mediaType string) error {
	if i, ok := c.artifactAt[d]; ok {
		c.artifacts[i].Users = append(c.artifacts[i].Users, user)
		return nil
	}
	a, err := c.artifact(ctx, d, mediaType, 0)
	if err != nil {
		return err
	}
	a.Users = []oci.BlobUser{user}
	c.artifactAt[d] = len(c.artifacts)
	c.artifacts = append(c.artifacts, a)
	return nil
}

// artifact collects all parts of an OCI artifact.
func (c *collector) artifact(ctx context.Context, d digest.Digest, mediaType string, depth int) (oci.LocalArtifact, error) {
	if depth > maxIndexDepth {
		return oci.LocalArtifact{}, fmt.Errorf("indexes within indexes are %w: more than %d levels", ErrTooLarge, maxIndexDepth)
	}
	m, err := c.manifest(ctx, d, mediaType)
	if err != nil {
		return oci.LocalArtifact{}, err
	}
	a := oci.LocalArtifact{Manifest: m}
	if m.IsIndex() {
		index, err := m.Index()
		if err != nil {
			return a, err
		}
		for _, entry := range index.Manifests {
			part, err := c.artifact(ctx, entry.Digest, entry.MediaType, depth+1)
			if err != nil {
				return a, fmt.Errorf("manifest %s: %w", entry.Digest, err)
			}
			a.Parts = append(a.Parts, part)
		}
		return a, nil
	}
	image, err := m.Image()
	if err != nil {
		return a, err
	}
	for _, desc := range append([]ocispec.Descriptor{image.Config}, image.Layers...) {
		blob, err := c.blob(ctx, desc.Digest)
		if err != nil {
			return a, fmt.Errorf("blob %s: %w", desc.Digest, err)
		}
		a.Blobs = append(a.Blobs, blob)
	}
	return a, nil
}

func (c *collector) manifest(ctx context.Context, d digest.Digest, mediaType string) (*oci.Manifest, error) {
	if c.source == nil {
		return nil, errors.New("there is no source for it")
	}
	rc, _, err := c.source.OpenBlob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, maxManifestBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxManifestBytes {
		return nil, fmt.Errorf("manifest is %w: more than %d bytes", ErrTooLarge, maxManifestBytes)
	}
	m, err := oci.NewManifest(data, mediaType)
	if err != nil {
		return nil, err
	}
	if m.Digest != d {
		return nil, &DigestMismatchError{Object: "the manifest", Want: d.String(), Got: m.Digest.String()}
	}
	return m, nil
}

func sizeOf(ctx context.Context, source BlobSource, d digest.Digest) (int64, error) {
	rc, size, err := source.OpenBlob(ctx, d)
	if err != nil {
		return 0, err
	}
	return size, rc.Close()
}
