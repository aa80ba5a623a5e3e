package ocm_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest/vectors"
)

func allowed(t testing.TB, patterns ...string) *oci.Hosts {
	t.Helper()
	h, err := oci.ParseHosts(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestHostsOfComponents lets a component lead to other hosts, in every way it
// can.
func TestHostsOfComponents(t *testing.T) {
	t.Parallel()
	home, away, store := ocmtest.Start(t), ocmtest.Start(t), ocmtest.Start(t)
	files := serveWeb(t, false, map[string]string{"/file": "x", "/moved": "redirect:" + store.URL + "/file"})
	fileHost := strings.TrimPrefix(files.URL, "http://")
	for _, server := range []*ocmtest.Server{away, store} {
		artifact(t, server.URL+"/x/y:1", ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}})
		artifact(t, server.URL+"/x/moved:1", ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}})
	}
	away.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasPrefix(req.URL.Path, "/v2/x/moved/blobs/") {
			return false
		}
		http.Redirect(w, req, store.URL+req.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	publish(t, home.URL, ocmtest.Component{Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "local", Content: []byte("x")},
		{Name: "artifact", Image: away.URL + "/x/y:1"},
		{Name: "blob", Access: accessOf(t, access.OCIBlob{Type: "ociBlob", Reference: away.URL + "/x/y", Digest: digest.FromString("x"), Size: 1})},
		{Name: "chart", Access: accessOf(t, access.Helm{Type: "helm", Repository: files.URL, Chart: "web:1"})},
		{Name: "file", Access: accessOf(t, access.Wget{Type: "wget", URL: files.URL + "/file"})},
		{Name: "moved", Image: away.URL + "/x/moved:1"},
		{Name: "moved-file", Access: accessOf(t, access.Wget{Type: "wget", URL: files.URL + "/moved"})},
		{Name: "metadata", Access: accessOf(t, access.Wget{Type: "wget", URL: "http://169.254.169.254/latest/meta-data/"})},
		{Name: "metadata-image", Image: "http://169.254.169.254/x/y:1"},
	}})
	store.ResetRequests()
	for name, tc := range map[string]struct {
		patterns []string
		refused  map[string]string
	}{
		"no list":    {nil, map[string]string{"artifact": away.Host, "blob": away.Host, "chart": fileHost, "file": fileHost, "moved": away.Host, "moved-file": fileHost, "metadata": "169.254.169.254", "metadata-image": "169.254.169.254"}},
		"other host": {[]string{"registry.example"}, map[string]string{"artifact": away.Host, "blob": away.Host, "chart": fileHost, "file": fileHost, "moved": away.Host, "moved-file": fileHost, "metadata": "169.254.169.254", "metadata-image": "169.254.169.254"}},
		"registry":   {[]string{away.Host}, map[string]string{"chart": fileHost, "file": fileHost, "moved": store.Host, "moved-file": fileHost, "metadata": "169.254.169.254", "metadata-image": "169.254.169.254"}},
		"web server": {[]string{fileHost}, map[string]string{"artifact": away.Host, "blob": away.Host, "moved": away.Host, "moved-file": store.Host, "metadata": "169.254.169.254", "metadata-image": "169.254.169.254"}},
		"all ports":  {[]string{"127.0.0.1"}, map[string]string{"metadata": "169.254.169.254", "metadata-image": "169.254.169.254"}},
	} {
		t.Run(name, func(t *testing.T) {
			repo, err := ocm.Open(home.URL, ocm.Options{Hosts: allowed(t, tc.patterns...), Allow: access.Guarded()})
			if err != nil {
				t.Fatal(err)
			}
			cv, err := repo.Get(t.Context(), shop, "1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			before := store.Requests()["GET blobs"] + store.Requests()["GET other"]
			for i := range cv.Descriptor().Component.Resources {
				res := &cv.Descriptor().Component.Resources[i]
				_, err := content(t, cv, res)
				host, refused := tc.refused[res.Name]
				if errors.Is(err, ocm.ErrHostRefused) != refused {
					t.Errorf("%s: Open = %v, want refused %t", res.Name, err, refused)
				}
				if refused && (!strings.Contains(err.Error(), "host "+host) || !strings.Contains(err.Error(), "--allowed-hosts")) {
					t.Errorf("%s: %v names neither the host %s nor the flag", res.Name, err, host)
				}
			}
			_, moved := tc.refused["moved"]
			if got := store.Requests()["GET blobs"] + store.Requests()["GET other"] - before; moved && tc.refused["moved-file"] != "" && got != 0 {
				t.Errorf("%d requests were redirected to a host that is not allowed", got)
			}
		})
	}
}

