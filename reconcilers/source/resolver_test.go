package source_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

const (
	layer    = "sha256:aaaa"
	manifest = "sha256:bbbb"
)

func condition(status metav1.ConditionStatus, message string) []metav1.Condition {
	return []metav1.Condition{{Type: "Ready", Status: status, Reason: "Reason", Message: message, LastTransitionTime: metav1.Now()}}
}

// readyComponent puts a ready ComponentVersion into the cluster.
func readyComponent(w *reconcilertest.World) *v1alpha1.ComponentVersion {
	cv := reconcilertest.ComponentVersion("app", "registry.example.com", "acme.org/app", "1.0.0")
	w.Create(cv)
	w.SetStatus(cv, func() {
		cv.Status.Conditions = condition("True", "ready")
		cv.Status.ObservedGeneration = 1
		cv.Status.ReconciledVersion, cv.Status.ManifestDigest = "1.0.0", manifest
		cv.Status.ReplicatedRepositoryURL = "registry.example.com"
		cv.Status.ComponentDescriptor = &v1alpha1.Reference{Name: "acme.org/app", Version: "1.0.0", ManifestDigest: manifest}
	})
	return cv
}

// readyResource puts a ready Resource with its Snapshot into the cluster.
func readyResource(w *reconcilertest.World) (*v1alpha1.Resource, *v1alpha1.Snapshot) {
	resource := reconcilertest.Resource("app", "component", "manifests")
	snapshot := &v1alpha1.Snapshot{
		ObjectMeta: reconcilertest.Named("app-abc"),
		Spec:       v1alpha1.SnapshotSpec{Identity: map[string]string{"resource-name": "manifests"}, Digest: layer, ManifestDigest: manifest},
	}
	w.Create(resource, snapshot)
	w.SetStatus(resource, func() {
		resource.Status.Conditions = condition("True", "ready")
		resource.Status.ObservedGeneration = 1
		resource.Status.SnapshotName, resource.Status.LatestSnapshotDigest, resource.Status.LatestManifestDigest = "app-abc", layer, manifest
		resource.Status.LatestSourceVersion = "1.0.0"
		resource.Status.Origins = []v1alpha1.Origin{{Namespace: "default", Name: "component", Version: "1.0.0"}}
	})
	w.SetStatus(snapshot, func() {
		snapshot.Status.Conditions = condition("True", "ready")
		snapshot.Status.ObservedGeneration = 1
		snapshot.Status.ManifestDigest = manifest
	})
	return resource, snapshot
}

