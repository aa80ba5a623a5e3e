package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	inmemory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const chartYAML = `apiVersion: v2
name: demo
version: 1.2.3
appVersion: v1.2.3
description: A chart.
home: https://example.com
sources: [https://example.com/sources, https://example.com/more]
keywords: [a, b]
maintainers:
  - name: One
    email: one@example.com
  - name: Two
annotations:
  example.com/one: "1"
  org.opencontainers.image.title: not the name
  org.opencontainers.image.url: https://example.com/other
`

// world is a registry without anything in it, and a release.
type world struct {
	t       *testing.T
	host    string
	archive string
	pkg     string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(inmemory.New(inmemory.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	w := &world{t: t, host: strings.TrimPrefix(server.URL, "http://"), archive: filepath.Join(t.TempDir(), "image.tar")}
	w.build("first")
	w.pkg = writePackage(t, "demo/Chart.yaml", chartYAML)
	return w
}

func (w *world) image() string { return w.host + "/team/demo:v1.2.3" }
func (w *world) chart() string { return w.host + "/team/charts/demo:1.2.3" }

// build makes an image with such a program.
func (w *world) build(program string) {
	w.t.Helper()
	archive := scratch.Archive{Names: []string{w.image()}, Images: []scratch.Image{{
		Platform: scratch.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Files:    []scratch.File{{Name: "/demo", Content: []byte(program)}},
	}}}
	if _, err := archive.WriteFile(w.archive); err != nil {
		w.t.Fatal(err)
	}
}

// writePackage makes a package with one file.
func writePackage(t *testing.T, name, text string) string {
	t.Helper()
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	header := tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)}
	if err := archive.WriteHeader(&header); err != nil {
		t.Fatal(err)
	}
	_, err := archive.Write([]byte(text))
	if err := errors.Join(err, archive.Close(), compressed.Close()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "demo-1.2.3.tgz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (w *world) args() []string {
	return []string{"-image", w.image(), "-archive", w.archive, "-chart", w.chart(), "-package", w.pkg, "-plain-http"}
}

func (w *world) publish() (string, error) {
	w.t.Helper()
	var out bytes.Buffer
	err := run(w.t.Context(), w.args(), &out)
	return out.String(), err
}

// leads tells where a name leads, and is empty if it does not exist.
func (w *world) leads(name string) string {
	w.t.Helper()
	repository := w.repository(name)
	desc, err := repository.Resolve(w.t.Context(), repository.Reference.Reference)
	if err != nil && !errors.Is(err, errdef.ErrNotFound) {
		w.t.Fatal(err)
	}
	return desc.Digest.String()
}

func (w *world) repository(name string) *remote.Repository {
	w.t.Helper()
	repository, err := remote.NewRepository(name)
	if err != nil {
		w.t.Fatal(err)
	}
	repository.PlainHTTP = true
	return repository
}

func TestWhatIsPublishedStays(t *testing.T) {
	w := newWorld(t)
	first, err := w.publish()
	if err != nil {
		t.Fatal(err)
	}
	image, chart := w.leads(w.image()), w.leads(w.chart())
	if want := fmt.Sprintf("image=%s\nchart=%s\n", image, chart); first != want {
		t.Fatalf("printed %q, want %q", first, want)
	}
	if again, err := w.publish(); err != nil || again != first {
		t.Errorf("the same once more: %q, %v, want %q: a run that has failed can be repeated", again, err, first)
	}

	w.build("second")
	if out, err := w.publish(); err == nil || out != "" || !strings.Contains(err.Error(), w.image()+" is "+image+" already") {
		t.Errorf("another image: printed %q, error %v", out, err)
	}
	w.build("first")
	w.pkg = writePackage(t, "demo/Chart.yaml", chartYAML+"icon: https://example.com/icon.svg\n")
	if out, err := w.publish(); err == nil || out != "" || !strings.Contains(err.Error(), w.chart()+" is "+chart+" already") {
		t.Errorf("another chart: printed %q, error %v", out, err)
	}
	if w.leads(w.image()) != image || w.leads(w.chart()) != chart {
		t.Error("what was refused has changed what is published")
	}
}

func TestNothingIsPushedWhenOneIsRefused(t *testing.T) {
	w := newWorld(t)
	other := readTestChart(t, writePackage(t, "demo/Chart.yaml", chartYAML+"icon: https://example.com/icon.svg\n"), w.chart())
	if err := errors.Join(other.open(true), other.push(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := w.publish(); err == nil {
		t.Fatal("published, though the name of the chart leads to another one")
	}
	if there := w.leads(w.image()); there != "" {
		t.Errorf("the chart was refused, but %s is %s", w.image(), there)
	}
}

func readTestChart(t *testing.T, file, name string) *artifact {
	t.Helper()
	a, err := readChart(t.Context(), file, name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestChartIsAsHelmPushesIt looks at the manifest, by which Helm and Flux know a chart.
func TestChartIsAsHelmPushesIt(t *testing.T) {
	w := newWorld(t)
	if _, err := w.publish(); err != nil {
		t.Fatal(err)
	}
	repository := w.repository(w.chart())
	desc, err := repository.Resolve(t.Context(), repository.Reference.Reference)
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	decode(t, fetch(t.Context(), t, repository, desc), &manifest)
	if manifest.Config.MediaType != "application/vnd.cncf.helm.config.v1+json" || len(manifest.Layers) != 1 ||
		manifest.Layers[0].MediaType != "application/vnd.cncf.helm.chart.content.v1.tar+gzip" {
		t.Fatalf("manifest %+v", manifest)
	}
	packed, err := os.ReadFile(w.pkg)
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Layers[0].Digest != digest.FromBytes(packed) {
		t.Error("the content is not the package, so its signature and its checksum tell of different things")
	}
	if diff := cmp.Diff(map[string]string{
		"org.opencontainers.image.title":       "demo",
		"org.opencontainers.image.version":     "1.2.3",
		"org.opencontainers.image.description": "A chart.",
		"org.opencontainers.image.url":         "https://example.com/other",
		"org.opencontainers.image.source":      "https://example.com/sources",
		"org.opencontainers.image.authors":     "One (one@example.com), Two",
		"org.opencontainers.image.created":     "2026-03-31T12:00:00Z",
		"example.com/one":                      "1",
	}, manifest.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	var config map[string]any
	decode(t, fetch(t.Context(), t, repository, manifest.Config), &config)
	if config["name"] != "demo" || config["appVersion"] != "v1.2.3" || len(config) != 10 {
		t.Errorf("configuration %v, want all of Chart.yaml", config)
	}
}

func fetch(ctx context.Context, t *testing.T, from content.Fetcher, desc ocispec.Descriptor) []byte {
	t.Helper()
	text, err := content.FetchAll(ctx, from, desc)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotAReleaseIsRefused(t *testing.T) {
	w := newWorld(t)
	broken := filepath.Join(t.TempDir(), "broken.tgz")
	if err := os.WriteFile(broken, []byte("not an archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"nothing":           {"", []string{"-image="}, "are needed"},
		"an argument":       {"it would be ignored", []string{w.pkg}, "nothing but flags"},
		"image by digest":   {"nobody would find it by its version", []string{"-image", w.host + "/team/demo@" + digest.FromString("").String()}, "ghcr.io/owner/name:v1"},
		"other tag":         {"it is not what was built for that version", []string{"-image", w.host + "/team/demo:v1.2.4"}, "find the image v1.2.4"},
		"no archive":        {"", []string{"-archive", broken}, "read " + broken},
		"no package":        {"", []string{"-package", broken}, "read " + broken},
		"no chart in it":    {"", []string{"-package", writePackage(t, "demo/charts/other/Chart.yaml", chartYAML)}, "look for Chart.yaml"},
		"other chart":       {"Helm looks for the name", []string{"-chart", w.host + "/team/charts/other:1.2.3"}, "it has to end in /demo:1.2.3"},
		"other version":     {"Helm looks for the version", []string{"-chart", w.host + "/team/charts/demo:v1.2.3"}, "it has to end in /demo:1.2.3"},
		"without a version": {"", []string{"-chart", w.host + "/team/charts/demo"}, "ghcr.io/owner/name:v1"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := run(t.Context(), append(w.args(), tt.args...), io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q: %s", err, tt.want, tt.reason)
			}
		})
	}
	if w.leads(w.image()) != "" || w.leads(w.chart()) != "" {
		t.Error("something was pushed")
	}
}
