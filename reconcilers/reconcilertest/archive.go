package reconcilertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// Tar returns an archive with the files.
func Tar(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
		if _, err := io.WriteString(w, files[name]); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("write the archive: %v", err)
	}
	return out.Bytes()
}

// Gzip returns the content compressed.
func Gzip(t testing.TB, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(content); err != nil {
		t.Fatalf("compress: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("compress: %v", err)
	}
	return out.Bytes()
}

// Untar returns the files of an archive.
func Untar(t testing.TB, content []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for file, err := range archive.Files(bytes.NewReader(content), archive.Limits{}) {
		if err != nil {
			t.Fatalf("read the archive: %v", err)
		}
		if !file.Mode.IsRegular() {
			continue
		}
		raw, err := io.ReadAll(file)
		if err != nil {
			t.Fatalf("read %s: %v", file.Path, err)
		}
		files[file.Path] = string(raw)
	}
	return files
}

// Stored is what the registry holds of a snapshot.
type Stored struct {
	// MediaType is that of the content.
	MediaType string
	// Annotations are those of the manifest.
	Annotations map[string]string
	// Content is the content.
	Content []byte
}

// Stored reads the content of a snapshot by its manifest.
func (w *World) Stored(namespace, snapshotName, manifest string) Stored {
	w.t.Helper()
	repository, err := w.Store.Repository(snapshot.RepositoryName(namespace, snapshotName))
	if err != nil {
		w.t.Fatalf("open the repository of snapshot %s: %v", snapshotName, err)
	}
	content, err := snapshot.Open(w.t.Context(), repository, digest.Digest(manifest))
	if err != nil {
		w.t.Fatalf("open snapshot %s: %v", snapshotName, err)
	}
	defer func() { _ = content.Close() }()
	raw, err := io.ReadAll(content)
	if err != nil {
		w.t.Fatalf("read snapshot %s: %v", snapshotName, err)
	}
	return Stored{MediaType: content.MediaType, Annotations: content.Annotations, Content: raw}
}

// Tamper changes the file of a blob in the store into one with other bytes of the same length, as whoever has access to the
// disk could.
func (w *World) Tamper(blob string) {
	w.t.Helper()
	d := digest.Digest(blob)
	path := filepath.Join(w.Dir, "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded())
	content, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatalf("read blob %s: %v", blob, err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatalf("write blob %s: %v", blob, err)
	}
}
