package oci

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Component is a component version as it is stored in a registry.
type Component struct {
	// Digest is the digest of the manifest.
	Digest digest.Digest
	// Manifest is the manifest of the component version.
	Manifest *ocispec.Manifest
	// Descriptor is the component descriptor.
	Descriptor *descriptor.Descriptor
}

// Layer returns the layer with a digest. Only layers belong to the component
// version; other blobs of the repository may be anybody's.
func (c *Component) Layer(d digest.Digest) (ocispec.Descriptor, bool) {
	for _, l := range c.Manifest.Layers {
		if l.Digest == d {
			return l, true
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

// Component reads the component version a manifest belongs to. The descriptor
// must have the given name and version.
func (r *Repository) Component(ctx context.Context, name, version string, m *Manifest) (*Component, error) {
	image, err := componentManifest(m)
	if err != nil {
		return nil, fmt.Errorf("%s:%s in %s: %w", name, version, r.location, err)
	}
	raw, err := r.descriptorBytes(ctx, image)
	if err != nil {
		return nil, fmt.Errorf("%s:%s: %w", name, version, err)
	}
	d, err := descriptor.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s:%s in %s: %w", name, version, r.location, err)
	}
	if d.Component.Name != name || d.Component.Version != version {
		return nil, fmt.Errorf("%w: %s has a descriptor of %s:%s where %s:%s was asked for; publish the component version again",
			ErrNotComponent, r.location, d.Component.Name, d.Component.Version, name, version)
	}
	return &Component{Digest: m.Digest, Manifest: image, Descriptor: d}, nil
}

func componentManifest(m *Manifest) (*ocispec.Manifest, error) {
	if m.IsIndex() {
		return nil, fmt.Errorf("%w this version can read: it is stored as an index; transfer it without embedded OCI artifacts", ErrNotComponent)
	}
	if !m.IsImage() {
		return nil, fmt.Errorf("%w: its manifest has media type %q", ErrNotComponent, m.MediaType)
	}
	image, err := m.Image()
	if err != nil {
		return nil, err
	}
	if !isComponentConfig(image.Config.MediaType) {
		return nil, fmt.Errorf("%w: its config has media type %q", ErrNotComponent, image.Config.MediaType)
	}
	return image, nil
}

// descriptorBytes finds the descriptor through the config.
func (r *Repository) descriptorBytes(ctx context.Context, image *ocispec.Manifest) ([]byte, error) {
	raw, err := r.SmallBlob(ctx, image.Config, r.limits.ConfigBytes)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	var config componentConfigContent
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%w: its config cannot be read: %w", ErrNotComponent, err)
	}
	want := config.DescriptorLayer
	layer, ok := (&Component{Manifest: image}).Layer(want.Digest)
	if !ok {
		return nil, fmt.Errorf("%w: its config names the descriptor %q, which is not one of its layers", ErrNotComponent, want.Digest)
	}
	isTar, ok := descriptorFormat(want.MediaType)
	if !ok {
		return nil, fmt.Errorf("%w: its descriptor has media type %q", ErrNotComponent, want.MediaType)
	}
	limit := min(r.limits.ManifestBytes, descriptor.MaxBytes) + tarOverhead
	data, err := r.SmallBlob(ctx, layer, limit)
	if err != nil {
		return nil, fmt.Errorf("read descriptor: %w", err)
	}
	if isTar {
		return ReadDescriptorTar(data)
	}
	return data, nil
}
