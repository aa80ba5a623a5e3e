package resource_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
)

// good is what was signed, and evil what the attacker has in its place. They have the same length.
const good, evil = "good content", "evil content"

// target is a signed component version with a local blob, an artifact in a registry, and a reference to another version
// with a blob of its own.
type target struct {
	*stage

	// artifact is the manifest of the artifact.
	artifact digest.Digest
}

// newTarget publishes the component version and has it verified.
func newTarget(t *testing.T) *target {
	t.Helper()
	w, registry := reconcilertest.New(t), ocmtest.Start(t)
	s := &target{stage: &stage{World: w, registry: registry, url: registry.URL + "/ocm", resource: reconcilertest.Resource("data", "app", "data")}}
	s.artifact = s.push(t, good)
	s.publish(t, good, "release")
	_, public := ocmtest.SignerOf(t, "release")
	s.component = reconcilertest.ComponentVersion("app", s.url, app, "1.0.0")
	s.component.Spec.Verify = []v1alpha1.Signature{{Name: "release", PublicKey: &v1alpha1.PublicKey{Value: base64.StdEncoding.EncodeToString(public)}}}
	s.Create(s.component)
	s.components = w.Install(componentversion.Plugin(componentversion.Options{Lifecycle: w.Lifecycle, Repositories: w.Repositories, Transfers: w.Transfers()}))
	s.components.Reconcile(s.component)
	if !s.component.Status.Verified {
		t.Fatalf("the component version is not verified: %s", reconcilertest.Message(s.component, "Ready"))
	}
	s.restart(t)
	return s
}

