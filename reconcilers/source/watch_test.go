package source_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// indexed is a feature that has an index and no controller worth mentioning.
func indexed(w *reconcilertest.World) plugin.Plugin {
	return plugin.Plugin{Name: "Indexed", Setup: func(ctx context.Context, mgr ctrl.Manager) error {
		err := source.Index(ctx, mgr, &v1alpha1.Resource{}, func(obj client.Object) []source.Ref {
			resource, ok := obj.(*v1alpha1.Resource)
			if !ok {
				return nil
			}
			return []source.Ref{source.RefTo(resource.Spec.SourceRef, resource.Namespace)}
		})
		if err != nil {
			return err
		}
		return mgr.Add(nothing{})
	}}
}

type nothing struct{}

func (nothing) Start(context.Context) error { return nil }
func (nothing) Reconcile(context.Context, reconcile.Request) (reconcile.Result, error) {
	return reconcile.Result{}, nil
}

// woken returns what an event of the object puts into the queue, sorted.
func woken(t *testing.T, h handler.EventHandler, obj client.Object) []string {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	h.Create(t.Context(), event.CreateEvent{Object: obj}, queue)
	var names []string
	for queue.Len() > 0 {
		request, _ := queue.Get()
		names = append(names, request.String())
		queue.Done(request)
	}
	slices.Sort(names)
	return names
}

