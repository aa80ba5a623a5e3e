package ocm_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// vectors is the form of testdata/*.json.
type vectors struct {
	Artifacts []struct {
		Repository string        `json:"repository"`
		Tag        string        `json:"tag"`
		Manifest   digest.Digest `json:"manifest"`
	} `json:"artifacts"`
	Blobs map[digest.Digest][]byte `json:"blobs"`
}

// serve puts component versions of a reference tool into a registry.
func serve(t *testing.T, file string) (*ocmtest.Server, vectors) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	server := ocmtest.Start(t)
	client := oci.NewClient(oci.Options{Home: server.Host})
	for _, a := range v.Artifacts {
		repo, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "vectors/" + a.Repository})
		if err != nil {
			t.Fatal(err)
		}
		var m ocispec.Manifest
		if err := json.Unmarshal(v.Blobs[a.Manifest], &m); err != nil {
			t.Fatal(err)
		}
		for _, l := range append(m.Layers, m.Config) {
			open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(v.Blobs[l.Digest])), nil }
			if err := repo.PushBlob(t.Context(), l, open); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := repo.PushManifest(t.Context(), m.MediaType, v.Blobs[a.Manifest], a.Tag); err != nil {
			t.Fatal(err)
		}
	}
	return server, v
}

// TestReferenceTools reads every component version and every local blob the
// reference tools wrote.
func TestReferenceTools(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"classic.json", "new.json"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			server, v := serve(t, file)
			repo := open(t, server.URL+"/vectors", ocm.Options{})
			blobs := 0
			for _, a := range v.Artifacts {
				component := strings.TrimPrefix(a.Repository, "component-descriptors/")
				cv, err := repo.Get(t.Context(), component, oci.VersionOf(a.Tag))
				if err != nil {
					t.Errorf("Get(%s, %s): %v", component, a.Tag, err)
					continue
				}
				if cv.ManifestDigest() != a.Manifest {
					t.Errorf("%s:%s has manifest digest %s, want %s", component, a.Tag, cv.ManifestDigest(), a.Manifest)
				}
				for i := range cv.Descriptor().Component.Resources {
					res := &cv.Descriptor().Component.Resources[i]
					if !strings.EqualFold(res.Access.Kind(), "localBlob") {
						continue
					}
					blobs++
					if got := read(t, cv, res); !bytes.Equal(got, v.Blobs[digest.FromBytes(got)]) || len(got) == 0 {
						t.Errorf("%s:%s resource %s has unexpected content", component, a.Tag, &res.Element)
					}
				}
			}
			if blobs < 3 {
				t.Errorf("only %d local blobs were read", blobs)
			}
		})
	}
}

func TestReferenceToolsVersions(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, "classic.json")
	got, err := open(t, server.URL+"/vectors", ocm.Options{}).ListVersions(t.Context(), "vectors.example/orchard/many")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"10.0.0", "2.0.0+build.10", "2.0.0+build.7", "2.0.0-alpha.1+exp.5", "1.2", "1.1.0", "1.1.0-rc.1", "1.0.0", "v0.9.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestReferenceToolsImageReference(t *testing.T) {
	t.Parallel()
	server, _ := serve(t, "classic.json")
	cv, err := open(t, server.URL+"/vectors", ocm.Options{}).Get(t.Context(), "vectors.example/orchard/root", "3.0.0")
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
