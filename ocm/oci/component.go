package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// annotationDescriptor marks the manifest of the component version in an index.
const annotationDescriptor = "software.ocm.descriptor"

// Component is a component version as it is stored in a repository.
type Component struct {
	// Digest is the digest of what the version is tagged with, which pins it:
	// the manifest, or the index the manifest is in.
	Digest digest.Digest
	// Manifest is the manifest of the component version, and Inner its digest if it
	// is in an index.
	Manifest *ocispec.Manifest
	Inner    digest.Digest
	// Nested are the OCI artifacts that are stored beside the manifest, in an
	// index with it.
	Nested []ocispec.Descriptor
	// Descriptor is the component descriptor, and DescriptorSize the number of its
	// bytes.
	Descriptor     *descriptor.Descriptor
	DescriptorSize int64
}

// Layer returns the layer with a digest. Only layers belong to the component
// version; other blobs of the repository may be anybody's.
func (c *Component) Layer(d digest.Digest) (ocispec.Descriptor, bool) {
	return find(c.Manifest.Layers, d)
}

// Artifact returns the OCI artifact with a digest that is stored with the
// component version.
func (c *Component) Artifact(d digest.Digest) (ocispec.Descriptor, bool) {
	if a, ok := find(c.Nested, d); ok {
		return a, true
	}
	return find(c.Manifest.Layers, d)
}

func find(all []ocispec.Descriptor, d digest.Digest) (ocispec.Descriptor, bool) {
	for _, desc := range all {
		if desc.Digest == d {
			return desc, true
		}
	}
	return ocispec.Descriptor{}, false
}

// componentConfigContent is the content of the config, the only thing that says
// which layer is the descriptor.
type componentConfigContent struct {
	DescriptorLayer struct {
		MediaType string        `json:"mediaType"`
		Digest    digest.Digest `json:"digest"`
		Size      int64         `json:"size"`
	} `json:"componentDescriptorLayer"`
}

// ReadComponent reads the component version a manifest or an index belongs to.
// The descriptor must have the given name and version.
func ReadComponent(ctx context.Context, s Storage, l Limits, name, version string, m *Manifest) (*Component, error) {
	l = l.WithDefaults()
	c := &Component{Digest: m.Digest}
	image, err := c.enter(ctx, s, m)
	if err != nil {
		return nil, fmt.Errorf("%s:%s in %s: %w", name, version, s, err)
	}
	if c.Manifest, err = componentManifest(image); err != nil {
		return nil, fmt.Errorf("%s:%s in %s: %w", name, version, s, err)
	}
	raw, err := descriptorBytes(ctx, s, l, c)
	if err != nil {
		return nil, fmt.Errorf("%s:%s: %w", name, version, err)
	}
	d, err := descriptor.ParseWithin(raw, l.DescriptorBytes)
	if err != nil {
		return nil, fmt.Errorf("%s:%s in %s: %w", name, version, s, malformed(err))
	}
	if d.Component.Name != name || d.Component.Version != version {
		return nil, fmt.Errorf("%w: %s has a descriptor of %s:%s where %s:%s was asked for; publish the component version again",
			ErrNotComponent, s, d.Component.Name, d.Component.Version, name, version)
	}
	c.Descriptor, c.DescriptorSize = d, int64(len(raw))
	return c, nil
}

// enter returns the manifest of the component version, which may be in an index
// together with the OCI artifacts that belong to it.
func (c *Component) enter(ctx context.Context, s Storage, m *Manifest) (*Manifest, error) {
	if !m.IsIndex() {
		return m, nil
	}
	index, err := m.Index()
	if err != nil {
		return nil, malformed(err)
	}
	at, err := componentEntry(index)
	if err != nil {
		return nil, err
	}
	desc := index.Manifests[at]
	c.Inner = desc.Digest
	c.Nested = slices.Delete(slices.Clone(index.Manifests), at, at+1)
	inner, err := s.Manifest(ctx, desc.Digest.String())
	if err != nil {
		return nil, fmt.Errorf("manifest of the component version in the index %s: %w", m.Digest, err)
	}
	if inner.IsIndex() {
		return nil, fmt.Errorf("%w: its index leads to another index", ErrNotComponent)
	}
	return inner, nil
}

// componentEntry returns which entry of an index is the component version: the
// one that is marked, or the first one.
func componentEntry(index *ocispec.Index) (int, error) {
	marked := -1
	for i := range index.Manifests {
		if index.Manifests[i].Annotations[annotationDescriptor] != "true" {
			continue
		}
		if marked >= 0 {
			return 0, fmt.Errorf("%w: several manifests of its index are marked as %s", ErrNotComponent, annotationDescriptor)
		}
		marked = i
	}
	entry := max(marked, 0)
	if entry >= len(index.Manifests) {
		return 0, fmt.Errorf("%w: its index is empty", ErrNotComponent)
	}
	if err := index.Manifests[entry].Digest.Validate(); err != nil {
		return 0, fmt.Errorf("%w: digest %q in its index: %w", ErrNotComponent, index.Manifests[entry].Digest, err)
	}
	return entry, nil
}

func componentManifest(m *Manifest) (*ocispec.Manifest, error) {
	if !m.IsImage() {
		return nil, fmt.Errorf("%w: its manifest has media type %q", ErrNotComponent, m.MediaType)
	}
	image, err := m.Image()
	if err != nil {
		return nil, malformed(err)
	}
	if !isComponentConfig(image.Config.MediaType) {
		return nil, fmt.Errorf("%w: its config has media type %q", ErrNotComponent, image.Config.MediaType)
	}
	return image, nil
}

// descriptorBytes finds the descriptor through the config.
func descriptorBytes(ctx context.Context, s Storage, l Limits, c *Component) ([]byte, error) {
	raw, err := SmallBlob(ctx, s, c.Manifest.Config, l.ConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	var config componentConfigContent
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%w: its config cannot be read: %w", ErrNotComponent, err)
	}
	want := config.DescriptorLayer
	layer, ok := c.Layer(want.Digest)
	if !ok {
		return nil, fmt.Errorf("%w: its config names the descriptor %q, which is not one of its layers", ErrNotComponent, want.Digest)
	}
	isTar, ok := descriptorFormat(want.MediaType)
	if !ok {
		return nil, fmt.Errorf("%w: its descriptor has media type %q", ErrNotComponent, want.MediaType)
	}
	data, err := SmallBlob(ctx, s, layer, l.DescriptorBytes+tarOverhead)
	if errors.Is(err, ErrTooLarge) {
		return nil, fmt.Errorf("read descriptor: %w; --max-descriptor-size allows more", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read descriptor: %w", err)
	}
	if !isTar {
		return data, nil
	}
	if data, err = ReadDescriptorTar(data, l.DescriptorBytes); err != nil {
		return nil, malformed(err)
	}
	return data, nil
}