func TestDependents(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	w.Install(indexed(w))
	near, far, other := reconcilertest.Resource("near", "app", "x"), reconcilertest.Resource("far", "app", "x"), reconcilertest.Resource("other", "web", "x")
	far.Namespace, far.Spec.SourceRef.Namespace = "team", "default"
	alike := reconcilertest.Resource("alike", "app", "x") // the same name, in its own namespace
	alike.Namespace = "team"
	reader := reconcilertest.Resource("copy", "content", "x")
	reader.Spec.SourceRef.Kind = v1alpha1.SnapshotKind
	w.Create(near, far, other, alike, reader)
	list := &v1alpha1.ResourceList{}

	app := reconcilertest.ComponentVersion("app", "", "", "")
	if diff := cmp.Diff([]string{"default/near", "team/far"}, woken(t, source.Dependents(w.Client, list, v1alpha1.ComponentVersionKind), app)); diff != "" {
		t.Errorf("a ComponentVersion wakes what refers to it, in any namespace (-want +got):\n%s", diff)
	}
	if got := woken(t, source.Dependents(w.Client, list, v1alpha1.ResourceKind), near); len(got) > 0 {
		t.Errorf("a Resource of the same name as a ComponentVersion woke %v", got)
	}
	owned := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("snapshot")}
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "Nothing", Name: "app"}, {Kind: v1alpha1.ComponentVersionKind, Name: "web"}}
	if diff := cmp.Diff([]string{"default/other"}, woken(t, source.DependentsOfOwner(w.Client, list), owned)); diff != "" {
		t.Errorf("a Snapshot wakes what refers to its owner (-want +got):\n%s", diff)
	}
	writer := reconcilertest.Resource("writer", "app", "x")
	if got := woken(t, source.DependentsOfSnapshot(w.Client, list), writer); len(got) > 0 {
		t.Errorf("a Resource that has not written a Snapshot yet woke %v", got)
	}
	writer.Status.SnapshotName = "content"
	if diff := cmp.Diff([]string{"default/copy"}, woken(t, source.DependentsOfSnapshot(w.Client, list), writer)); diff != "" {
		t.Errorf("a Resource wakes what refers to the Snapshot that it writes (-want +got):\n%s", diff)
	}
	if len(list.Items) > 0 {
		t.Error("the list that names the kind was filled: handlers run at the same time")
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	later := metav1.NewTime(metav1.Now().Add(time.Hour))
	component := func(change func(*v1alpha1.ComponentVersion)) client.Object {
		cv := reconcilertest.ComponentVersion("app", "registry.example.com", "acme.org/app", "1.0.0")
		cv.Generation, cv.Status.ObservedGeneration = 1, 1
		cv.Status.Conditions = condition("True", "Applied version: 1.0.0")
		cv.Status.ReconciledVersion, cv.Status.ManifestDigest = "1.0.0", manifest
		change(cv)
		return cv
	}
	resource := func(change func(*v1alpha1.Resource)) client.Object {
		r := reconcilertest.Resource("app", "component", "manifests")
		r.Generation, r.Status.ObservedGeneration = 1, 1
		r.Status.Conditions = condition("True", "ready")
		r.Status.Origins = []v1alpha1.Origin{{Name: "component", Version: "1.0.0"}}
		change(r)
		return r
	}
	snapshot := func(change func(*v1alpha1.Snapshot)) client.Object {
		s := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named("app")}
		s.Status.Conditions = condition("True", "ready")
		change(s)
		return s
	}
	type cv = *v1alpha1.ComponentVersion
	for name, tc := range map[string]struct {
		before, after client.Object
		want          bool
		reason        string
	}{
		"nothing":             {component(func(cv) {}), component(func(cv) {}), false, "nothing happened"},
		"ready again":         {component(func(c cv) { c.Status.Conditions = condition("False", "x") }), component(func(cv) {}), true, "the same version can be used again"},
		"not ready":           {component(func(cv) {}), component(func(c cv) { c.Status.Conditions = condition("False", "x") }), true, "dependents say why they wait"},
		"other cause":         {component(func(c cv) { c.Status.Conditions = condition("False", "x") }), component(func(c cv) { c.Status.Conditions = condition("False", "y") }), true, "they show the cause"},
		"version":             {component(func(cv) {}), component(func(c cv) { c.Status.ReconciledVersion = "2.0.0" }), true, "an upgrade"},
		"digest":              {component(func(cv) {}), component(func(c cv) { c.Status.ManifestDigest = "sha256:new" }), true, "the version was published again"},
		"repository":          {component(func(cv) {}), component(func(c cv) { c.Status.ReplicatedRepositoryURL = "mirror.example.com" }), true, "it is read from elsewhere"},
		"verified":            {component(func(cv) {}), component(func(c cv) { c.Status.Verified = true }), true, "everything is made anew from what was verified"},
		"verified signature":  {component(func(cv) {}), component(func(c cv) { c.Status.Proof = "sha256:new" }), false, "it is the same content, proven by other keys"},
		"verified origin":     {resource(func(*v1alpha1.Resource) {}), resource(func(r *v1alpha1.Resource) { r.Status.Origins[0].Verified = true }), true, "the same content was read from what was verified"},
		"deletion":            {component(func(cv) {}), component(func(c cv) { c.DeletionTimestamp = &later }), true, "it is about to be gone"},
		"progress":            {component(func(cv) {}), component(func(c cv) { c.Status.Conditions[0].LastTransitionTime = later }), false, "a time is no change"},
		"message of ready":    {component(func(cv) {}), component(func(c cv) { c.Status.Conditions[0].Message = "x" }), false, "nobody shows it"},
		"reconcile request":   {component(func(cv) {}), component(func(c cv) { c.Status.SetLastHandledReconcileRequest("now") }), false, "it was for the object itself"},
		"origins":             {resource(func(*v1alpha1.Resource) {}), resource(func(r *v1alpha1.Resource) { r.Status.Origins[0].Version = "2.0.0" }), true, "the same content belongs to a newer version"},
		"manifest":            {resource(func(*v1alpha1.Resource) {}), resource(func(r *v1alpha1.Resource) { r.Status.LatestManifestDigest = manifest }), true, "new content"},
		"fingerprint":         {resource(func(*v1alpha1.Resource) {}), resource(func(r *v1alpha1.Resource) { r.Status.Fingerprint = "x" }), false, "what it was made from is its own business"},
		"snapshot content":    {snapshot(func(*v1alpha1.Snapshot) {}), snapshot(func(s *v1alpha1.Snapshot) { s.Status.ManifestDigest = manifest }), true, "now it holds what its writer says"},
		"snapshot annotation": {snapshot(func(*v1alpha1.Snapshot) {}), snapshot(func(s *v1alpha1.Snapshot) { s.Annotations = map[string]string{"a": "b"} }), false, "its own controller looks at it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := source.Changed().Update(event.UpdateEvent{ObjectOld: tc.before, ObjectNew: tc.after}); got != tc.want {
				t.Errorf("passed is %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
	if !source.Changed().Create(event.CreateEvent{Object: component(func(cv) {})}) || !source.Changed().Delete(event.DeleteEvent{Object: component(func(cv) {})}) {
		t.Error("what appears or goes wakes its dependents")
	}
}

func TestSpecOrRequest(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Resource)
		want   bool
		reason string
	}{
		"status":     {func(r *v1alpha1.Resource) { r.Status.SnapshotName = "x" }, false, "our own writes don't wake us"},
		"generation": {func(r *v1alpha1.Resource) { r.Generation = 2 }, true, "the spec changed"},
		"annotation": {func(r *v1alpha1.Resource) {
			r.Annotations = map[string]string{"reconcile.fluxcd.io/requestedAt": "now"}
		}, true, "somebody asks"},
		"deletion":  {func(r *v1alpha1.Resource) { r.DeletionTimestamp = &now }, true, "it has to be let go"},
		"finalizer": {func(r *v1alpha1.Resource) { r.Finalizers = []string{"x"} }, true, "it may have to be let go"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := reconcilertest.Resource("app", "component", "manifests")
			after := before.DeepCopy()
			tc.change(after)
			if got := source.SpecOrRequest().Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after}); got != tc.want {
				t.Errorf("passed is %t, want %t: %s", got, tc.want, tc.reason)
			}
		})
	}
}