func TestResolveComponentVersion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*reconcilertest.World, *v1alpha1.ComponentVersion)
		ref    v1alpha1.ObjectReference
		why    string
		reason string
	}{
		"ready":                 {nil, v1alpha1.ObjectReference{Name: "app"}, "", "it can be used"},
		"another kind is named": {nil, v1alpha1.ObjectReference{Kind: "Resource", Name: "app"}, "", "the caller knows that it is a ComponentVersion"},
		"missing":               {nil, v1alpha1.ObjectReference{Name: "other"}, "does not exist", "it may come"},
		"never reconciled": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() { cv.Status = v1alpha1.ComponentVersionStatus{} })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready yet", "nothing is known of it"},
		"not ready": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() { cv.Status.Conditions = condition("False", "no such version") })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready: no such version", "the cause helps"},
		"spec changed": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Change(cv, func() { cv.Spec.Component = "acme.org/other" })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready yet", "its status speaks of what it was before"},
		"suspended": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() { cv.Status.SpecDigest = cv.Spec.Digest() })
			w.Change(cv, func() { cv.Spec.Suspend, cv.Spec.Interval.Duration = true, time.Hour })
		}, v1alpha1.ObjectReference{Name: "app"}, "", "it stands for the version that was accepted for this spec"},
		"suspended with another spec": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() { cv.Status.SpecDigest = cv.Spec.Digest() })
			w.Change(cv, func() {
				cv.Spec.Suspend, cv.Spec.Verify = true, []v1alpha1.Signature{{Name: "dev", PublicKey: &v1alpha1.PublicKey{Value: "YQ=="}}}
			})
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready yet", "nobody has verified what it asks for"},
		"suspended before it was ready": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() {
				cv.Status.SpecDigest, cv.Status.Conditions = cv.Spec.Digest(), condition("Unknown", "working")
			})
			w.Change(cv, func() { cv.Spec.Suspend = true })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready yet", "what it holds is not what it should"},
		"suspended by an older operator": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Change(cv, func() { cv.Spec.Suspend = true })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not ready yet", "nobody knows what its spec was"},
		"deleted": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Change(cv, func() { cv.Finalizers = []string{"example.com/keep"} })
			w.Delete(cv)
		}, v1alpha1.ObjectReference{Name: "app"}, "is being deleted", "it is about to be gone"},
		"verified": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Verified(cv)
		}, v1alpha1.ObjectReference{Name: "app"}, "", "it is what it asks for"},
		"not verified": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Verified(cv)
			w.SetStatus(cv, func() { cv.Status.Verified = false })
		}, v1alpha1.ObjectReference{Name: "app"}, "is not verified", "an older operator has called it ready"},
		"suspended and verified": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Verified(cv)
			w.Change(cv, func() { cv.Spec.Suspend = true })
		}, v1alpha1.ObjectReference{Name: "app"}, "", "it stands for the version that was verified"},
		"suspended and not verified": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.Verified(cv)
			w.SetStatus(cv, func() { cv.Status.Verified = false })
			w.Change(cv, func() { cv.Spec.Suspend = true })
		}, v1alpha1.ObjectReference{Name: "app"}, "is suspended and is not verified: resume it, so that the signatures of spec.verify are checked", "nobody will verify it"},
		"no digest": {func(w *reconcilertest.World, cv *v1alpha1.ComponentVersion) {
			w.SetStatus(cv, func() { cv.Status.ManifestDigest = "" })
		}, v1alpha1.ObjectReference{Name: "app"}, "has no version yet", "a status of an older controller pins nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			cv := readyComponent(w)
			if tc.change != nil {
				tc.change(w, cv)
			}
			got, err := source.Resolver{Reader: w.Client}.ComponentVersion(t.Context(), "default", tc.ref)
			if tc.why == "" {
				if err != nil || got.Name != "app" {
					t.Fatalf("got %v and %v: %s", got, err, tc.reason)
				}
				return
			}
			var notReady *source.NotReadyError
			if !errors.As(err, &notReady) || notReady.Why != tc.why || notReady.Ref.Kind != v1alpha1.ComponentVersionKind {
				t.Errorf("error is %v, want that it %s: %s", err, tc.why, tc.reason)
			}
		})
	}
}

