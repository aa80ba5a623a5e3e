package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of snapshot artifacts. They are those that Flux and Helm look for.
const (
	MediaTypeDirectoryConfig = "application/vnd.cncf.flux.config.v1+json"
	MediaTypeDirectory       = "application/vnd.cncf.flux.content.v1.tar+gzip"
	MediaTypeChartConfig     = "application/vnd.cncf.helm.config.v1+json"
	MediaTypeChart           = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	// MediaTypeOpaque is the media type of opaque content whose own one is not known.
	MediaTypeOpaque = "application/octet-stream"
)

// Annotations of a snapshot's manifest.
const (
	AnnotationComponent        = "delivery.ocm.software/component"
	AnnotationComponentVersion = "delivery.ocm.software/component-version"
	AnnotationResource         = "delivery.ocm.software/resource"
	AnnotationResourceVersion  = "delivery.ocm.software/resource-version"
	AnnotationSourceDigest     = "delivery.ocm.software/source-digest"
)

// maxChartConfig bounds the metadata of a chart: it is held in memory, and clients refuse
// larger ones.
const maxChartConfig = 1 << 20

// Kind says how the content of a snapshot is laid out, which decides its media types.
type Kind int

const (
	// Directory is a tree of files as a tar.gz, in the layout that Flux's OCIRepository unpacks.
	Directory Kind = iota
	// Chart is a packed Helm chart, in the layout that Helm and Flux's HelmRelease pull.
	Chart
	// Opaque is anything else; the bytes and their media type are kept as they are.
	Opaque
)

// Meta describes the content of a snapshot. Every field is part of the manifest, and so of
// its digest, except for Tag.
type Meta struct {
	// Component is the name of the component that the content came from.
	Component string
	// ComponentVersion is the version of that component.
	ComponentVersion string
	// Resource is the name of the resource within the component version.
	Resource string
	// ResourceVersion is the version of that resource.
	ResourceVersion string
	// SourceDigest is the digest of what the content was made from.
	SourceDigest string
	// Tag is put on the manifest; empty means Tag(ResourceVersion).
	Tag string
	// MediaType is the media type of Opaque content; the other kinds have fixed ones.
	MediaType string
	// Kind is the layout of the content.
	Kind Kind
	// ChartConfig is the metadata of a Chart as JSON: the artifact's config blob. Empty means {}.
	ChartConfig []byte
}

// Result tells where a snapshot's content is.
type Result struct {
	// LayerDigest is the digest of the content itself.
	LayerDigest digest.Digest
	// ManifestDigest is the digest that consumers pin.
	ManifestDigest digest.Digest
	// Size is the length of the content in bytes.
	Size int64
}

// Write streams content into a new snapshot. Nothing becomes visible unless content
// returned nil and every byte is stored. The same content and meta give the same digests, wherever
// and whenever they are written.
func Write(ctx context.Context, repo Repository, m Meta, content func(w io.Writer) error) (Result, error) {
	config, configType, err := m.config()
	if err != nil {
		return Result{}, err
	}
	layer, err := writeBlob(ctx, repo, content)
	if err != nil {
		return Result{}, fmt.Errorf("write snapshot content: %w", err)
	}
	layer.MediaType = m.layerType()
	configDesc, err := writeBlob(ctx, repo, func(w io.Writer) error {
		_, err := w.Write(config)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("write snapshot config: %w", err)
	}
	configDesc.MediaType = configType
	body, err := m.manifest(configDesc, layer)
	if err != nil {
		return Result{}, err
	}
	tag := m.Tag
	if tag == "" {
		tag = Tag(m.ResourceVersion)
	}
	desc, err := repo.PutManifest(ctx, ocispec.MediaTypeImageManifest, body, tag)
	if err != nil {
		return Result{}, fmt.Errorf("write snapshot manifest: %w", err)
	}
	return Result{LayerDigest: layer.Digest, ManifestDigest: desc.Digest, Size: layer.Size}, nil
}

func writeBlob(ctx context.Context, repo Repository, content func(w io.Writer) error) (desc ocispec.Descriptor, err error) {
	stage, err := repo.Stage(ctx)
	if err != nil {
		return desc, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	if err := content(untilDone(ctx, stage)); err != nil {
		return desc, err
	}
	committed, err := stage.Commit(ctx, "")
	// Only what the bytes decide goes into a manifest, whatever else a store reports.
	return ocispec.Descriptor{Digest: committed.Digest, Size: committed.Size}, err
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// untilDone ends a transfer whose context is over, even when its source never looks at one.
func untilDone(ctx context.Context, w io.Writer) io.Writer {
	return writerFunc(func(p []byte) (int, error) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		return w.Write(p)
	})
}

func (m Meta) config() ([]byte, string, error) {
	switch m.Kind {
	case Directory:
		return []byte("{}"), MediaTypeDirectoryConfig, nil
	case Opaque:
		return []byte("{}"), ocispec.MediaTypeEmptyJSON, nil
	case Chart:
	default:
		return nil, "", fmt.Errorf("snapshot kind %d is unknown: use Directory, Chart or Opaque", m.Kind)
	}
	switch {
	case len(m.ChartConfig) == 0:
		return []byte("{}"), MediaTypeChartConfig, nil
	case len(m.ChartConfig) > maxChartConfig:
		return nil, "", fmt.Errorf("chart metadata has %d bytes, more than %d", len(m.ChartConfig), maxChartConfig)
	case !json.Valid(m.ChartConfig):
		return nil, "", errors.New("chart metadata is not valid JSON")
	}
	return m.ChartConfig, MediaTypeChartConfig, nil
}

func (m Meta) layerType() string {
	switch {
	case m.Kind == Directory:
		return MediaTypeDirectory
	case m.Kind == Chart:
		return MediaTypeChart
	case m.MediaType == "":
		return MediaTypeOpaque
	default:
		return m.MediaType
	}
}

func (m Meta) manifest(config, layer ocispec.Descriptor) ([]byte, error) {
	manifest := ocispec.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   ocispec.MediaTypeImageManifest,
		Config:      config,
		Layers:      []ocispec.Descriptor{layer},
		Annotations: m.annotations(),
	}
	if m.Kind == Opaque {
		// An artifact with an empty config has to name its type.
		manifest.ArtifactType = layer.MediaType
	}
	body, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot manifest: %w", err)
	}
	return body, nil
}

func (m Meta) annotations() map[string]string {
	annotations := map[string]string{}
	set := func(key, value string) {
		if value != "" {
			annotations[key] = value
		}
	}
	set(AnnotationComponent, m.Component)
	set(AnnotationComponentVersion, m.ComponentVersion)
	set(AnnotationResource, m.Resource)
	set(AnnotationResourceVersion, m.ResourceVersion)
	set(AnnotationSourceDigest, m.SourceDigest)
	set(ocispec.AnnotationVersion, m.ComponentVersion)
	if m.ComponentVersion != "" && m.SourceDigest != "" {
		// Flux shows this as the origin revision of what it applied.
		set(ocispec.AnnotationRevision, m.ComponentVersion+"@"+m.SourceDigest)
	}
	return annotations
}