// TestHomeMayLeadAnywhere redirects from the registry that the user chose, as
// registries with an object store do.
func TestHomeMayLeadAnywhere(t *testing.T) {
	t.Parallel()
	home, store := ocmtest.Start(t), ocmtest.Start(t)
	publish(t, home.URL, shopVersion("1.0.0"))
	publish(t, store.URL, shopVersion("1.0.0"))
	target := "http://store.example"
	home.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet || ocmtest.Class(req) != ocmtest.ClassBlobs {
			return false
		}
		http.Redirect(w, req, target+req.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	o := ocm.Options{Hosts: allowed(t, "registry.example"), Transport: redirect{from: "store.example", to: store.Host}}
	if _, err := open(t, home.URL, o).Get(t.Context(), shop, "1.0.0"); err != nil {
		t.Errorf("Get = %v, want that blobs come from elsewhere", err)
	}
	for _, target = range []string{"http://169.254.169.254", "http://[fe80::1]", "http://metadata.google.internal", store.URL} {
		if _, err := open(t, home.URL, o).Get(t.Context(), shop, "1.0.0"); !errors.Is(err, ocm.ErrHostRefused) {
			t.Errorf("Get with a redirect to %s = %v, want ErrHostRefused", target, err)
		}
	}
}

// TestArchivesHaveNoHome reads an archive, whose components lead to any host.
func TestArchivesHaveNoHome(t *testing.T) {
	t.Parallel()
	repo, err := ocm.OpenCTF(vectors.PackedCTF(t, "classic/ctf"), ocm.Options{Hosts: allowed(t, "registry.example")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = repo.Close() })
	cv, err := repo.Get(t.Context(), "vectors.example/orchard/root", "3.0.0")
	if err != nil {
		t.Fatal(err)
	}
	res, err := cv.Descriptor().FindResource(descriptor.Selector{Name: "web-image"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cv.Open(t.Context(), res, ocm.ReadOptions{}); !errors.Is(err, ocm.ErrHostRefused) {
		t.Errorf("Open = %v, want ErrHostRefused", err)
	}
}

// TestOneTokenForAll counts how often a client logs in.
func TestOneTokenForAll(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	publish(t, server.URL, shopVersion("1.0.0"))
	publish(t, server.URL, shopVersion("1.1.0"))
	var tokens, refused atomic.Int64
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		switch {
		case req.URL.Path == "/token":
			tokens.Add(1)
			if scope := req.URL.Query().Get("scope"); scope != "repository:component-descriptors/"+shop+":pull" {
				t.Errorf("a token was asked for scope %q", scope)
			}
			fmt.Fprint(w, `{"token":"let-me-in","expires_in":300}`)
			return true
		case req.Header.Get("Authorization") == "Bearer let-me-in":
			return false
		}
		refused.Add(1)
		w.Header().Set("Www-Authenticate", fmt.Sprintf("Bearer realm=%q,service=\"test\",scope=%q",
			server.URL+"/token", "repository:component-descriptors/"+shop+":pull"))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	repo := open(t, server.URL, ocm.Options{Credentials: credentials.FromBasic(server.URL, "alice", "at-home")})
	for range 2 {
		for _, version := range []string{"1.0.0", "1.1.0"} {
			if _, err := repo.Resolve(t.Context(), shop, version); err != nil {
				t.Fatal(err)
			}
			cv, err := repo.Get(t.Context(), shop, version)
			if err != nil {
				t.Fatal(err)
			}
			read(t, cv, &cv.Descriptor().Component.Resources[0])
		}
	}
	if _, err := repo.ListVersions(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	if tokens.Load() != 1 || refused.Load() != 1 {
		t.Errorf("%d tokens and %d refused requests, want one of each for all of a repository", tokens.Load(), refused.Load())
	}
}

// TestPutHashesWhatIsThere writes to a registry that says a wrong digest.
func TestPutHashesWhatIsThere(t *testing.T) {
	t.Parallel()
	server, elsewhere := ocmtest.Start(t), ocmtest.Start(t)
	published := publish(t, server.URL, shopVersion("1.0.0"))
	other := shopVersion("1.0.0")
	other.Resources[0].Content = []byte("other")
	wanted := publish(t, elsewhere.URL, other)
	there, err := oci.NewClient(oci.Options{Home: server.Host}).Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "component-descriptors/" + shop})
	if err != nil {
		t.Fatal(err)
	}
	old := blobOf(t, there, published)
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if ocmtest.Class(req) != ocmtest.ClassManifests || req.Method == http.MethodPut {
			return false
		}
		w.Header().Set("Content-Type", oci.MediaTypeManifest)
		w.Header().Set("Docker-Content-Digest", wanted.String())
		if _, err := w.Write(old); err != nil && req.Method == http.MethodGet {
			t.Error(err)
		}
		return true
	})
	d, blobs, err := other.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, server.URL, ocm.Options{}).Put(t.Context(), d, blobs, ocm.PutOptions{}); !errors.Is(err, ocm.ErrExists) {
		t.Errorf("Put = %s, %v, want ErrExists: the bytes are not those of the digest", got, err)
	}
}

