package e2etest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Artifact returns what source-controller has stored of a source, and its Kustomization or HelmRelease reads.
func (e *Env) Artifact(kind, name string) []byte {
	e.tb.Helper()
	source := e.Wait(kind, name, Ready)
	field := func(name string) string {
		value, _, err := unstructured.NestedString(source.Object, "status", "artifact", name)
		if err != nil || value == "" {
			e.tb.Fatalf("%s %s has no artifact: %v", kind, source.GetName(), err)
		}
		return value
	}
	request, err := http.NewRequestWithContext(e.tb.Context(), http.MethodGet, field("url"), http.NoBody)
	if err != nil {
		e.tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.tb.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		e.tb.Fatalf("read the artifact of %s %s: %s, %v", kind, name, response.Status, err)
	}
	if got := digest.FromBytes(content).String(); got != field("digest") {
		e.tb.Fatalf("the artifact of %s %s has the digest %s, not what its status says", kind, name, got)
	}
	return content
}

// Files returns the regular files of a compressed archive.
func Files(tb testing.TB, content []byte) map[string]string {
	tb.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string]string{}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			tb.Fatal(err)
		}
		file, err := io.ReadAll(archive)
		if err != nil {
			tb.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			files[header.Name] = string(file)
		}
	}
}
