package store

import (
	"encoding/json"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	// MaxManifestBytes is the greatest size of a manifest.
	MaxManifestBytes = 4 << 20

	mediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	mediaTypeDockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"

	// maxReferences bounds what one manifest may make the index write.
	maxReferences = 10_000
)

// document is what the store reads of a manifest or an index.
type document struct {
	SchemaVersion int                   `json:"schemaVersion"`
	MediaType     string                `json:"mediaType"`
	ArtifactType  string                `json:"artifactType"`
	Config        *ocispec.Descriptor   `json:"config"`
	Layers        *[]ocispec.Descriptor `json:"layers"`
	Manifests     *[]ocispec.Descriptor `json:"manifests"`
	Subject       *ocispec.Descriptor   `json:"subject"`
	Annotations   map[string]string     `json:"annotations"`
}

// ManifestMediaTypes lists the media types that PutManifest accepts.
func ManifestMediaTypes() []string {
	return []string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, mediaTypeDockerManifest, mediaTypeDockerList}
}

// parseManifest reads a manifest and refuses what could be taken for two different things.
func parseManifest(mediaType string, body []byte) (*document, error) {
	if len(body) > MaxManifestBytes {
		return nil, manifestError("it has %d bytes, more than %d", len(body), MaxManifestBytes)
	}
	if !slices.Contains(ManifestMediaTypes(), mediaType) {
		return nil, manifestError("media type %q is not one of %s", clip(mediaType), strings.Join(ManifestMediaTypes(), ", "))
	}
	var m document
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, manifestError("it is not valid JSON: %v", err)
	}
	if err := checkKeys(body, manifestShape()); err != nil {
		return nil, manifestError("it can be read in two ways: %v", err)
	}
	switch {
	case m.SchemaVersion != 2:
		return nil, manifestError("schemaVersion is %d, not 2", m.SchemaVersion)
	case m.MediaType != "" && m.MediaType != mediaType:
		return nil, manifestError("it was pushed as %s and says that it is %q", mediaType, clip(m.MediaType))
	}
	if err := m.checkShape(mediaType); err != nil {
		return nil, err
	}
	return &m, m.checkDescriptors()
}

// checkShape keeps one document from being an image to one client and an index to another.
func (m *document) checkShape(mediaType string) error {
	if mediaType == ocispec.MediaTypeImageIndex || mediaType == mediaTypeDockerList {
		if m.Config != nil || m.Layers != nil {
			return manifestError("an index has no config and no layers")
		}
		if m.Manifests == nil {
			return manifestError("an index needs manifests, at least an empty list")
		}
		return nil
	}
	if m.Manifests != nil {
		return manifestError("an image manifest has no manifests")
	}
	if m.Config == nil {
		return manifestError("an image manifest needs a config")
	}
	if m.Layers == nil {
		return manifestError("an image manifest needs layers, at least an empty list")
	}
	return nil
}

func (m *document) checkDescriptors() error {
	all := slices.Concat(m.blobs(), m.children())
	if m.Subject != nil {
		all = append(all, *m.Subject)
	}
	if len(all) > maxReferences {
		return manifestError("it names %d things, more than %d", len(all), maxReferences)
	}
	for _, d := range all {
		if _, err := ParseDigest(string(d.Digest)); err != nil {
			return manifestError("it names %q, which is not a valid digest", clip(string(d.Digest)))
		}
		if d.Size < 0 {
			return manifestError("it names %s with a negative size", d.Digest)
		}
	}
	return nil
}

// blobs returns the config and the layers.
func (m *document) blobs() []ocispec.Descriptor {
	var all []ocispec.Descriptor
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	if m.Layers != nil {
		all = append(all, *m.Layers...)
	}
	return all
}

// children returns the manifests of an index.
func (m *document) children() []ocispec.Descriptor {
	if m.Manifests == nil {
		return nil
	}
	return *m.Manifests
}

// artifactType is what the referrers API shows.
func (m *document) artifactType() string {
	if m.ArtifactType == "" && m.Config != nil {
		return m.Config.MediaType
	}
	return m.ArtifactType
}

// elsewhere tells whether a layer is meant to be fetched from a place of its own.
func elsewhere(d ocispec.Descriptor) bool {
	return len(d.URLs) > 0 || strings.Contains(d.MediaType, ".nondistributable.") || strings.Contains(d.MediaType, ".foreign.")
}
