package ocm_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// source reads component versions for a verification.
type source struct{ *ocm.Repository }

// Version implements verify.Source.
func (s source) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return s.Get(ctx, component, version)
}

// relabel lets the registry serve a manifest under the tag 1.0.0 and its digest, with the media type that it has at
// the time.
func relabel(server *ocmtest.Server, body []byte, mediaType *atomic.Value) digest.Digest {
	d := digest.FromBytes(body)
	server.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if ocmtest.Class(req) != ocmtest.ClassManifests || !strings.HasSuffix(req.URL.Path, "/1.0.0") && !strings.HasSuffix(req.URL.Path, "/"+d.String()) {
			return false
		}
		contentType, _ := mediaType.Load().(string)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Docker-Content-Digest", d.String())
		if req.Method == http.MethodGet {
			_, _ = w.Write(body) // the client is gone if this fails
		}
		return true
	})
	return d
}

// parts returns a manifest of the registry as an object, without what it says about itself.
func parts(t *testing.T, server *ocmtest.Server, d digest.Digest) map[string]json.RawMessage {
	t.Helper()
	rec := httptest.NewRecorder()
	server.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/component-descriptors/"+shop+"/manifests/"+d.String(), http.NoBody))
	var all map[string]json.RawMessage
	if err := json.Unmarshal(rec.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "mediaType")
	return all
}

// TestMediaTypeFlips lets the registry change what it says about a manifest after the verification. No digest covers
// that, so it must not change what is read.
func TestMediaTypeFlips(t *testing.T) {
	t.Parallel()
	by, pem := ocmtest.SignerOf(t, "ops")
	keys, err := signing.ParsePublicKeys(pem)
	if err != nil {
		t.Fatal(err)
	}
	server := ocmtest.Start(t)
	publishContent := func(content string) digest.Digest {
		return publish(t, server.URL, ocmtest.Component{
			Name: shop, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "config", Content: []byte(content)}},
			Signatures: []ocmtest.Signature{{Name: "ops", Signer: by}},
		})
	}
	evil := publishContent("evil")
	good := parts(t, server, publishContent("good"))
	encode := func(manifest map[string]json.RawMessage) []byte {
		body, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	var said atomic.Value
	repo := open(t, server.URL, ocm.Options{})
	pinned := relabel(server, encode(good), &said)
	said.Store(ocispec.MediaTypeImageManifest)
	root, err := repo.Get(t.Context(), shop, "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	proof, err := verify.Verify(t.Context(), source{repo}, root, []signing.Request{{Name: "ops", Keys: keys}}, verify.Options{})
	if err != nil || proof.Versions[0].Manifest != pinned {
		t.Fatalf("Verify = %+v, %v, want %s", proof, err, pinned)
	}
	for _, mediaType := range []string{ocispec.MediaTypeImageIndex, "text/html", "", ocispec.MediaTypeImageManifest} {
		said.Store(mediaType)
		cv, err := repo.GetPinned(t.Context(), shop, "1.0.0", pinned)
		if err != nil {
			t.Fatalf("as %q: %v", mediaType, err)
		}
		if got, err := contentOf(t, cv, &cv.Descriptor().Component.Resources[0]); got != "good" || err != nil {
			t.Errorf("as %q: content is %q, %v", mediaType, got, err)
		}
	}

	server.Heal()
	good["manifests"], err = json.Marshal([]ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageManifest, Digest: evil, Size: 1}})
	if err != nil {
		t.Fatal(err)
	}
	pinned = relabel(server, encode(good), &said)
	for _, mediaType := range []string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest} {
		said.Store(mediaType)
		if _, err := repo.GetPinned(t.Context(), shop, "1.0.0", pinned); !errors.Is(err, oci.ErrMalformed) {
			t.Errorf("both as %q: GetPinned = %v, want that it is malformed", mediaType, err)
		}
		if _, err := repo.Get(t.Context(), shop, "1.0.0"); !errors.Is(err, oci.ErrMalformed) {
			t.Errorf("both as %q: Get = %v, want that it is malformed", mediaType, err)
		}
	}
}
