package ocm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// rewrite lets the registry lie about one class of answers, headers included.
func rewrite(server *ocmtest.Server, methodAndClass, pathPart string, change func([]byte) []byte) {
	var inside atomic.Bool // the wrapped request passes through the same faults
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if inside.Load() || req.Method+" "+ocmtest.Class(req) != methodAndClass || !strings.Contains(req.URL.Path, pathPart) {
			return false
		}
		inside.Store(true)
		defer inside.Store(false)
		rec := httptest.NewRecorder()
		server.ServeHTTP(rec, req)
		body := change(rec.Body.Bytes())
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
		return true
	})
}

// TestTamperedRegistry lets the registry answer wrongly in every place a digest
// protects, and expects each to be noticed.
func TestTamperedRegistry(t *testing.T) {
	t.Parallel()
	const content = "kind: List"
	blob := digest.FromString(content).String()
	cases := map[string]struct {
		class, path string
		change      func([]byte) []byte
		reason      string
	}{
		"manifest by digest": {"GET manifests", "sha256:", func(b []byte) []byte { return append(b, '\n') }, "the digest of a manifest is computed from its bytes"},
		"config or descriptor": {"GET blobs", "sha256:", func(b []byte) []byte {
			if string(b) == content {
				return b
			}
			return bytes.Replace(b, []byte("0"), []byte("1"), 1)
		}, "config and descriptor are blobs like any other"},
		"blob swapped":   {"GET blobs", blob, func([]byte) []byte { return []byte("kind: EviL") }, "same length, other bytes"},
		"blob truncated": {"GET blobs", blob, func(b []byte) []byte { return b[:len(b)-1] }, "the manifest states the size"},
		"blob extended":  {"GET blobs", blob, func(b []byte) []byte { return append(b, '!') }, "the manifest states the size"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			pinned := publish(t, server.URL, shopVersion("1.0.0"))
			rewrite(server, tc.class, tc.path, tc.change)
			err := readFirst(t, open(t, server.URL, ocm.Options{}), pinned)
			if _, ok := errors.AsType[*ocm.DigestMismatchError](err); !ok {
				t.Errorf("error = %v, want *DigestMismatchError (%s)", err, tc.reason)
			}
		})
	}
}

// readFirst reads the first resource of version 1.0.0 to its end.
func readFirst(t *testing.T, repo *ocm.Repository, pinned digest.Digest) error {
	t.Helper()
	cv, err := repo.GetPinned(t.Context(), shop, "1.0.0", pinned)
	if err != nil {
		return err
	}
	blob, err := cv.Open(t.Context(), &cv.Descriptor().Component.Resources[0], ocm.ReadOptions{})
	if err != nil {
		return err
	}
	defer blob.Close()
	_, err = io.Copy(io.Discard, blob)
	return err
}

// TestPinnedIgnoresTag moves the tag after pinning.
func TestPinnedIgnoresTag(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	pinned := publish(t, server.URL, shopVersion("1.0.0"))
	moved := shopVersion("1.0.0")
	moved.Resources[0].Content = []byte("other")
	publish(t, server.URL, moved)
	if err := readFirst(t, open(t, server.URL, ocm.Options{}), pinned); err != nil {
		t.Errorf("pinned read: %v", err)
	}
}

func TestNotTheComponentAskedFor(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prepare func(t *testing.T, server *ocmtest.Server)
		reason  string
	}{
		"other version under the tag": {func(t *testing.T, server *ocmtest.Server) {
			publish(t, server.URL, shopVersion("0.9.0"))
			copyTag(t, server, "0.9.0", "1.0.0", nil)
		}, "an old version must not be replayed as a new one"},
		"image under the tag": {func(t *testing.T, server *ocmtest.Server) {
			ref := server.URL + "/component-descriptors/" + shop + ":1.0.0"
			artifact := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}}
			if _, err := artifact.Publish(t.Context(), ref, ocm.Options{}); err != nil {
				t.Fatal(err)
			}
		}, "the config tells components from images"},
		"index under the tag": {func(t *testing.T, server *ocmtest.Server) {
			publish(t, server.URL, shopVersion("0.9.0"))
			index, err := json.Marshal(ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := repository(t, server).PushManifest(t.Context(), ocispec.MediaTypeImageIndex, index, "1.0.0"); err != nil {
				t.Fatal(err)
			}
		}, "the index form is named in the error"},
		"descriptor is no layer": {func(t *testing.T, server *ocmtest.Server) {
			publish(t, server.URL, shopVersion("0.9.0"))
			copyTag(t, server, "0.9.0", "1.0.0", func(m *ocispec.Manifest) { m.Layers = m.Layers[1:] })
		}, "the config may name layers only"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ocmtest.Start(t)
			tc.prepare(t, server)
			if _, err := open(t, server.URL, ocm.Options{}).Get(t.Context(), shop, "1.0.0"); !errors.Is(err, ocm.ErrNotComponent) {
				t.Errorf("Get = %v, want ErrNotComponent (%s)", err, tc.reason)
			}
		})
	}
}

func repository(t *testing.T, server *ocmtest.Server) *oci.Repository {
	t.Helper()
	return componentRepository(t, server, "")
}

func componentRepository(t *testing.T, server *ocmtest.Server, path string) *oci.Repository {
	t.Helper()
	l := oci.Location{PlainHTTP: true, Host: server.Host, Path: path}.Join(oci.ComponentPath(shop))
	repo, err := oci.NewClient(oci.Options{Home: l.Host}).Repository(l)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func copyTag(t *testing.T, server *ocmtest.Server, from, to string, change func(*ocispec.Manifest)) {
	t.Helper()
	repo := repository(t, server)
	m, err := repo.Manifest(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	image, err := m.Image()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(image)
	}
	body, err := json.Marshal(image)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.PushManifest(t.Context(), m.MediaType, body, to); err != nil {
		t.Fatal(err)
	}
}

// TestForeignBlob lets a descriptor name a blob that is in the repository but
// does not belong to the component version.
func TestForeignBlob(t *testing.T) {
	t.Parallel()
	server := ocmtest.Start(t)
	secret := []byte("of another version")
	publish(t, server.URL, ocmtest.Component{Name: shop, Version: "0.1.0", Resources: []ocmtest.Resource{{Name: "secret", Content: secret}}})
	pinned := publish(t, server.URL, shopVersion("0.9.0"))
	local, err := access.NewLocalBlob(digest.FromBytes(secret), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	cv, err := open(t, server.URL, ocm.Options{}).GetPinned(t.Context(), shop, "0.9.0", pinned)
	if err != nil {
		t.Fatal(err)
	}
	res := &descriptor.Resource{Element: descriptor.Element{Name: "stolen", Version: "1.0.0"}, Access: local}
	if blob, err := cv.Open(t.Context(), res, ocm.ReadOptions{}); err == nil {
		blob.Close()
		t.Error("a blob that is no layer of the component version was opened")
	} else if !strings.Contains(err.Error(), "is no layer") {
		t.Errorf("error = %v", err)
	}
}
