package ocm_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
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
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// imageHost is where the images of the vectors that are stored by reference
// once were.
const imageHost = "127.0.0.1:5077"

// vectorArchives returns the transport archives of the reference tools.
func vectorArchives(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/ctf/*.tgz")
	if err != nil || len(all) < 8 {
		t.Fatalf("found %d archives, %v", len(all), err)
	}
	return all
}

func gunzip(t testing.TB, path string) []byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return unzip(t, packed)
}

func unzip(t testing.TB, packed []byte) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func untar(t testing.TB, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	tr := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if files[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

type listed struct {
	Repository string        `json:"repository"`
	Tag        string        `json:"tag"`
	Digest     digest.Digest `json:"digest"`
}

func artifactsOf(t testing.TB, files map[string][]byte) []listed {
	t.Helper()
	var index struct {
		Artifacts []listed `json:"artifacts"`
	}
	if err := json.Unmarshal(files["artifact-index.json"], &index); err != nil {
		t.Fatal(err)
	}
	// What was overwritten is still listed, without a tag.
	return slices.DeleteFunc(index.Artifacts, func(a listed) bool { return a.Tag == "" })
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

// serveImages serves the images of the vectors, which are in artifact sets.
func serveImages(t *testing.T) *ocmtest.Server {
	t.Helper()
	server := ocmtest.Start(t)
	client := oci.NewClient(oci.Options{Home: server.Host})
	files := untar(t, gunzip(t, "testdata/ctf/classic-byvalue.tgz"))
	paths := map[string]string{
		"0.3.0": "orchard/charts/pear", "1.0.0": "orchard/pear-web", "2.0.0": "orchard/pear-multi",
	}
	images := 0
	for _, content := range files {
		if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
			continue
		}
		set := untar(t, unzip(t, content))
		var index ocispec.Index
		if set["index.json"] == nil || json.Unmarshal(set["index.json"], &index) != nil {
			continue
		}
		for _, m := range index.Manifests {
			tag, ok := m.Annotations["software.ocm/tags"]
			if !ok {
				continue
			}
			images++
			repo, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: paths[tag]})
			if err != nil {
				t.Fatal(err)
			}
			copyArtifact(t, repo, func(d digest.Digest) []byte { return set["blobs/"+strings.Replace(d.String(), ":", ".", 1)] }, m.Digest, tag)
		}
	}
	if images != len(paths) {
		t.Fatalf("%d images, want %d", images, len(paths))
	}
	return server
}

// TestVectors reads every component version of the reference tools in every
// form it can be stored in, and compares each content with the digest in the
// descriptor.
func TestVectors(t *testing.T) {
	t.Parallel()
	images := serveImages(t)
	o := ocm.Options{Transport: redirect{from: imageHost, to: images.Host}, Hosts: allowed(t, "127.0.0.1")}
	for _, path := range vectorArchives(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			archive := gunzip(t, path)
			readEverywhere(t, untar(t, archive), o, func() (*ocm.Repository, error) { return ocm.OpenCTF(path, o) })
		})
	}
}

// readEverywhere reads the component versions of an archive in every form it can
// be stored in, and in a registry.
func readEverywhere(t *testing.T, files map[string][]byte, o ocm.Options, places ...func() (*ocm.Repository, error)) {
	t.Helper()
	dir, folder := t.TempDir(), folderOf(t, files)
	archive := new(bytes.Buffer)
	tw := tar.NewWriter(archive)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: "./" + name, Mode: 0o600, Size: int64(len(files[name])), Typeflag: tar.TypeReg}
		if err := tw.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	plain, packed := filepath.Join(dir, "plain.tar"), filepath.Join(dir, "packed.tgz")
	if err := errors.Join(tw.Close(), os.WriteFile(plain, archive.Bytes(), 0o600), os.WriteFile(packed, zip(t, archive.Bytes()), 0o600)); err != nil {
		t.Fatal(err)
	}
	places = append(places,
		func() (*ocm.Repository, error) { return ocm.OpenCTF(folder, o) },
		func() (*ocm.Repository, error) { return ocm.OpenCTF(plain, o) },
		func() (*ocm.Repository, error) { return ocm.OpenCTF(packed, o) },
		func() (*ocm.Repository, error) { return ocm.Open(serveFiles(t, files), o) },
	)
	var first []string
	for _, place := range places {
		repo, err := place()
		if err != nil {
			t.Fatal(err)
		}
		got := readEverything(t, repo, artifactsOf(t, files))
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

// folderOf writes an archive as a directory.
func folderOf(t *testing.T, files map[string][]byte) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		target := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.WriteFile(target, content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func serveFiles(t *testing.T, files map[string][]byte) string {
	t.Helper()
	server := ocmtest.Start(t)
	client := oci.NewClient(oci.Options{Home: server.Host})
	for _, a := range artifactsOf(t, files) {
		repo, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "sub/" + a.Repository})
		if err != nil {
			t.Fatal(err)
		}
		copyArtifact(t, repo, func(d digest.Digest) []byte { return files["blobs/"+strings.Replace(d.String(), ":", ".", 1)] }, a.Digest, a.Tag)
	}
	u, err := url.JoinPath(server.URL, "sub")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// readEverything returns what there is in a repository, one line each.
func readEverything(t *testing.T, repo *ocm.Repository, artifacts []listed) []string {
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

// TestVectorsRewritten copies all component versions of an archive into a new
// one and reads them there.
func TestVectorsRewritten(t *testing.T) {
	t.Parallel()
	files := untar(t, gunzip(t, "testdata/ctf/classic-byvalue.tgz"))
	path := filepath.Join(t.TempDir(), "copy.tgz")
	store, err := ctf.Create(path, ctf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range artifactsOf(t, files) {
		repo, err := store.Repository(a.Repository)
		if err != nil {
			t.Fatal(err)
		}
		copyArtifact(t, repo, func(d digest.Digest) []byte { return files["blobs/"+strings.Replace(d.String(), ":", ".", 1)] }, a.Digest, a.Tag)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again := untar(t, gunzip(t, path))
	if diff := cmp.Diff(artifactsOf(t, files), artifactsOf(t, again)); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	delete(files, "artifact-index.json")
	for name, content := range files {
		if !bytes.Equal(again[name], content) {
			t.Errorf("%s differs", name)
		}
	}
}