// TestPutComparesBytes writes again to a registry that knows the same bytes by
// another algorithm.
func TestPutComparesBytes(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	published := publish(t, server.URL, shopVersion("1.0.0"))
	there, err := oci.NewClient(oci.Options{Home: server.Host}).Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "component-descriptors/" + shop})
	if err != nil {
		t.Fatal(err)
	}
	manifest := blobOf(t, there, published)
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if ocmtest.Class(req) != ocmtest.ClassManifests || req.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", oci.MediaTypeManifest)
		w.Header().Set("Docker-Content-Digest", digest.SHA512.FromBytes(manifest).String())
		if _, err := w.Write(manifest); err != nil {
			t.Error(err)
		}
		return true
	})
	d, blobs, err := shopVersion("1.0.0").Build()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := open(t, server.URL, ocm.Options{}).Put(t.Context(), d, blobs, ocm.PutOptions{}); err != nil || got != published {
		t.Errorf("Put = %s, %v, want %s", got, err, published)
	}
}

// TestDigestMapping reads a repository that is named by the digest of the name.
func TestDigestMapping(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	c := shopVersion("1.0.0")
	pinned := publish(t, server.URL+"/sub", c)
	client := oci.NewClient(oci.Options{Home: server.Host})
	from, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "sub/component-descriptors/" + shop})
	if err != nil {
		t.Fatal(err)
	}
	to, err := client.Repository(oci.Location{PlainHTTP: true, Host: server.Host, Path: "legacy/" + digest.FromString(shop).Encoded()})
	if err != nil {
		t.Fatal(err)
	}
	copyArtifact(t, to, func(d digest.Digest) []byte { return blobOf(t, from, d) }, pinned, "1.0.0")

	repo := open(t, server.URL+"/legacy", ocm.Options{NameMapping: ocm.SHA256Digest})
	cv, err := repo.Get(t.Context(), shop, "1.0.0")
	if err != nil || cv.ManifestDigest() != pinned {
		t.Fatalf("Get = %v, want %s", err, pinned)
	}
	if got := read(t, cv, &cv.Descriptor().Component.Resources[0]); string(got) != "kind: List" {
		t.Errorf("content = %q", got)
	}
	if got, err := repo.ListVersions(t.Context(), shop); err != nil || len(got) != 1 {
		t.Errorf("ListVersions = %v, %v", got, err)
	}
	d, blobs, err := c.Build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Put(t.Context(), d, blobs, ocm.PutOptions{}); !errors.Is(err, ocm.ErrUnsupported) {
		t.Errorf("Put = %v, want ErrUnsupported: this mapping is read only", err)
	}
	if _, err := ocm.Open(server.URL, ocm.Options{NameMapping: "md5"}); err == nil || !strings.Contains(err.Error(), "sha256-digest") {
		t.Errorf("Open with another mapping = %v, want the known ones", err)
	}
}

// blobOf reads a blob or a manifest.
func blobOf(t *testing.T, s oci.Storage, d digest.Digest) []byte {
	t.Helper()
	if m, err := s.Manifest(t.Context(), d.String()); err == nil {
		return m.Bytes
	}
	rc, _, err := s.Blob(t.Context(), d, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	data, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
