package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestImageIsWhatMakeBuildGives builds the operator as `make build` does, and an image of it twice, and pushes that: what another
// client pulls from a registry are the same bytes.
func TestImageIsWhatMakeBuildGives(t *testing.T) {
	// A commit during the test would be another stamp.
	t.Setenv("VERSION", "v1.2.3")
	t.Setenv("COMMIT", "0123456789abcdef0123456789abcdef01234567")
	t.Setenv("DATE", "2026-03-01T12:00:00Z")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	dir := t.TempDir()
	binary := filepath.Join(dir, "ocm-operator")
	if out, err := exec.Command("../build.sh", binary).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	want, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	tag := strings.TrimPrefix(server.URL, "http://") + "/team/operator:v1.2.3"

	first, second := filepath.Join(dir, "first.tar"), filepath.Join(dir, "second.tar")
	printed := runImage(t, "-o", first, "-tag", tag, "-push", "-plain-http")
	if again := runImage(t, "-o", second, "-tag", tag, "-binary", binary); again != printed {
		t.Errorf("two images of one commit are %s and %s", printed, again)
	}
	if !bytes.Equal(read(t, first), read(t, second)) {
		t.Error("two images of one commit differ")
	}

	img := pull(t, tag)
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if printed != tag+"@"+digest.String()+"\n" {
		t.Errorf("printed %q, but %s is %s", printed, tag, digest)
	}
	files := filesOf(t, img)
	if !bytes.Equal(files["ocm-operator"], want) {
		t.Error("the program in the image is not what make build gives")
	}
	if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
		t.Error("the image has no certificate authorities")
	}
	if passwd := string(files["etc/passwd"]); !strings.Contains(passwd, ":65532:65532:") {
		t.Errorf("/etc/passwd = %q", passwd)
	}
	checkLabels(t, img)
}

func checkLabels(t *testing.T, img v1.Image) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Config.User != "65532:65532" || config.Architecture != runtime.GOARCH {
		t.Errorf("user %q, architecture %q", config.Config.User, config.Architecture)
	}
	manifest, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		ocispec.AnnotationVersion:  "v1.2.3",
		ocispec.AnnotationRevision: "0123456789abcdef0123456789abcdef01234567",
		ocispec.AnnotationCreated:  "2026-03-01T12:00:00Z",
		ocispec.AnnotationLicenses: "Apache-2.0",
		ocispec.AnnotationSource:   "https://github.com/ocm-operator/ocm-operator",
	} {
		if config.Config.Labels[key] != value || manifest.Annotations[key] != value {
			t.Errorf("%s: label %q, annotation %q, want %q", key, config.Config.Labels[key], manifest.Annotations[key], value)
		}
	}
}

func TestWrongProgramsAreRefused(t *testing.T) {
	tests := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"other platform":  {"it would not start", []string{"-platforms", "linux/s390x", "-binary", os.Args[0]}, "was built for linux/" + runtime.GOARCH},
		"no program":      {"a shell script has no platform", []string{"-binary", "../build.sh"}, "read what ../build.sh was built for"},
		"one for all":     {"each platform has its own", []string{"-platforms", "linux/amd64,linux/arm64", "-binary", "x"}, "write {arch}"},
		"other system":    {"the operator is for linux", []string{"-platforms", "windows/amd64"}, "-platforms: "},
		"short name":      {"nobody could pull it", []string{"-tag", "operator:v1", "-binary", os.Args[0]}, "ghcr.io/owner/name:v1"},
		"forgotten flag":  {"it would be ignored", []string{"linux/amd64"}, "only flags"},
		"time of nothing": {"nobody else would get the same image", nil, "SOURCE_DATE_EPOCH"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.args == nil {
				t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
			}
			t.Setenv("CGO_ENABLED", "0")
			err := run(t.Context(), append([]string{"-o", filepath.Join(t.TempDir(), "image.tar")}, tt.args...), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q: %s", err, tt.want, tt.reason)
			}
		})
	}
}

func runImage(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func pull(t *testing.T, tag string) v1.Image {
	t.Helper()
	ref, err := name.ParseReference(tag)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func filesOf(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, layer := range layers {
		readLayer(t, layer, files)
	}
	return files
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func readLayer(t *testing.T, layer v1.Layer, files map[string][]byte) {
	t.Helper()
	content, err := layer.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	tr := tar.NewReader(content)
	for {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}
