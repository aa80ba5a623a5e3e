package ocm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// withTag returns what an archive lists with a tag; what was overwritten is still
// listed without.
func withTag(t testing.TB, name string) []vectors.Artifact {
	t.Helper()
	return slices.DeleteFunc(vectors.Artifacts(t, name), func(a vectors.Artifact) bool { return a.Tag == "" })
}

// copyArtifact copies a manifest with all it lists.
func copyArtifact(t testing.TB, to oci.Storage, blobs func(digest.Digest) []byte, d digest.Digest, tag string) {
	t.Helper()
	m, err := oci.NewManifest(blobs(d), ocispec.MediaTypeImageManifest)
	if err != nil {
		t.Fatal(err)
	}
	if m.IsIndex() {
		index, err := m.Index()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range index.Manifests {
			copyArtifact(t, to, blobs, part.Digest, part.Digest.String())
		}
	} else {
		image, err := m.Image()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range append(image.Layers, image.Config) {
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blobs(l.Digest))), nil }
			if err := to.PushBlob(t.Context(), l, open); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := to.PushManifest(t.Context(), m.MediaType, m.Bytes, tag); err != nil {
		t.Fatal(err)
	}
}

// redirect sends what is for one host to another.
type redirect struct{ from, to string }

// RoundTrip implements http.RoundTripper.
func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == r.from {
		req = req.Clone(req.Context())
		req.URL.Host = r.to
	}
	return http.DefaultTransport.RoundTrip(req)
}

// readEverywhere reads the component versions of an archive in every form it can
// be stored in, and in a registry.
func readEverywhere(t *testing.T, name string, o ocm.Options) {
	t.Helper()
	plain, packed := tarballs(t, vectors.Files(t, name))
	url, _ := vectors.Serve(t, name)
	places := []func() (*ocm.Repository, error){
		func() (*ocm.Repository, error) { return ocm.OpenCTF(vectors.CTF(t, name), o) },
		func() (*ocm.Repository, error) { return ocm.OpenCTF(plain, o) },
		func() (*ocm.Repository, error) { return ocm.OpenCTF(packed, o) },
		func() (*ocm.Repository, error) { return ocm.Open(url, o) },
	}
	var first []string
	for _, place := range places {
		repo, err := place()
		if err != nil {
			t.Fatal(err)
		}
		got := readEverything(t, repo, withTag(t, name))
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" || len(got) == 0 {
			t.Errorf("%s differs from the first place (-first +this):\n%s", repo.URL(), diff)
		}
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tarballs writes the files of an archive as a tarball, and as a packed one.
func tarballs(t *testing.T, files map[string][]byte) (plain, packed string) {
	t.Helper()
	dir := t.TempDir()
	plain, packed = filepath.Join(dir, "plain.tar"), filepath.Join(dir, "packed.tgz")
	archive, zipped := new(bytes.Buffer), new(bytes.Buffer)
	zw := gzip.NewWriter(zipped)
	tw := tar.NewWriter(io.MultiWriter(archive, zw))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "./" + name, Mode: 0o600, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := tw.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close(), os.WriteFile(plain, archive.Bytes(), 0o600), os.WriteFile(packed, zipped.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return plain, packed
}

// readEverything returns what there is in a repository, one line each.
func readEverything(t *testing.T, repo *ocm.Repository, artifacts []vectors.Artifact) []string {
	t.Helper()
	var out []string
	for _, a := range artifacts {
		component, version := strings.TrimPrefix(a.Repository, "component-descriptors/"), oci.VersionOf(a.Tag)
		cv, err := repo.Get(t.Context(), component, version)
		if err != nil {
			t.Errorf("Get(%s, %s): %v", component, version, err)
			continue
		}
		if cv.ManifestDigest() != a.Digest {
			t.Errorf("%s:%s has manifest digest %s, want %s", component, version, cv.ManifestDigest(), a.Digest)
		}
		all := cv.Descriptor().Component.Resources
		for i := range all {
			out = append(out, component+":"+version+" "+readResource(t, cv, &all[i]))
		}
	}
	return out
}

func readResource(t *testing.T, cv *ocm.ComponentVersion, res *descriptor.Resource) string {
	t.Helper()
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{MaxBytes: 1 << 20})
	if errors.Is(err, ocm.ErrUnsupported) && (res.Type == "ociImage" || res.Access.Kind() == "none") {
		return res.String() + " has no content"
	}
	if err != nil {
		t.Errorf("%s:%s: open %s (%s): %v", cv.Component(), cv.Version(), &res.Element, res.Access.Raw, err)
		return ""
	}
	defer blob.Close()
	data, err := io.ReadAll(blob)
	if err != nil {
		t.Errorf("%s:%s: read %s: %v", cv.Component(), cv.Version(), &res.Element, err)
	}
	if got := digest.FromBytes(data); got != blob.Digest || len(data) == 0 {
		t.Errorf("%s has %d bytes with digest %s, want %s", &res.Element, len(data), got, blob.Digest)
	}
	// What is no artifact must be what the descriptor says.
	spec, local, err := access.DecodeLocal(res.Access)
	if err != nil {
		t.Error(err)
	}
	if local && spec.IsArtifact() {
		return res.String() + " " + blob.MediaType + " " + blob.Digest.String()
	}
	if res.Digest != nil && res.Digest.ForBlob() && res.Type != "ociImage" && res.Access.Kind() != "ociArtifact" {
		if want, err := res.Digest.OCI(); err != nil || want != digest.FromBytes(data) {
			t.Errorf("%s has digest %s, the descriptor says %s, %v", &res.Element, digest.FromBytes(data), want, err)
		}
	}
	return res.String() + " " + blob.MediaType + " " + blob.Digest.String()
}

// TestVectorsRewritten copies all component versions of an archive into new ones
// and reads them there.
func TestVectorsRewritten(t *testing.T) {
	t.Parallel()
	const name = "classic/ctf-byvalue"
	o, dir := withImages(t), t.TempDir()
	var first []string
	for _, file := range []string{"copy", "copy.tgz"} {
		store, err := ctf.Create(filepath.Join(dir, file), ctf.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range withTag(t, name) {
			repo, err := store.Repository(a.Repository)
			if err != nil {
				t.Fatal(err)
			}
			copyArtifact(t, repo, vectors.Blob, a.Digest, a.Tag)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		repo, err := ocm.OpenCTF(filepath.Join(dir, file), o)
		if err != nil {
			t.Fatal(err)
		}
		got := readEverything(t, repo, withTag(t, name))
		if first == nil {
			first = got
		}
		if diff := cmp.Diff(first, got); diff != "" || len(got) == 0 {
			t.Errorf("%s (-directory +this):\n%s", file, diff)
		}
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	}
	files := vectors.Files(t, name)
	delete(files, "artifact-index.json")
	for path, content := range files {
		if got, err := os.ReadFile(filepath.Join(dir, "copy", path)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s differs, %v", path, err)
		}
	}
}
