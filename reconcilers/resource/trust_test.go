package resource_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/resource"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// TestVerifiedLater verifies a version that was published before. Its content is read and compared again, and everything
// says from then on where it came from.
func TestVerifiedLater(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.reconcile()
	before := s.resource.Status
	s.Verified(s.component)
	s.forget()
	s.reconcile()
	wantReady(t, s.resource, "1.0.0")
	want := []v1alpha1.Origin{{Namespace: "default", Name: "app", Version: "1.0.0", ManifestDigest: s.component.Status.ManifestDigest, Verified: true}}
	if diff := cmp.Diff(want, s.resource.Status.Origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.snapshot().Spec.Origins); diff != "" {
		t.Errorf("origins of the Snapshot (-want +got):\n%s", diff)
	}
	if after := s.resource.Status; after.LatestManifestDigest != before.LatestManifestDigest || s.registry.Requests()["GET blobs"] == 0 {
		t.Errorf("manifest %s was %s, requests %v: want that the same content is read again", after.LatestManifestDigest, before.LatestManifestDigest, s.registry.Requests())
	}
	s.forget()
	for range 3 {
		s.reconcile()
	}
	if requests, writes := s.registry.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("requests %v, writes %v, though nothing changed", requests, writes)
	}
}

// TestSnapshotOfAnEarlierVersion has a Snapshot that does not say where its content came from. It is told once, and the
// content is not read again.
func TestSnapshotOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	s := newStage(t, version("1.0.0", data("hello")))
	s.reconcile()
	snap := s.snapshot()
	s.Change(snap, func() { snap.Spec.Origins = nil })
	s.forget()
	for range 3 {
		s.reconcile()
	}
	if diff := cmp.Diff([]string{"patch Snapshot default/" + snap.Name}, s.Writes()); diff != "" || len(s.registry.Requests()) > 0 {
		t.Errorf("requests %v, writes (-want +got):\n%s", s.registry.Requests(), diff)
	}
	if diff := cmp.Diff(s.resource.Status.Origins, s.snapshot().Spec.Origins); diff != "" {
		t.Errorf("origins of the Snapshot (-want +got):\n%s", diff)
	}
}

// TestUnprotectedIsDenied has the operator deny what no signature can protect, also what it has published before it was told to.
func TestUnprotectedIsDenied(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		resource ocmtest.Resource
		says     string
	}{
		"protected": {data("hello"), ""},
		"excluded":  {ocmtest.Resource{Name: "data", Content: []byte("hello"), Excluded: true}, "its publisher excluded its content"},
		"no digest": {ocmtest.Resource{Name: "data", Content: []byte("hello"), NoDigest: true}, "it has no digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, version("1.0.0", tc.resource))
			s.reconcile()
			wantReady(t, s.resource, "1.0.0")
			before := s.resource.Status
			s.resources = s.Install(resource.Plugin(resource.Options{
				Lifecycle: s.Lifecycle, Repositories: s.Repositories, Store: s.Store, Protection: source.Protection{Deny: true},
			}))
			s.reconcile()
			if tc.says == "" {
				wantReady(t, s.resource, "1.0.0")
				return
			}
			if got, message := reconcilertest.Conditions(s.resource)["Ready"], reconcilertest.Message(s.resource, "Ready"); got != "False "+v1alpha1.UnprotectedResourceReason || !strings.Contains(message, tc.says) {
				t.Errorf("Ready is %q: %s", got, message)
			}
			if after := s.resource.Status; after.LatestManifestDigest != before.LatestManifestDigest || after.Fingerprint != before.Fingerprint {
				t.Errorf("status is %+v, was %+v: want that what is deployed stays", after, before)
			}
		})
	}
}
