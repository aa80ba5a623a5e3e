package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// types are the media types of an image.
type types struct{ index, manifest, config, layer string }

var (
	ociTypes = types{
		ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageConfig, ocispec.MediaTypeImageLayerGzip,
	}
	dockerTypes = types{
		"application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip",
	}
	chartTypes = types{
		manifest: ocispec.MediaTypeImageManifest, config: "application/vnd.cncf.helm.config.v1+json", layer: "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
	}
)

// pusher pushes one artifact.
type pusher struct {
	*publisher

	types
	repository *oci.Repository
}

func (p *publisher) pusher(reference string, t types) (*pusher, oci.Reference, error) {
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return nil, ref, err
	}
	client := oci.NewClient(oci.Options{Home: ref.Host, Credentials: p.Access.Credentials, Transport: p.Access.Transport})
	repository, err := client.Repository(ref.Location)
	return &pusher{publisher: p, types: t, repository: repository}, ref, err
}

// image pushes an image for two platforms: each has a layer that all versions share, and one of its own. The index is
// indented, as no tool of ours would write it: who writes it anew is found out.
func (p *publisher) image(ctx context.Context, name string, docker bool) (ocmtest.Resource, error) {
	reference, t := p.URL+"/images/"+name+":"+p.Version, ociTypes
	if docker {
		t = dockerTypes
	}
	w, ref, err := p.pusher(reference, t)
	if err != nil {
		return ocmtest.Resource{}, err
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: t.index}
	for _, arch := range []string{"amd64", "arm64"} {
		config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{"Labels":{"version":%q,"image":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, arch, p.Version, name)
		layers := [][]byte{p.filling("base "+arch, baseBytes), p.filling(name+arch+p.Version, ownBytes)}
		m, err := w.manifest(ctx, config, layers, "")
		if err != nil {
			return ocmtest.Resource{}, err
		}
		m.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, m)
	}
	raw, err := json.MarshalIndent(index, "", "   ")
	if err != nil {
		return ocmtest.Resource{}, fmt.Errorf("encode the index of %s: %w", name, err)
	}
	raw = append(raw, '\n')
	d, err := w.push(ctx, t.index, raw, ref.Tag)
	p.made.Images[name] = strings.TrimPrefix(reference, "http://") + "@" + d.String()
	return p.artifactResource(name, "ociImage", reference, d), err
}

// chart pushes a chart as Helm does. Its content is of no use to Helm.
func (p *publisher) chart(ctx context.Context) (ocmtest.Resource, error) {
	reference := p.URL + "/charts/shop:" + p.Version
	w, ref, err := p.pusher(reference, chartTypes)
	if err != nil {
		return ocmtest.Resource{}, err
	}
	config := fmt.Appendf(nil, `{"name":"shop","version":%q,"apiVersion":"v2"}`, p.Version)
	m, err := w.manifest(ctx, config, [][]byte{p.filling("chart"+p.Version, chartBytes)}, ref.Tag)
	return p.artifactResource("chart", "helmChart", reference, m.Digest), err
}

// manifest pushes a manifest with what it names. Without a tag it goes by its digest.
func (w *pusher) manifest(ctx context.Context, config []byte, layers [][]byte, tag string) (ocispec.Descriptor, error) {
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: w.types.manifest}
	var err error
	if m.Config, err = w.blob(ctx, w.config, config); err != nil {
		return ocispec.Descriptor{}, err
	}
	for _, content := range layers {
		layer, err := w.blob(ctx, w.layer, content)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		m.Layers = append(m.Layers, layer)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("encode a manifest: %w", err)
	}
	d := digest.FromBytes(raw)
	if tag == "" {
		tag = d.String()
	}
	_, err = w.push(ctx, w.types.manifest, raw, tag)
	return ocispec.Descriptor{MediaType: w.types.manifest, Digest: d, Size: int64(len(raw))}, err
}

func (w *pusher) push(ctx context.Context, mediaType string, raw []byte, tag string) (digest.Digest, error) {
	w.made.Manifests[digest.FromBytes(raw)] = raw
	return w.repository.PushManifest(ctx, mediaType, raw, tag)
}

func (w *pusher) blob(ctx context.Context, mediaType string, content []byte) (ocispec.Descriptor, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: w.count(content), Size: int64(len(content))}
	return desc, w.repository.PushBlob(ctx, desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
}
