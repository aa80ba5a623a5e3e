package ocm_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// collection is testdata/vectors.tgz.
type collection struct {
	// Archives are the indexes of transport archives by their names.
	Archives map[string]string `json:"archives"`
	// Swapped are contents that are stored under the digest of another.
	Swapped map[string]map[digest.Digest][]byte `json:"swapped"`
	// Registry is what a registry had at the host of the images.
	Registry []listed `json:"registry"`

	blobs map[digest.Digest][]byte
}

var allVectors = sync.OnceValues(func() (*collection, error) {
	t := &failing{}
	files := untar(t, gunzip(t, "testdata/vectors.tgz"))
	c := &collection{blobs: map[digest.Digest][]byte{}}
	if err := json.Unmarshal(files["places.json"], c); err != nil {
		return nil, err
	}
	for name, content := range files {
		if d, ok := strings.CutPrefix(name, "blobs/sha256."); ok {
			c.blobs[digest.NewDigestFromEncoded(digest.SHA256, d)] = content
		}
	}
	return c, nil
})

// failing panics where a test would fail.
type failing struct{ testing.TB }

// Helper implements testing.TB.
func (*failing) Helper() {}

// Fatal implements testing.TB.
func (*failing) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

func vectorsOf(t *testing.T) *collection {
	t.Helper()
	c, err := allVectors()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// files returns an archive with the blobs that its index leads to.
func (c *collection) files(t *testing.T, name string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"artifact-index.json": []byte(c.Archives[name])}
	var index struct {
		Artifacts []listed `json:"artifacts"`
	}
	if err := json.Unmarshal(files["artifact-index.json"], &index); err != nil {
		t.Fatal(err)
	}
	for _, a := range index.Artifacts {
		c.take(t, name, a.Digest, files)
	}
	return files
}

func (c *collection) take(t *testing.T, name string, d digest.Digest, files map[string][]byte) {
	t.Helper()
	content, ok := c.Swapped[name][d]
	if !ok {
		if content, ok = c.blobs[d]; !ok {
			t.Fatalf("%s lacks %s", name, d)
		}
	}
	files["blobs/"+strings.Replace(d.String(), ":", ".", 1)] = content
	var m struct {
		Config              *listed         `json:"config"`
		Layers              []listed        `json:"layers"`
		Manifests           []listed        `json:"manifests"`
		ComponentDescriptor json.RawMessage `json:"componentDescriptorLayer"`
	}
	if json.Unmarshal(content, &m) != nil || m.ComponentDescriptor != nil {
		return
	}
	if m.Config != nil && m.Config.Digest != "" {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, l := range append(m.Layers, m.Manifests...) {
		c.take(t, name, l.Digest, files)
	}
}

func (c *collection) blob(d digest.Digest) []byte { return c.blobs[d] }

// serveRegistry serves what the registry of the reference tools had, and returns
// options that lead there.
func (c *collection) serveRegistry(t *testing.T) ocm.Options {
	t.Helper()
	server := ocmtest.Start(t)
	client := oci.NewClient(oci.Options{Home: server.Host})
	for _, a := range c.Registry {
		repo, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: a.Repository})
		if err != nil {
			t.Fatal(err)
		}
		copyArtifact(t, repo, c.blob, a.Digest, a.Tag)
	}
	return ocm.Options{Transport: redirect{from: imageHost, to: server.Host}, Hosts: allowed(t, "127.0.0.1")}
}

// TestAllVectorArchives reads every archive of the reference tools that is good,
// signed or not, as a directory, as both kinds of files, and out of a registry.
func TestAllVectorArchives(t *testing.T) {
	t.Parallel()
	c := vectorsOf(t)
	o := c.serveRegistry(t)
	good := 0
	for name := range c.Archives {
		if strings.HasPrefix(name, "negative-") {
			continue
		}
		good++
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			t.Parallel()
			readEverywhere(t, c.files(t, name), o)
		})
	}
	if good < 32 {
		t.Errorf("%d archives", good)
	}
}

