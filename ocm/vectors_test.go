package ocm_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

// withImages returns options that lead to the images of the vectors.
func withImages(t *testing.T) ocm.Options {
	t.Helper()
	return ocm.Options{Transport: vectors.Redirect(vectors.Images(t).Host), Hosts: allowed(t, "127.0.0.1")}
}

// TestVectorArchives reads every archive of the reference tools that is good,
// signed or not, as a directory, as both kinds of files, and out of a registry.
func TestVectorArchives(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	good := 0
	for _, name := range vectors.Names() {
		if strings.HasPrefix(name, "negative-") {
			continue
		}
		good++
		t.Run(strings.ReplaceAll(name, "/", " "), func(t *testing.T) {
			t.Parallel()
			readEverywhere(t, name, o)
		})
	}
	if good < 32 {
		t.Errorf("%d archives", good)
	}
}

// TestVectorFiles reads the archives that are files as a tool wrote them, and
// compares them with the same as directories.
func TestVectorFiles(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	for packed, name := range map[string]string{"classic/ctf": "classic/ctf-dir", "classic/ctf-byvalue": "classic/ctf-byvalue"} {
		// The file was written before component versions were added to the other.
		artifacts := slices.DeleteFunc(withTag(t, name), func(a vectors.Artifact) bool { return strings.HasSuffix(a.Repository, "/many") })
		var got [2][]string
		for i, path := range []string{vectors.CTF(t, name), vectors.PackedCTF(t, packed)} {
			repo, err := ocm.OpenCTF(path, o)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = readEverything(t, repo, artifacts)
			if err := repo.Close(); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" || len(got[0]) == 0 {
			t.Errorf("%s (-directory +file):\n%s", packed, diff)
		}
	}
}

// TestVectorRegistries reads every component version that the reference tools
// transferred into a registry: by reference, by value, in chunks, with relative
// references, with digests as names, as index, and by the other tool.
func TestVectorRegistries(t *testing.T) {
	t.Parallel()
	o := withImages(t)
	forms := map[string]int{}
	for _, a := range vectors.Registered() {
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
			repo := open(t, "http://"+vectors.ImageHost+"/"+form, with)
			got := readEverything(t, repo, []vectors.Artifact{{Repository: "component-descriptors/" + component, Tag: a.Tag, Digest: a.Digest}})
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
	o := withImages(t)
	found := []string{"blob-content-swapped", "access-redirected", "image-redirected", "name-mismatch"}
	for _, n := range vectors.Negatives() {
		t.Run(n.Set+" "+n.Name, func(t *testing.T) {
			t.Parallel()
			archive, err := ocm.OpenCTF(vectors.CTF(t, n.Archive()), o)
			if err != nil {
				t.Fatal(err)
			}
			defer archive.Close()
			url, _ := vectors.Serve(t, n.Archive())
			for _, repo := range []*ocm.Repository{archive, open(t, url, o)} {
				var wrong []string
				for _, a := range withTag(t, n.Archive()) {
					wrong = append(wrong, refusals(t, repo, a)...)
				}
				if want := slices.Contains(found, n.Name); (len(wrong) > 0) != want {
					t.Errorf("%s: refused %v, want refused %t", repo.URL(), wrong, want)
				}
			}
		})
	}
}

// refusals returns what of a component version is refused as something else
// than what it says it is.
func refusals(t *testing.T, repo *ocm.Repository, a vectors.Artifact) []string {
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

func TestVectorVersions(t *testing.T) {
	t.Parallel()
	url, _ := vectors.Serve(t, "classic/ctf-dir")
	got, err := open(t, url, ocm.Options{}).ListVersions(t.Context(), "vectors.example/orchard/many")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.0", "2.0.0+build.10", "2.0.0+build.7", "2.0.0-alpha.1+exp.5", "1.2", "1.1.0", "1.1.0-rc.1", "1.0.0", "v0.9.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestVectorImageReference(t *testing.T) {
	t.Parallel()
	url, _ := vectors.Serve(t, "classic/ctf-dir")
	cv, err := open(t, url, ocm.Options{}).Get(t.Context(), "vectors.example/orchard/root", "3.0.0")
	if err != nil {
		t.Fatal(err)
	}
	res, err := cv.Descriptor().FindResource(descriptor.Selector{Name: "web-image"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := cv.ImageReference(res)
	if want := "127.0.0.1:5077/orchard/pear-web:1.0.0"; err != nil || got != want {
		t.Errorf("ImageReference = %q, %v, want %q", got, err, want)
	}
}
