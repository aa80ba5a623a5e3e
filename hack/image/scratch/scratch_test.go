package scratch_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	"github.com/ocm-operator/ocm-operator/hack/image/scratch"
)

const name = "registry.example/team/server:v1.2.3"

func example(t *testing.T, platforms ...string) scratch.Archive {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(binary, []byte("not really a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive := scratch.Archive{Names: []string{name}, Annotations: map[string]string{ocispec.AnnotationVersion: "v1.2.3"}}
	for _, text := range platforms {
		platform, err := scratch.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		archive.Images = append(archive.Images, scratch.Image{
			Platform: platform,
			Files: []scratch.File{
				{Name: "/server", Mode: 0o755, Path: binary},
				{Name: "/etc/passwd", Content: []byte("nobody:x:65532:65532::/:\n")},
				{Name: "/etc/platform", Content: []byte(text)},
				{Name: "/bin/also", Link: "/server"},
				{Name: "/tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
				{Name: "/data", Mode: fs.ModeDir, UID: 65532, GID: 65532},
			},
			Entrypoint: []string{"/server"},
			Cmd:        []string{"--port=8080"},
			Env:        []string{"MODE=test"},
			User:       "65532:65532",
			WorkingDir: "/data",
			Ports:      []string{"8080/tcp"},
			Labels:     map[string]string{ocispec.AnnotationVersion: "v1.2.3", ocispec.AnnotationLicenses: "Apache-2.0"},
			Created:    time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)),
		})
	}
	return archive
}

func TestTheSameFilesAreTheSameBytes(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	a := example(t, "linux/amd64", "linux/arm64")
	one, err := a.Write(&first)
	if err != nil {
		t.Fatal(err)
	}
	// Neither the order in which files are given nor their times on the disk are part of the image.
	b := example(t, "linux/amd64", "linux/arm64")
	for i := range b.Images {
		slices.Reverse(b.Images[i].Files)
	}
	two, err := b.Write(&second)
	if err != nil {
		t.Fatal(err)
	}
	if one.Digest != two.Digest || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("two archives of the same files differ: %s and %s", one.Digest, two.Digest)
	}
	for _, header := range headers(t, &first) {
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uname != "" {
			t.Errorf("%s has a time or an owner of this machine: %v %q", header.Name, header.ModTime, header.Uname)
		}
	}
}

func TestAnotherClientReadsAllPlatforms(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "image.tar")
	root, err := example(t, "linux/amd64", "linux/arm64").WriteFile(path)
	if err != nil {
		t.Fatal(err)
	}
	store, err := oci.NewFromTar(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := store.Resolve(t.Context(), "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if found.Digest != root.Digest || found.MediaType != ocispec.MediaTypeImageIndex {
		t.Fatalf("the tag leads to %s %s, want the index %s", found.MediaType, found.Digest, root.Digest)
	}
	index := fetch[ocispec.Index](t, store, found)
	if index.Annotations[ocispec.AnnotationVersion] != "v1.2.3" || len(index.Manifests) != 2 {
		t.Fatalf("index = %+v", index)
	}
	for i, architecture := range []string{"amd64", "arm64"} {
		desc := index.Manifests[i]
		if desc.Platform == nil || desc.Platform.Architecture != architecture || desc.Platform.OS != "linux" {
			t.Errorf("platform of manifest %d = %+v, want linux/%s", i, desc.Platform, architecture)
		}
		checkImage(t, store, desc, "linux/"+architecture)
	}
}

