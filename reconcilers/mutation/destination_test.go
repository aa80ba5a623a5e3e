package mutation_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// TestImagesAtTheDestination: what was transferred is read from its destination, and images are pulled from there, whatever becomes
// of where it was found.
func TestImagesAtTheDestination(t *testing.T) {
	t.Parallel()
	s, mirror := newStage(t, config), ocmtest.Start(t)
	const version = "1.1.0"
	reference := s.registry.URL + "/images/app:" + version
	image, err := (ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("layer")}}}).Publish(t.Context(), reference, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Publish(s.url, ocmtest.Component{Name: app, Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy, "other.txt": version})},
		{Name: "config", Content: []byte(config)},
		{Name: "image", Image: reference, Digest: descriptor.NewArtifactDigest(image)},
	}})
	s.Change(s.component, func() {
		s.component.Spec.Version.Semver, s.component.Spec.Destination = version, &v1alpha1.Repository{URL: mirror.URL + "/mirror"}
	})
	s.transferred(t)
	s.registry.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "gone", http.StatusBadGateway)
		return true
	})
	s.forget()
	s.resources.Reconcile(s.resource)
	wantReady(t, s.resource)
	s.prove(t)
	l := s.localize(t)
	wantReady(t, l)
	there := mirror.Host + "/mirror/images/app@" + image.String()
	if got, want := s.file(t, l.Status), strings.Replace(deploy, "placeholder", there, 1); got != want {
		t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
	}
	if requests := s.registry.Requests(); len(requests) > 0 {
		t.Errorf("requests %v where it was found", requests)
	}
	want := []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: version, ManifestDigest: s.component.Status.ManifestDigest}}
	if diff := cmp.Diff(want, l.Status.Origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

// transferred reconciles the component until its version is at the destination.
func (s *stage) transferred(t *testing.T) {
	t.Helper()
	owner := transfers.Owner{Kind: v1alpha1.ComponentVersionKind}
	owner.Namespace, owner.Name = s.component.Namespace, s.component.Name
	deadline, tick := time.Now().Add(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for s.components.Reconcile(s.component); ; s.components.Reconcile(s.component) {
		_, state, known := s.Transfers().Look(owner)
		if !known {
			break
		}
		for ; !state.Ended(); _, state, _ = s.Transfers().Look(owner) {
			if <-tick.C; time.Now().After(deadline) {
				t.Fatal("the transfer has not ended")
			}
		}
	}
	if got := reconcilertest.Conditions(s.component)["Ready"]; got != "True Succeeded" {
		t.Fatalf("Ready is %q: %s", got, reconcilertest.Message(s.component, "Ready"))
	}
}