// TestAllVectorRegistries reads every component version that the reference tools
// transferred into a registry: by reference, by value, in chunks, with relative
// references, with digests as names, as index, and by the other tool.
func TestAllVectorRegistries(t *testing.T) {
	t.Parallel()
	c := vectorsOf(t)
	o := c.serveRegistry(t)
	forms := map[string]int{}
	for _, a := range c.Registry {
		form, component, ok := strings.Cut(a.Repository, "/component-descriptors/")
		if !ok {
			if form, ok = strings.CutSuffix(a.Repository, "/"+digest.FromString("vectors.example/orchard/leaf").Encoded()); !ok {
				continue // an image, which is read as a resource
			}
			component = "vectors.example/orchard/leaf"
		}
		forms[form]++
		t.Run(form+" "+component+" "+a.Tag, func(t *testing.T) {
			t.Parallel()
			with := o
			if form == "digestmap" {
				with.NameMapping = ocm.SHA256Digest
			}
			repo := open(t, "http://"+imageHost+"/"+form, with)
			got := readEverything(t, repo, []listed{{Repository: "component-descriptors/" + component, Tag: a.Tag, Digest: a.Digest}})
			if len(got) == 0 {
				t.Error("nothing was read")
			}
		})
	}
	for _, form := range []string{"byref", "byvalue", "chunked", "nouploads", "relative", "roundtrip", "digestmap", "new", "new-index", "new-localblob", "new-ociartifact"} {
		if forms[form] == 0 {
			t.Errorf("no component version of form %s", form)
		}
	}
}

// TestManipulatedVectors reads what was manipulated in a way that reading alone
// finds. The rest is for whoever verifies signatures.
func TestManipulatedVectors(t *testing.T) {
	t.Parallel()
	c := vectorsOf(t)
	o := c.serveRegistry(t)
	read := map[string]int{}
	for name := range c.Archives {
		tool, what, _ := strings.Cut(name, "/")
		if !strings.HasPrefix(tool, "negative-") {
			continue
		}
		files := c.files(t, name)
		var wrong []string
		for _, place := range []string{"archive", "registry"} {
			if what == "blob-content-swapped" && place == "registry" {
				continue // a registry refuses such a blob
			}
			repo := manipulated(t, files, place, o)
			for _, a := range artifactsOf(t, files) {
				wrong = append(wrong, refusals(t, repo, a)...)
			}
			if err := repo.Close(); err != nil {
				t.Error(err)
			}
		}
		found := len(wrong) > 0
		want := slices.Contains([]string{"blob-content-swapped", "access-redirected", "image-redirected", "name-mismatch"}, what)
		if found != want {
			t.Errorf("%s: refused %v, want refused %t", name, wrong, want)
		}
		read[tool]++
	}
	if len(read) != 2 || read["negative-new"] < 12 || read["negative-classic"] < 12 {
		t.Errorf("read %v", read)
	}
}

func manipulated(t *testing.T, files map[string][]byte, place string, o ocm.Options) *ocm.Repository {
	t.Helper()
	if place == "registry" {
		return open(t, serveFiles(t, files), o)
	}
	repo, err := ocm.OpenCTF(folderOf(t, files), o)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// refusals returns what of a component version is refused as something else
// than what it says it is.
func refusals(t *testing.T, repo *ocm.Repository, a listed) []string {
	t.Helper()
	component, version := strings.TrimPrefix(a.Repository, "component-descriptors/"), oci.VersionOf(a.Tag)
	cv, err := repo.Get(t.Context(), component, version)
	if errors.Is(err, ocm.ErrNotComponent) {
		return []string{component}
	}
	if err != nil {
		t.Errorf("Get(%s, %s) = %v", component, version, err)
		return nil
	}
	var wrong []string
	for i := range cv.Descriptor().Component.Resources {
		res := &cv.Descriptor().Component.Resources[i]
		if err := drain(t, cv, res); errors.As(err, new(*ocm.DigestMismatchError)) {
			wrong = append(wrong, res.Name)
		} else if err != nil && !errors.Is(err, ocm.ErrUnsupported) {
			t.Errorf("%s %s: %v", component, res.Name, err)
		}
	}
	return wrong
}

func drain(t *testing.T, cv *ocm.ComponentVersion, res *descriptor.Resource) error {
	t.Helper()
	blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{MaxBytes: 1 << 20})
	if err != nil {
		return err
	}
	defer blob.Close()
	_, err = io.Copy(io.Discard, blob)
	return err
}
