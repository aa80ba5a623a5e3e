package componentversion_test

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

const app = "acme.org/app"

// stage is a cluster with a registry of components.
type stage struct {
	*reconcilertest.World
	*reconcilertest.Controller
	registry *ocmtest.Server
	url      string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	w, registry := reconcilertest.New(t), ocmtest.Start(t)
	s := &stage{World: w, registry: registry, url: registry.URL + "/ocm"}
	s.install()
	return s
}

// install sets the feature up with what the world has now.
func (s *stage) install() {
	s.Controller = s.Install(componentversion.Plugin(componentversion.Options{
		Lifecycle: s.Lifecycle, Repositories: s.Repositories, Transfers: s.Transfers(),
	}))
}

// release publishes versions of the component, each with a resource.
func (s *stage) release(versions ...string) {
	for _, version := range versions {
		s.Publish(s.url, ocmtest.Component{
			Name: app, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte("data of " + version)}},
		})
	}
}

// follow creates a ComponentVersion of the component and reconciles it.
func (s *stage) follow(constraint string) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion("app", s.url, app, constraint)
	s.Create(cv)
	s.Reconcile(cv)
	return cv
}

// forget drops what was counted so far.
func (s *stage) forget() {
	s.Events()
	s.Writes()
	s.registry.ResetRequests()
}

// descriptors returns the names of all ComponentDescriptors with the number of their owners.
func (s *stage) descriptors(t *testing.T) map[string]int {
	t.Helper()
	list := &v1alpha1.ComponentDescriptorList{}
	if err := s.Client.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, item := range list.Items {
		out[item.Name] = len(item.OwnerReferences)
	}
	return out
}

func wantReady(t *testing.T, cv *v1alpha1.ComponentVersion, version string) {
	t.Helper()
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(cv)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s\n%s", diff, reconcilertest.Message(cv, "Ready"))
	}
	if got, want := reconcilertest.Message(cv, "Ready"), "Applied version: "+version; got != want || cv.Status.ReconciledVersion != version {
		t.Errorf("version is %q with message %q, want %q", cv.Status.ReconciledVersion, got, want)
	}
}

func wantNotReady(t *testing.T, cv *v1alpha1.ComponentVersion, reason, says string) {
	t.Helper()
	if got := reconcilertest.Conditions(cv)["Ready"]; got != "False "+reason {
		t.Errorf("Ready is %q, want reason %s", got, reason)
	}
	if got := reconcilertest.Message(cv, "Ready"); !strings.Contains(got, says) {
		t.Errorf("message %q lacks %q", got, says)
	}
}

func TestNewVersion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	manifest := s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("final")}}})
	cv := reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
	s.Create(cv)
	spec := cv.Spec.DeepCopy()
	result := s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	if result.RequeueAfter != reconcilertest.Interval {
		t.Errorf("looked at again after %s", result.RequeueAfter)
	}
	name := naming.ComponentDescriptorName(app, "1.1.0", nil)
	status := cv.Status
	if status.ManifestDigest != manifest.String() || status.ReplicatedRepositoryURL != s.url || status.ObservedGeneration != 1 ||
		status.ComponentDescriptor.Name != app || status.ComponentDescriptor.ManifestDigest != manifest.String() ||
		status.ComponentDescriptor.ComponentDescriptorRef.Name != name || status.Verified {
		t.Errorf("status is %+v", status)
	}
	want := []string{
		"Normal Progressing Version check succeeded, found latest version: 1.1.0",
		"Normal Succeeded Reconciliation finished, next run in 10m0s",
	}
	s.wantEvents(t, want...)
	if diff := cmp.Diff(spec, &cv.Spec); diff != "" {
		t.Errorf("the spec was changed (-want +got):\n%s", diff)
	}
	descriptor := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(name)}
	s.Get(descriptor)
	if len(descriptor.Spec.Resources) != 1 || descriptor.Spec.Resources[0].Name != "data" || descriptor.OwnerReferences[0].UID != cv.UID {
		t.Errorf("descriptor is %+v", descriptor)
	}
}

