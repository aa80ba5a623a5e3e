package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of manifests.
const (
	MediaTypeManifest = ocispec.MediaTypeImageManifest
	MediaTypeIndex    = ocispec.MediaTypeImageIndex
)

// Media types of manifests besides those of the OCI image specification.
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	// artifactManifest was in a draft of the specification and is in registries still.
	artifactManifest = "application/vnd.oci.artifact.manifest.v1+json"
)

// Manifest is a manifest or an index as the registry stores it.
type Manifest struct {
	MediaType string
	Digest    digest.Digest
	Bytes     []byte
	// Stated is what the registry says that the digest is; it is empty for one
	// that says nothing.
	Stated digest.Digest
}

// Pin returns the digest that a tag with this manifest resolves to: the one that
// the registry states, which may be of another algorithm than ours. It is an
// error if the bytes don't have it.
func (m *Manifest) Pin(object string) (digest.Digest, error) {
	if m.Stated == "" {
		return m.Digest, nil
	}
	if got := m.Stated.Algorithm().FromBytes(m.Bytes); got != m.Stated {
		return "", &DigestMismatchError{Object: object, Want: m.Stated.String(), Got: got.String()}
	}
	return m.Stated, nil
}

// NewManifest returns the manifest with the given bytes. What they say decides
// how they are read, as their digest covers nothing else: the media type that the
// caller was told only names what agrees with them. It is ErrMalformed for bytes
// that two readers could take for different things.
func NewManifest(data []byte, mediaTypeHint string) (*Manifest, error) {
	t, err := mediaType(data, mediaTypeHint)
	if err != nil {
		return nil, err
	}
	return &Manifest{MediaType: t, Digest: digest.FromBytes(data), Bytes: data}, nil
}

// mediaType returns what the manifest says that it is. One that says nothing, as
// old tools wrote it, is what it is made of.
func mediaType(data []byte, hint string) (string, error) {
	var head struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Layers    json.RawMessage `json:"layers"`
		Manifests json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", fmt.Errorf("it is no JSON object: %w", err)
	}
	hint, _, _ = strings.Cut(hint, ";")
	said, told := Manifest{MediaType: head.MediaType}, Manifest{MediaType: strings.TrimSpace(hint)}
	hasLayers, hasManifests := head.Config != nil || head.Layers != nil, head.Manifests != nil
	switch {
	case hasLayers && hasManifests:
		return "", malformed(errors.New("it has both manifests and config or layers, so that it can be read in two ways; publish it again as one of them"))
	case hasLayers && said.IsIndex(), hasManifests && said.IsImage():
		return "", malformed(fmt.Errorf("it is made of other parts than its media type %q says; publish it again", said.MediaType))
	case said.MediaType != "":
		return said.MediaType, nil
	case hasManifests && !told.IsIndex():
		return MediaTypeIndex, nil
	case hasLayers && !told.IsImage():
		return MediaTypeManifest, nil
	case !hasManifests && !hasLayers && (told.IsIndex() || told.IsImage()):
		return "", nil // it is neither
	}
	return told.MediaType, nil
}

// IsIndex reports whether the manifest is a list of manifests.
func (m *Manifest) IsIndex() bool {
	return m.MediaType == ocispec.MediaTypeImageIndex || m.MediaType == dockerManifestList
}

// IsImage reports whether the manifest is one of config and layers.
func (m *Manifest) IsImage() bool {
	return m.MediaType == ocispec.MediaTypeImageManifest || m.MediaType == dockerManifest
}

// Image decodes a manifest of config and layers.
func (m *Manifest) Image() (*ocispec.Manifest, error) {
	var out ocispec.Manifest
	if err := json.Unmarshal(m.Bytes, &out); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	return &out, nil
}

// Index decodes a list of manifests.
func (m *Manifest) Index() (*ocispec.Index, error) {
	var out ocispec.Index
	if err := json.Unmarshal(m.Bytes, &out); err != nil {
		return nil, fmt.Errorf("index %s: %w", m.Digest, err)
	}
	return &out, nil
}
