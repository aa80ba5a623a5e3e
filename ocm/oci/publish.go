package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// LocalBlob is a blob that is stored with the component version.
type LocalBlob struct {
	// Digest and Size are what the content is checked against.
	Digest digest.Digest
	Size   int64
	// MediaType is the media type of the layer.
	MediaType string
	// Users are the elements the blob is the content of.
	Users []BlobUser
	// Open opens the content; it may be called several times.
	Open func() (io.ReadCloser, error)
}

// BlobUser is an element with a local blob.
type BlobUser struct {
	Kind     string              `json:"kind"`
	Identity descriptor.Identity `json:"identity"`
}

// Package is a component version that is ready to be published.
type Package struct {
	// Digest is the digest of the manifest.
	Digest digest.Digest

	tag      string
	manifest []byte
	small    map[digest.Digest][]byte
	layers   []ocispec.Descriptor
	config   ocispec.Descriptor
	blobs    []LocalBlob
}

// Pack lays a component version out for a registry. Equal input gives equal
// bytes.
func Pack(d *descriptor.Descriptor, blobs []LocalBlob, creator string) (*Package, error) {
	tag, err := TagOf(d.Component.Version)
	if err != nil {
		return nil, err
	}
	p := &Package{tag: tag, small: map[digest.Digest][]byte{}, blobs: blobs}
	text, err := descriptor.Encode(d)
	if err != nil {
		return nil, err
	}
	archive, err := writeDescriptorTar(text)
	if err != nil {
		return nil, fmt.Errorf("pack component descriptor: %w", err)
	}
	layer := p.add(descriptorYAMLTar, archive)
	var config componentConfigContent
	config.DescriptorLayer.MediaType, config.DescriptorLayer.Digest, config.DescriptorLayer.Size = layer.MediaType, layer.Digest, layer.Size
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("pack config: %w", err)
	}
	p.config = p.add(componentConfig, raw)
	p.layers = append(p.layers, layer)
	for _, b := range blobs {
		users, err := json.Marshal(b.Users)
		if err != nil {
			return nil, fmt.Errorf("pack blob %s: %w", b.Digest, err)
		}
		p.layers = append(p.layers, ocispec.Descriptor{
			MediaType: b.MediaType, Digest: b.Digest, Size: b.Size,
			Annotations: map[string]string{annotationArtifact: string(users)},
		})
	}
	p.manifest, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    p.config,
		Layers:    p.layers,
		Annotations: map[string]string{
			annotationComponentVersion: d.Component.Name + ":" + d.Component.Version,
			annotationCreator:          creator,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("pack manifest: %w", err)
	}
	p.Digest = digest.FromBytes(p.manifest)
	return p, nil
}

func (p *Package) add(mediaType string, content []byte) ocispec.Descriptor {
	d := digest.FromBytes(content)
	p.small[d] = content
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// Tag returns the tag the package is published with.
func (p *Package) Tag() string { return p.tag }

// Publish uploads the blobs and then the manifest with its tag, so that a
// reader sees all of the component version or nothing.
func (r *Repository) Publish(ctx context.Context, p *Package) error {
	for _, b := range p.blobs {
		if err := r.PushBlob(ctx, ocispec.Descriptor{Digest: b.Digest, Size: b.Size}, b.Open); err != nil {
			return err
		}
	}
	for _, desc := range []ocispec.Descriptor{p.layers[0], p.config} {
		content := p.small[desc.Digest]
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		if err := r.PushBlob(ctx, desc, open); err != nil {
			return err
		}
	}
	_, err := r.PushManifest(ctx, ocispec.MediaTypeImageManifest, p.manifest, p.tag)
	return err
}