func checkImage(t *testing.T, store content.Fetcher, desc ocispec.Descriptor, platform string) {
	t.Helper()
	manifest := fetch[ocispec.Manifest](t, store, desc)
	if manifest.Annotations[ocispec.AnnotationLicenses] != "Apache-2.0" {
		t.Errorf("annotations = %v", manifest.Annotations)
	}
	config := fetch[ocispec.Image](t, store, manifest.Config)
	created := time.Date(2026, 3, 1, 11, 0, 0, 0, time.UTC)
	want := ocispec.Image{
		Created:  &created,
		Platform: ocispec.Platform{OS: "linux", Architecture: strings.TrimPrefix(platform, "linux/")},
		Config: ocispec.ImageConfig{
			User: "65532:65532", ExposedPorts: map[string]struct{}{"8080/tcp": {}}, Env: []string{"MODE=test"}, Entrypoint: []string{"/server"},
			Cmd: []string{"--port=8080"}, WorkingDir: "/data",
			Labels: map[string]string{ocispec.AnnotationVersion: "v1.2.3", ocispec.AnnotationLicenses: "Apache-2.0"},
		},
		RootFS:  config.RootFS,
		History: []ocispec.History{{Created: &created, CreatedBy: "files"}},
	}
	if diff := cmp.Diff(want, config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}

	packed, err := content.FetchAll(t.Context(), store, manifest.Layers[0])
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	if diffID := digest.FromBytes(plain); len(config.RootFS.DiffIDs) != 1 || config.RootFS.DiffIDs[0] != diffID {
		t.Errorf("diff IDs = %v, want %s", config.RootFS.DiffIDs, diffID)
	}
	got := make([]string, 0, 8)
	for _, header := range headers(t, bytes.NewReader(plain)) {
		got = append(got, fmt.Sprintf("%s %s %d %s%s", header.FileInfo().Mode(), header.Name, header.Uid, header.Linkname, contentOf(t, plain, header.Name)))
	}
	files := []string{
		"drwxr-xr-x bin/ 0 ",
		"Lrwxrwxrwx bin/also 0 /server",
		"drwxr-xr-x data/ 65532 ",
		"drwxr-xr-x etc/ 0 ",
		"-rw-r--r-- etc/passwd 0 nobody:x:65532:65532::/:\n",
		"-rw-r--r-- etc/platform 0 " + platform,
		"-rwxr-xr-x server 0 not really a program",
		"dtrwxrwxrwx tmp/ 0 ",
	}
	if diff := cmp.Diff(files, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestOnePlatformIsAnImage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := example(t, "linux/arm/v7")
	a.Names = append(a.Names, "registry.example/team/server:latest")
	root, err := a.Write(&out)
	if err != nil {
		t.Fatal(err)
	}
	if root.MediaType != ocispec.MediaTypeImageManifest || root.Platform.Variant != "v7" {
		t.Errorf("archive leads to %s for %+v, want the image itself", root.MediaType, root.Platform)
	}
	index := decode[ocispec.Index](t, contentOf(t, out.Bytes(), ocispec.ImageIndexFile))
	if len(index.Manifests) != 2 || index.Manifests[1].Annotations["io.containerd.image.name"] != "registry.example/team/server:latest" {
		t.Errorf("index.json = %+v, want an entry for each name", index)
	}

	// What `docker load` reads must be there too, and lead to the same image.
	entries := decode[[]struct {
		Config           string
		RepoTags, Layers []string
	}](t, contentOf(t, out.Bytes(), "manifest.json"))
	manifest := decode[ocispec.Manifest](t, contentOf(t, out.Bytes(), "blobs/sha256/"+root.Digest.Encoded()))
	if len(entries) != 1 || !slices.Equal(entries[0].RepoTags, a.Names) ||
		entries[0].Config != "blobs/sha256/"+manifest.Config.Digest.Encoded() ||
		!slices.Equal(entries[0].Layers, []string{"blobs/sha256/" + manifest.Layers[0].Digest.Encoded()}) {
		t.Errorf("manifest.json = %+v, want the image %+v", entries, manifest)
	}
}

func TestAProgramIsAnImage(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(program, []byte("not really a program"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	root, err := scratch.Program(name, program).Write(&out)
	if err != nil {
		t.Fatal(err)
	}
	manifest := decode[ocispec.Manifest](t, contentOf(t, out.Bytes(), "blobs/sha256/"+root.Digest.Encoded()))
	got := decode[ocispec.Image](t, contentOf(t, out.Bytes(), "blobs/sha256/"+manifest.Config.Digest.Encoded()))
	if diff := cmp.Diff(ocispec.ImageConfig{User: "65532:65532", Entrypoint: []string{"/server"}}, got.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got.OS != "linux" || got.Architecture != runtime.GOARCH {
		t.Errorf("platform = %s/%s, want that of this machine", got.OS, got.Architecture)
	}
}

func TestAnImageIsNamedByItsDigest(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := example(t, "linux/amd64")
	a.Names, a.Digests = append(a.Names, "registry.example/team/server:latest"), true
	root, err := a.Write(&out)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range decode[ocispec.Index](t, contentOf(t, out.Bytes(), ocispec.ImageIndexFile)).Manifests {
		names = append(names, entry.Annotations["io.containerd.image.name"])
	}
	want := []string{name, "registry.example/team/server:latest", "registry.example/team/server@" + root.Digest.String()}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names for containerd (-want +got):\n%s", diff)
	}
	entries := decode[[]struct{ RepoTags []string }](t, contentOf(t, out.Bytes(), "manifest.json"))
	if diff := cmp.Diff(want[:2], entries[0].RepoTags); diff != "" {
		t.Errorf("names for docker (-want +got):\n%s", diff)
	}
}

func TestWhatIsNotAnImageIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		change func(*scratch.Archive)
		want   string
	}{
		"no name":    {"nobody could run it", func(a *scratch.Archive) { a.Names = nil }, "needs an image and a name"},
		"short name": {"containerd would not find it under the name that a pod has", func(a *scratch.Archive) { a.Names = []string{"server:v1"} }, "ghcr.io/owner/name:v1"},
		"no tag":     {"a layout names images by tag", func(a *scratch.Archive) { a.Names = []string{"registry.example/server"} }, "has no tag"},
		"digest": {"a digest is found out, not given", func(a *scratch.Archive) {
			a.Names = []string{"registry.example/server@" + string(digest.FromString(""))}
		}, "has no tag"},
		"no platform":    {"nobody could choose it", func(a *scratch.Archive) { a.Images[0].Platform = scratch.Platform{} }, "has no platform"},
		"platform twice": {"one of them would never run", func(a *scratch.Archive) { a.Images = append(a.Images, a.Images[0]) }, "two images for linux/amd64"},
		"relative file":  {"relative to what", file(scratch.File{Name: "etc/passwd"}), "absolute path"},
		"file above":     {"it would leave the image", file(scratch.File{Name: "/../etc/passwd"}), "absolute path"},
		"slash":          {"it is there always", file(scratch.File{Name: "/"}), "absolute path"},
		"file twice":     {"which one wins", file(scratch.File{Name: "/server"}), "/server is in the image twice"},
		"below a file":   {"a file is no directory", file(scratch.File{Name: "/server/sub"}), "below /server, which is not a directory"},
		"two contents":   {"which one wins", file(scratch.File{Name: "/a", Content: []byte("a"), Path: "/b"}), "give one of them"},
		"full directory": {"a directory has no content", file(scratch.File{Name: "/a", Mode: fs.ModeDir, Content: []byte("a")}), "only one of"},
		"device":         {"no image needs it", file(scratch.File{Name: "/a", Mode: fs.ModeDevice}), "only permissions"},
		"setuid":         {"no image needs it", file(scratch.File{Name: "/a", Mode: fs.ModeSetuid | 0o755}), "only permissions"},
		"missing file":   {"an image without its program", file(scratch.File{Name: "/a", Path: "/nonexistent/a"}), "no such file"},
		"no file":        {"a directory is not its content", file(scratch.File{Name: "/a", Path: "/"}), "not a regular file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := example(t, "linux/amd64")
			tt.change(&a)
			path := filepath.Join(t.TempDir(), "image.tar")
			_, err := a.WriteFile(path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q: %s", err, tt.want, tt.reason)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("%s was left behind", left[0].Name())
			}
		})
	}
}