func TestResolveSnapshot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*reconcilertest.World, *v1alpha1.Resource, *v1alpha1.Snapshot)
		why    string
		reason string
	}{
		"ready": {nil, "", "it can be used"},
		"writer is not ready": {func(w *reconcilertest.World, r *v1alpha1.Resource, _ *v1alpha1.Snapshot) {
			w.SetStatus(r, func() { r.Status.Conditions = condition("False", "broken") })
		}, "Resource default/app is not ready: broken", "what it holds may be what it must not"},
		"writer has another generation": {func(w *reconcilertest.World, r *v1alpha1.Resource, _ *v1alpha1.Snapshot) {
			w.Change(r, func() { r.Spec.SourceRef.Name = "other" })
		}, "Resource default/app is not ready yet", "its content is of the old spec"},
		"writer is suspended": {func(w *reconcilertest.World, r *v1alpha1.Resource, s *v1alpha1.Snapshot) {
			w.Change(r, func() { r.Spec.Suspend = true })
			w.Change(s, func() { s.Spec.Suspend = true })
		}, "", "its content stays what it is"},
		"writer is suspended before it was ready": {func(w *reconcilertest.World, r *v1alpha1.Resource, _ *v1alpha1.Snapshot) {
			w.SetStatus(r, func() { r.Status.Conditions = condition("Unknown", "working") })
			w.Change(r, func() { r.Spec.Suspend = true })
		}, "Resource default/app is not ready yet", "what it holds is not what it should"},
		"nothing written": {func(w *reconcilertest.World, r *v1alpha1.Resource, _ *v1alpha1.Snapshot) {
			w.SetStatus(r, func() { r.Status.SnapshotName = "" })
		}, "Resource default/app has no snapshot yet", "there is nothing to read"},
		"snapshot is gone": {func(w *reconcilertest.World, _ *v1alpha1.Resource, s *v1alpha1.Snapshot) {
			w.Delete(s)
		}, "Snapshot default/app-abc does not exist", "its writer makes it again"},
		"snapshot holds other content": {func(w *reconcilertest.World, _ *v1alpha1.Resource, s *v1alpha1.Snapshot) {
			w.SetStatus(s, func() { s.Status.ManifestDigest = "sha256:cccc" })
		}, "Snapshot default/app-abc does not hold the current content yet", "an old snapshot under a new version is the flaw that must not be"},
		"snapshot is not ready": {func(w *reconcilertest.World, _ *v1alpha1.Resource, s *v1alpha1.Snapshot) {
			w.SetStatus(s, func() { s.Status.Conditions = condition("False", "content is missing") })
		}, "Snapshot default/app-abc is not ready: content is missing", "it can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			resource, snapshot := readyResource(w)
			if tc.change != nil {
				tc.change(w, resource, snapshot)
			}
			got, err := source.Resolver{Reader: w.Client}.Snapshot(t.Context(), "default", reconcilertest.From("Resource", "app"))
			if tc.why != "" {
				var notReady *source.NotReadyError
				if !errors.As(err, &notReady) || err.Error() != tc.why {
					t.Errorf("error is %v, want %q: %s", err, tc.why, tc.reason)
				}
				return
			}
			want := &source.Content{
				Ref: source.Ref{Kind: "Resource", Namespace: "default", Name: "app"}, SnapshotName: "app-abc",
				LayerDigest: layer, ManifestDigest: manifest, Version: "1.0.0",
				Origins: resource.Status.Origins, Identity: snapshot.Spec.Identity, Suspended: resource.Spec.Suspend,
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", tc.reason, err, diff)
			}
		})
	}
}

func TestResolveUnknownKind(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	for _, kind := range []string{"GitRepository", "", "Snapshot"} {
		_, err := source.Resolver{Reader: w.Client}.Snapshot(t.Context(), "default", v1alpha1.ObjectReference{Kind: kind, Name: "app"})
		var unknown *source.UnknownKindError
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "Resource, Localization, Configuration") {
			t.Errorf("kind %q: error is %v, want that it can't be a source and what can", kind, err)
		}
	}
}

func TestCrossNamespaceReferences(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		denied    bool
		namespace string
		allowed   bool
		reason    string
	}{
		"same namespace":             {true, "", true, "it is no other namespace"},
		"same namespace, written":    {true, "team", true, "it is no other namespace"},
		"other namespace, permitted": {false, "default", true, "that is the default"},
		"other namespace, denied":    {true, "default", false, "the flag says so"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := reconcilertest.New(t)
			resolver := source.Resolver{Reader: w.Client, NoCrossNamespaceRefs: tc.denied}
			_, component := resolver.ComponentVersion(t.Context(), "team", v1alpha1.ObjectReference{Name: "app", Namespace: tc.namespace})
			_, snapshot := resolver.Snapshot(t.Context(), "team", v1alpha1.ObjectReference{Kind: "Resource", Name: "app", Namespace: tc.namespace})
			for _, err := range []error{component, snapshot} {
				if errors.Is(err, source.ErrAccessDenied) == tc.allowed {
					t.Errorf("error is %v, want access allowed %t: %s", err, tc.allowed, tc.reason)
				}
			}
		})
	}
}