// publish publishes both component versions with some content, replacing what is there.
func (s *target) publish(t *testing.T, content, signer string) {
	t.Helper()
	key, _ := ocmtest.SignerOf(t, signer)
	library := ocmtest.Component{Name: "acme.org/lib", Version: "3.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("nested " + content)}}}
	s.Publish(s.url, library)
	s.Publish(s.url, ocmtest.Component{
		Name: app, Version: "1.0.0",
		Resources: []ocmtest.Resource{
			{Name: "data", Content: []byte(content)},
			{Name: "artifact", Type: "blob", Image: s.registry.URL + "/artifacts/data:1.0.0", Digest: descriptor.NewArtifactDigest(s.artifact)},
		},
		References: []ocmtest.Reference{{Name: "lib", To: &library}},
		Signatures: []ocmtest.Signature{{Name: "release", Signer: key}},
	})
}

// push pushes the artifact with some content, and returns its digest.
func (s *target) push(t *testing.T, content string) digest.Digest {
	t.Helper()
	artifact := ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte(content)}}}
	manifest, err := artifact.Publish(t.Context(), s.registry.URL+"/artifacts/data:1.0.0", ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

// restart makes the operator forget what it has read.
func (s *target) restart(t *testing.T) {
	t.Helper()
	repositories, err := access.New(access.Options{Live: s.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s.resources = s.Install(resource.Plugin(resource.Options{Lifecycle: s.Lifecycle, Repositories: repositories, Store: s.Store}))
}

// manifest reads a manifest of a component version as it is now.
func (s *target) manifest(t *testing.T, component, reference string) (raw []byte, m ocispec.Manifest) {
	t.Helper()
	raw = s.read(t, "/v2/ocm/component-descriptors/"+component+"/manifests/"+reference)
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("manifest of %s: %v", component, err)
	}
	return raw, m
}

// TestSwitchedAfterVerification has a registry that serves good content while a version is verified, and other content
// afterwards. What is published is what was verified, or nothing.
func TestSwitchedAfterVerification(t *testing.T) {
	t.Parallel()
	const (
		mismatch   = "False " + v1alpha1.ContentMismatchReason
		descriptor = "False " + v1alpha1.GetComponentDescriptorFailedReason
	)
	local, nested, remote := v1alpha1.ResourceReference{Name: "data"}, v1alpha1.ResourceReference{Name: "data", ReferencePath: []map[string]string{{"name": "lib"}}}, v1alpha1.ResourceReference{Name: "artifact"}
	for name, tc := range map[string]struct {
		ref     v1alpha1.ResourceReference
		attack  func(t *testing.T, s *target)
		content string
		refused string
		reason  string
	}{
		"blob": {local, func(_ *testing.T, s *target) {
			s.registry.Inject(ocmtest.Replace(digest.FromString(good), "text/plain", []byte(evil)))
		}, "", mismatch, "the bytes are others than the digest says"},
		"longer blob": {local, func(_ *testing.T, s *target) {
			s.registry.Inject(ocmtest.Replace(digest.FromString(good), "text/plain", []byte(good+evil)))
		}, "", mismatch, "it only begins like what was verified"},
		"component descriptor": {local, func(t *testing.T, s *target) {
			t.Helper()
			_, before := s.manifest(t, app, "1.0.0")
			s.publish(t, evil, "attacker")
			_, after := s.manifest(t, app, "1.0.0")
			s.registry.Inject(s.redirect(t, before.Config.Digest, after.Config))
		}, "", descriptor, "the manifest names the other one"},
		"manifest": {local, func(t *testing.T, s *target) {
			t.Helper()
			s.publish(t, evil, "attacker")
			raw, _ := s.manifest(t, app, "1.0.0")
			s.registry.Inject(ocmtest.Replace(digest.Digest(s.component.Status.ManifestDigest), ocispec.MediaTypeImageManifest, raw))
		}, "", descriptor, "the status names the other one"},
		"tag":        {local, func(t *testing.T, s *target) { t.Helper(); s.publish(t, evil, "attacker") }, good, "", "nobody asks for the tag again"},
		"tag, again": {local, func(t *testing.T, s *target) { t.Helper(); s.publish(t, evil, "release") }, good, "", "nor does it matter whether the other one is signed as well"},
		"nested tag": {nested, func(t *testing.T, s *target) { t.Helper(); s.publish(t, evil, "attacker") }, "nested " + good, "", "that of a reference isn't asked for, either"},
		"nested manifest": {nested, func(t *testing.T, s *target) {
			t.Helper()
			raw, _ := s.manifest(t, "acme.org/lib", "3.0.0")
			s.publish(t, evil, "attacker")
			other, _ := s.manifest(t, "acme.org/lib", "3.0.0")
			s.registry.Inject(ocmtest.Replace(digest.FromBytes(raw), ocispec.MediaTypeImageManifest, other))
		}, "", descriptor, "the status names the other one"},
		"nested blob": {nested, func(_ *testing.T, s *target) {
			s.registry.Inject(ocmtest.Replace(digest.FromString("nested "+good), "text/plain", []byte("nested "+evil)))
		}, "", mismatch, "the bytes are others than the digest says"},
		"tag of an artifact": {remote, func(t *testing.T, s *target) { t.Helper(); s.push(t, evil) }, good, "", "it is read by its digest"},
		"manifest of an artifact": {remote, func(t *testing.T, s *target) {
			t.Helper()
			other := s.push(t, evil)
			s.registry.Inject(s.redirectManifest(t, s.artifact, other))
		}, "", mismatch, "its digest was signed"},
		"artifact in place of another": {remote, func(t *testing.T, s *target) {
			t.Helper()
			s.push(t, evil)
			s.registry.Inject(gone(s.artifact))
		}, "", mismatch, "what the tag leads to is another artifact"},
		"layer of an artifact": {remote, func(_ *testing.T, s *target) {
			s.registry.Inject(ocmtest.Replace(digest.FromString(good), "text/plain", []byte(evil)))
		}, "", mismatch, "the manifest names the other one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTarget(t)
			s.resource.Spec.SourceRef.ResourceRef = &tc.ref
			tc.attack(t, s)
			s.reconcile()
			if tc.refused != "" {
				wantRefused(t, s.stage, tc.refused, "sha256:")
				return
			}
			wantReady(t, s.resource, "1.0.0")
			if got := string(s.stored().Content); got != tc.content || !s.resource.Status.Origins[0].Verified {
				t.Errorf("stored is %q, origins are %v, want %q: %s", got, s.resource.Status.Origins, tc.content, tc.reason)
			}
		})
	}
}

// redirect answers a read of one blob with another one.
func (s *target) redirect(t *testing.T, from digest.Digest, to ocispec.Descriptor) ocmtest.Fault {
	t.Helper()
	return ocmtest.Replace(from, to.MediaType, s.read(t, "/v2/ocm/component-descriptors/"+app+"/blobs/"+to.Digest.String()))
}

func (s *target) redirectManifest(t *testing.T, from, to digest.Digest) ocmtest.Fault {
	t.Helper()
	return ocmtest.Replace(from, ocispec.MediaTypeImageManifest, s.read(t, "/v2/artifacts/data/manifests/"+to.String()))
}

func (s *target) read(t *testing.T, path string) []byte {
	t.Helper()
	answer := httptest.NewRecorder()
	s.registry.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	if answer.Code != http.StatusOK {
		t.Fatalf("read %s: status %d", path, answer.Code)
	}
	return answer.Body.Bytes()
}

// gone hides what has a digest.
func gone(d digest.Digest) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if !strings.HasSuffix(req.URL.Path, "/"+d.String()) {
			return false
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`)) // the client is gone if this fails
		return true
	}
}
