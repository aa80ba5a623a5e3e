package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"sigs.k8s.io/yaml"
)

// What a chart is in a registry: https://helm.sh/docs/topics/registries/#helm-chart-manifest.
const (
	chartConfigType  = "application/vnd.cncf.helm.config.v1+json"
	chartContentType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// metadata is what annotations of the manifest are made of.
type metadata struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	Home        string   `json:"home"`
	Sources     []string `json:"sources"`
	Maintainers []struct {
		Name  string `json:"name"`
		Email string `json:"email"`
	} `json:"maintainers"`
	Annotations map[string]string `json:"annotations"`
}

// readChart makes of a package what helm push would, but of nothing else: with the time that Chart.yaml has in it, in place of that of
// the file, the same package always has the same digest.
func readChart(ctx context.Context, file, name string) (*artifact, error) {
	ref, err := parseName(name)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the chart: %w", err)
	}
	text, created, err := chartFile(content)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var meta metadata
	if err := yaml.Unmarshal(text, &meta); err != nil {
		return nil, fmt.Errorf("read Chart.yaml of %s: %w", file, err)
	}
	if path.Base(ref.Repository) != meta.Name || ref.Reference != meta.Version {
		return nil, fmt.Errorf("name %s: Helm would not find %s %s there; it has to end in /%[2]s:%[3]s", ref, meta.Name, meta.Version)
	}
	source := memory.New()
	root, err := pack(ctx, source, content, text, meta.ociAnnotations(created))
	if err != nil {
		return nil, fmt.Errorf("make a manifest for %s: %w", file, err)
	}
	return &artifact{what: "chart", name: ref, root: root, source: source}, nil
}

// chartFile returns Chart.yaml from a package, and its time.
func chartFile(content []byte) ([]byte, time.Time, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, time.Time{}, err
	}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("look for Chart.yaml: %w", err)
		}
		// Charts that it depends on are further down.
		if folder, file := path.Split(header.Name); file != "Chart.yaml" || strings.Count(folder, "/") != 1 {
			continue
		}
		text, err := io.ReadAll(archive)
		return text, header.ModTime, err
	}
}

// pack writes the manifest and what it leads to.
func pack(ctx context.Context, store *memory.Store, content, chartYAML []byte, annotations map[string]string) (ocispec.Descriptor, error) {
	config, err := yaml.YAMLToJSON(chartYAML)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	configDesc, err := oras.PushBytes(ctx, store, chartConfigType, config)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layer, err := oras.PushBytes(ctx, store, chartContentType, content)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, "", oras.PackManifestOptions{
		ConfigDescriptor: &configDesc, Layers: []ocispec.Descriptor{layer}, ManifestAnnotations: annotations,
	})
}

// ociAnnotations are those that Helm gives to a manifest: what registries show, and what the chart itself has, which decides except over name and version.
func (m metadata) ociAnnotations(created time.Time) map[string]string {
	all := map[string]string{
		ocispec.AnnotationDescription: m.Description,
		ocispec.AnnotationURL:         m.Home,
		ocispec.AnnotationCreated:     created.UTC().Format(time.RFC3339),
	}
	if len(m.Sources) > 0 {
		all[ocispec.AnnotationSource] = m.Sources[0]
	}
	var authors []string
	for _, maintainer := range m.Maintainers {
		author := maintainer.Name
		if maintainer.Email != "" {
			author += " (" + maintainer.Email + ")"
		}
		authors = append(authors, author)
	}
	all[ocispec.AnnotationAuthors] = strings.Join(authors, ", ")
	maps.Copy(all, m.Annotations)
	all[ocispec.AnnotationTitle], all[ocispec.AnnotationVersion] = m.Name, m.Version
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}