// TestRequestsOfNewVersion: what is new is read by its tag, which tells its digest, too. An object that finds read what it
// follows costs the manifest alone.
func TestRequestsOfNewVersion(t *testing.T) {
	t.Parallel()
	for constraint, listings := range map[string]int{">=1.0.0": 1, "1.1.0": 0} {
		t.Run(constraint, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0")
			cv := s.follow("1.0.0")
			s.release("1.1.0")
			s.forget()
			s.Change(cv, func() { cv.Spec.Version.Semver = constraint })
			s.Reconcile(cv)
			wantReady(t, cv, "1.1.0")
			want := map[string]int{"GET manifests": 1, "GET blobs": 2}
			if listings > 0 {
				want["GET tags"] = listings
			}
			if diff := cmp.Diff(want, s.registry.Requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			other := reconcilertest.ComponentVersion("other", s.url, app, "1.1.0")
			s.Create(other)
			s.forget()
			s.Reconcile(other)
			wantReady(t, other, "1.1.0")
			if diff := cmp.Diff(map[string]int{"GET manifests": 1}, s.registry.Requests()); diff != "" {
				t.Errorf("requests of another object (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnchangedVersionCostsNoDownload(t *testing.T) {
	t.Parallel()
	for constraint, want := range map[string]map[string]int{
		">=1.0.0": {"GET tags": 1, "HEAD manifests": 1},
		"1.0.0":   {"HEAD manifests": 1},
	} {
		t.Run(constraint, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0")
			cv := s.follow(constraint)
			s.forget()
			s.Reconcile(cv)
			if diff := cmp.Diff(want, s.registry.Requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
				t.Errorf("writes %v and events %v, want none", writes, events)
			}
		})
	}
}

func TestUpgradeReplacesDescriptor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow(">=1.0.0")
	s.forget()
	s.release("1.1.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	if diff := cmp.Diff(map[string]int{naming.ComponentDescriptorName(app, "1.1.0", nil): 1}, s.descriptors(t)); diff != "" {
		t.Errorf("descriptors (-want +got):\n%s", diff)
	}
	if events := s.Events(); len(events) != 2 || !strings.HasSuffix(events[0], "found latest version: 1.1.0") {
		t.Errorf("events are %q", events)
	}
}

func TestDowngradeWhenTheConstraintSaysSo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	cv := s.follow(">=1.0.0")
	wantReady(t, cv, "1.1.0")
	s.Change(cv, func() { cv.Spec.Version.Semver = "<1.1.0" })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
}

// unpublish takes a version's tag out of the registry.
func (s *stage) unpublish(t *testing.T, version string) {
	t.Helper()
	address := s.registry.URL + "/v2/ocm/component-descriptors/" + app + "/manifests/" + version
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s: %s", address, response.Status)
	}
}

func TestVersionThatDisappears(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	cv := s.follow(">=1.0.0")
	s.forget()
	s.unpublish(t, "1.1.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("writes %v and events %v: that a tag is gone is no reason to go back", writes, events)
	}
	s.release("1.2.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.2.0")
}

func TestExactVersionThatDisappears(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	cv := s.follow("1.0.0")
	s.forget()
	s.unpublish(t, "1.0.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("writes %v and events %v: what it is pinned to is there still", writes, events)
	}
}

func TestOnlyVersionDisappears(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow(">=1.0.0")
	s.unpublish(t, "1.0.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
}

// TestTagsThatAreNoVersions has an image under a tag that looks like the newest version.
func TestTagsThatAreNoVersions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	reference := s.url + "/component-descriptors/" + app + ":2.0.0"
	if _, err := (ocmtest.Artifact{Layers: []ocmtest.Layer{{MediaType: "text/plain", Content: []byte("x")}}}).Publish(t.Context(), reference, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	cv := s.follow(">=1.0.0")
	wantReady(t, cv, "1.0.0")
	s.forget()
	s.Reconcile(cv)
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("writes %v and events %v of an unchanged component", writes, events)
	}
}

func TestNothingMatches(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow(">=2.0.0")
	wantNotReady(t, cv, v1alpha1.CheckVersionFailedReason, "acme.org/app >=2.0.0")
	if got := reconcilertest.Message(cv, "Ready"); !strings.Contains(got, "1.0.0") {
		t.Errorf("message %q does not tell what there is", got)
	}
	s.release("2.0.0")
	s.Reconcile(cv)
	wantReady(t, cv, "2.0.0")
}

func TestSpecChangeTakesEffectWithTheSameVersion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow("1.0.0")
	old := cv.Status.ManifestDigest

	mirror := ocmtest.Start(t)
	other := s.Publish(mirror.URL+"/mirror", ocmtest.Component{Name: app, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("other")}}})
	s.Change(cv, func() { cv.Spec.Repository.URL = mirror.URL + "/mirror" })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if cv.Status.ManifestDigest != other.String() || other.String() == old || cv.Status.ReplicatedRepositoryURL != mirror.URL+"/mirror" {
		t.Errorf("status is %+v, want what the other repository holds", cv.Status)
	}
	s.Change(cv, func() { cv.Spec.Interval.Duration *= 2 })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if cv.Status.ObservedGeneration != 3 {
		t.Errorf("observedGeneration is %d", cv.Status.ObservedGeneration)
	}
}

