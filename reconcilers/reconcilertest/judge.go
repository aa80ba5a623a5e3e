package reconcilertest

import (
	"context"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// What the lifecycle may make of an error.
const (
	Waits   = "waits"
	Fails   = "fails"
	Stalls  = "stalls"
	Retries = "retries"
)

// Judge lets an object that was ready meet an error, and returns what the lifecycle made of it and the reason that it
// gives.
func Judge(t testing.TB, stepErr error) (outcome, reason string) {
	t.Helper()
	w := New(t)
	obj := Resource("judged", "component", "resource")
	w.Create(obj)
	var current error
	reconciler, err := lifecycle.New(lifecycle.Kind[*v1alpha1.Resource, *v1alpha1.Resource]{
		Name:  v1alpha1.ResourceKind,
		New:   func() *v1alpha1.Resource { return &v1alpha1.Resource{} },
		Begin: func(obj *v1alpha1.Resource, _ lifecycle.Events) *v1alpha1.Resource { return obj },
		Steps: []lifecycle.Step[*v1alpha1.Resource]{{Name: "work", Run: func(context.Context, *v1alpha1.Resource) error { return current }}},
		Ready: func(*v1alpha1.Resource) string { return "ready" },
	}, w.Lifecycle(nil))
	if err != nil {
		t.Fatalf("make the reconciler: %v", err)
	}
	for _, current = range []error{nil, stepErr} {
		if _, err := reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}); err != nil {
			t.Fatalf("reconcile: %v", err)
		}
	}
	w.Get(obj)
	return outcomeOf(obj, w.Events())
}

func outcomeOf(obj *v1alpha1.Resource, events []string) (outcome, reason string) {
	ready, stalled, reconciling := condition(obj, "Ready"), condition(obj, "Stalled"), condition(obj, "Reconciling")
	switch {
	case stalled.Status == "True":
		return Stalls, stalled.Reason
	case ready.Status == "False":
		return Fails, ready.Reason
	case reconciling.Reason == "ProgressingWithRetry":
		return Retries, reasonOf(events)
	}
	return Waits, reconciling.Reason
}