func TestParsePlatform(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"linux/amd64", "linux/arm/v7"} {
		if p, err := scratch.ParsePlatform(text); err != nil || p.String() != text {
			t.Errorf("%s is read as %s, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "linux", "amd64", "windows/amd64", "linux/", "linux/arm/", "linux/arm/v7/x"} {
		if p, err := scratch.ParsePlatform(text); err == nil {
			t.Errorf("%q is read as %s", text, p)
		}
	}
}

func file(f scratch.File) func(*scratch.Archive) {
	return func(a *scratch.Archive) { a.Images[0].Files = append(a.Images[0].Files, f) }
}

func headers(t *testing.T, r io.Reader) []*tar.Header {
	t.Helper()
	var all []*tar.Header
	tr := tar.NewReader(r)
	for {
		header, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, header)
	}
}

func contentOf(t *testing.T, archive []byte, name string) []byte {
	t.Helper()
	tr := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := tr.Next()
		if err != nil {
			t.Fatalf("look for %s: %v", name, err)
		}
		if header.Name == name {
			data, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

func fetch[T any](t *testing.T, store content.Fetcher, desc ocispec.Descriptor) T {
	t.Helper()
	// It compares digest and size.
	data, err := content.FetchAll(context.WithoutCancel(t.Context()), store, desc)
	if err != nil {
		t.Fatal(err)
	}
	return decode[T](t, data)
}

func decode[T any](t *testing.T, data []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
