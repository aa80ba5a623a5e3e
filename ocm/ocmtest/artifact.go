package ocmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Artifact describes an OCI artifact to make.
type Artifact struct {
	// ConfigMediaType is the media type of the config, that of an image if
	// empty.
	ConfigMediaType string
	// Config is the content of the config, an empty object if nil.
	Config []byte
	// Layers are the layers.
	Layers []Layer
}

// Layer is a layer of an artifact.
type Layer struct {
	// MediaType is the media type of the layer.
	MediaType string
	// Content is its content.
	Content []byte
}

// Chart returns the artifact Helm stores a packed chart as.
func Chart(name, version string, archive []byte) Artifact {
	config, err := json.Marshal(map[string]string{"name": name, "version": version, "apiVersion": "v2"})
	if err != nil {
		panic(err) // a map of strings can always be encoded
	}
	return Artifact{
		ConfigMediaType: "application/vnd.cncf.helm.config.v1+json",
		Config:          config,
		Layers:          []Layer{{MediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", Content: archive}},
	}
}

// Publish writes the artifact to a reference with a tag, with http:// in front
// for plain HTTP, and returns the digest of its manifest.
func (a Artifact) Publish(ctx context.Context, reference string, o ocm.Options) (digest.Digest, error) {
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return "", err
	}
	repo, err := oci.NewClient(oci.Options{Home: ref.Host, Credentials: o.Credentials, Transport: o.Transport, UserAgent: o.UserAgent}).Repository(ref.Location)
	if err != nil {
		return "", err
	}
	config := a.Config
	if config == nil {
		config = []byte("{}")
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	if m.Config, err = push(ctx, repo, orDefault(a.ConfigMediaType, ocispec.MediaTypeImageConfig), config); err != nil {
		return "", err
	}
	for _, l := range a.Layers {
		desc, err := push(ctx, repo, l.MediaType, l.Content)
		if err != nil {
			return "", err
		}
		m.Layers = append(m.Layers, desc)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode manifest of %s: %w", reference, err)
	}
	return repo.PushManifest(ctx, m.MediaType, body, ref.Version())
}

func push(ctx context.Context, repo *oci.Repository, mediaType string, content []byte) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
	err := repo.PushBlob(ctx, desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	return desc, err
}
