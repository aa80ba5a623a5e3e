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

// LocalArtifact is an OCI artifact that is stored beside the manifest of the
// component version.
type LocalArtifact struct {
	// Manifest is its manifest or index, whose digest is that of its bytes.
	Manifest *Manifest
	// Users are the elements the artifact is the content of; there are none for
	// the parts of another artifact.
	Users []BlobUser
	// Blobs are the config and the layers.
	Blobs []LocalBlob
	// Parts are the artifacts an index lists.
	Parts []LocalArtifact
}

// BlobUser is an element with a local blob.
type BlobUser struct {
	Kind     string              `json:"kind"`
	Identity descriptor.Identity `json:"identity"`
}

// Package is a component version that is ready to be published.
type Package struct {
	// Digest is the digest of what gets the tag: the manifest, or the index if
	// there are OCI artifacts beside it.
	Digest digest.Digest

	tag       string
	manifest  []byte
	index     []byte
	small     map[digest.Digest][]byte
	layers    []ocispec.Descriptor
	config    ocispec.Descriptor
	blobs     []LocalBlob
	artifacts []LocalArtifact
}

// Pack lays a component version out for a registry. Equal input gives equal
// bytes.
func Pack(d *descriptor.Descriptor, blobs []LocalBlob, artifacts []LocalArtifact, creator string) (*Package, error) {
	tag, err := TagOf(d.Component.Version)
	if err != nil {
		return nil, err
	}
	p := &Package{tag: tag, small: map[digest.Digest][]byte{}, blobs: blobs, artifacts: artifacts}
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
	return p, p.finish(map[string]string{
		annotationComponentVersion: d.Component.Name + ":" + d.Component.Version,
		annotationCreator:          creator,
	})
}

// finish makes the manifest, and the index if there is more than the manifest.
func (p *Package) finish(annotations map[string]string) error {
	var err error
	p.manifest, err = json.Marshal(ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      p.config,
		Layers:      p.layers,
		Annotations: annotations,
	})
	if err != nil {
		return fmt.Errorf("pack manifest: %w", err)
	}
	p.Digest = digest.FromBytes(p.manifest)
	if len(p.artifacts) == 0 {
		return nil
	}
	index := ocispec.Index{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageIndex,
		Annotations: annotations,
		// Readers of all tools expect the component version to come first.
		Manifests: []ocispec.Descriptor{{
			MediaType: ocispec.MediaTypeImageManifest, Digest: p.Digest, Size: int64(len(p.manifest)), Annotations: annotations,
		}},
	}
	for _, a := range p.artifacts {
		users, err := json.Marshal(a.Users)
		if err != nil {
			return fmt.Errorf("pack artifact %s: %w", a.Manifest.Digest, err)
		}
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: a.Manifest.MediaType, Digest: a.Manifest.Digest, Size: int64(len(a.Manifest.Bytes)),
			Annotations: map[string]string{annotationArtifact: string(users)},
		})
	}
	if p.index, err = json.Marshal(index); err != nil {
		return fmt.Errorf("pack index: %w", err)
	}
	p.Digest = digest.FromBytes(p.index)
	return nil
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
func Publish(ctx context.Context, s Storage, p *Package) error {
	for _, b := range p.blobs {
		if err := s.PushBlob(ctx, ocispec.Descriptor{Digest: b.Digest, Size: b.Size}, b.Open); err != nil {
			return err
		}
	}
	for _, desc := range []ocispec.Descriptor{p.layers[0], p.config} {
		content := p.small[desc.Digest]
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
		if err := s.PushBlob(ctx, desc, open); err != nil {
			return err
		}
	}
	for _, a := range p.artifacts {
		if err := publishArtifact(ctx, s, a); err != nil {
			return err
		}
	}
	if p.index == nil {
		_, err := s.PushManifest(ctx, ocispec.MediaTypeImageManifest, p.manifest, p.tag)
		return err
	}
	if _, err := s.PushManifest(ctx, ocispec.MediaTypeImageManifest, p.manifest, digest.FromBytes(p.manifest).String()); err != nil {
		return err
	}
	_, err := s.PushManifest(ctx, ocispec.MediaTypeImageIndex, p.index, p.tag)
	return err
}

func publishArtifact(ctx context.Context, s Storage, a LocalArtifact) error {
	for _, b := range a.Blobs {
		if err := s.PushBlob(ctx, ocispec.Descriptor{Digest: b.Digest, Size: b.Size}, b.Open); err != nil {
			return err
		}
	}
	for _, part := range a.Parts {
		if err := publishArtifact(ctx, s, part); err != nil {
			return err
		}
	}
	_, err := s.PushManifest(ctx, a.Manifest.MediaType, a.Manifest.Bytes, a.Manifest.Digest.String())
	return err
}