func TestRefusedSpecs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change       func(*v1alpha1.ComponentVersion)
		reason, says string
		stalled      bool
	}{
		"verify": {func(cv *v1alpha1.ComponentVersion) { cv.Spec.Verify = []v1alpha1.Signature{{Name: "dev"}} }, v1alpha1.ComponentVerificationFailedReason, "failed to verify acme.org/app with constraint 1.0.0: ", false},
		"no secret": {func(cv *v1alpha1.ComponentVersion) {
			cv.Spec.Destination = &v1alpha1.Repository{URL: "mirror.example.com", SecretRef: &meta.LocalObjectReference{Name: "writer"}}
		}, v1alpha1.AuthenticatedContextCreationFailedReason, "spec.destination.secretRef", true},
		"component name": {func(cv *v1alpha1.ComponentVersion) { cv.Spec.Component = "No Component" }, v1alpha1.InvalidSpecReason, "spec.component", true},
		"constraint":     {func(cv *v1alpha1.ComponentVersion) { cv.Spec.Version.Semver = "newest" }, v1alpha1.CheckVersionFailedReason, "newest", true},
		"no account":     {func(cv *v1alpha1.ComponentVersion) { cv.Spec.ServiceAccountName = "nobody" }, v1alpha1.AuthenticatedContextCreationFailedReason, "ServiceAccount default/nobody does not exist", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0")
			cv := reconcilertest.ComponentVersion("app", s.url, app, "1.0.0")
			tc.change(cv)
			s.Create(cv)
			s.Reconcile(cv)
			wantNotReady(t, cv, tc.reason, tc.says)
			if stalled := reconcilertest.Conditions(cv)["Stalled"] != ""; stalled != tc.stalled {
				t.Errorf("stalled is %t", stalled)
			}
			if found := s.descriptors(t); len(found) > 0 || cv.Status.ReconciledVersion != "" {
				t.Errorf("version %q and descriptors %v were published", cv.Status.ReconciledVersion, found)
			}
		})
	}
}

func TestVerifyAddedLaterClearsReady(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow("1.0.0")
	s.Change(cv, func() { cv.Spec.Verify = []v1alpha1.Signature{{Name: "dev"}} })
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "spec.verify")
}

func TestUnreachableRepository(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow(">=1.0.0")
	s.forget()
	s.registry.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "away", http.StatusBadRequest)
		return true
	})
	s.Reconcile(cv)
	if got := reconcilertest.Conditions(cv); got["Ready"] != "True Succeeded" || got["Reconciling"] != "True ProgressingWithRetry" {
		t.Errorf("conditions are %v, want that what was delivered stands", got)
	}
	s.registry.Heal()
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
}

// TestResetConnectionsAreOneEvent: the port of a connection is another one at each try, and must not make each try news.
func TestResetConnectionsAreOneEvent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	cv := s.follow(">=1.0.0")
	s.registry.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return false
		}
		if tcp, ok := connection.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // the client sees a reset
		}
		_ = connection.Close()
		return true
	})
	s.Reconcile(cv)
	s.forget()
	s.Reconcile(cv)
	if writes, events := s.Writes(), s.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("writes %v and events %q of the same fault", writes, events)
	}
}

func TestBuildMetadata(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0+build.1")
	cv := s.follow(">=1.0.0")
	wantReady(t, cv, "1.0.0+build.1")
	descriptor := &v1alpha1.ComponentDescriptor{ObjectMeta: reconcilertest.Named(cv.Status.ComponentDescriptor.ComponentDescriptorRef.Name)}
	s.Get(descriptor)
	if strings.ContainsAny(descriptor.Name, "+/") {
		t.Errorf("name %q is no object name", descriptor.Name)
	}
}

func TestExactVersionSpelledOtherwise(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("v1.0.0")
	wantReady(t, s.follow("1.0.0"), "v1.0.0")
}

// TestMissingExactVersionIsListedOnce counts: the listing that tells what there is instead is also the one that is searched.
func TestMissingExactVersionIsListedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	s.registry.ResetRequests()
	cv := s.follow("3.0.0")
	wantNotReady(t, cv, v1alpha1.CheckVersionFailedReason, "1.0.0")
	if got := s.registry.Requests()["GET tags"]; got != 1 {
		t.Errorf("tags were listed %d times, want once", got)
	}
}
