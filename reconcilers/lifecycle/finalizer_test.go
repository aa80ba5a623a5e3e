package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const undone = "example.com/undone"

// newUndoing returns a bench whose kind undoes with what the error says.
func newUndoing(t *testing.T, fails *error) (b *bench, asked *int) {
	t.Helper()
	asked = new(int)
	b = newBench(t, func(k *kind, o *lifecycle.Options) {
		k.Finalizer, k.LegacyFinalizers = undone, nil
		k.Undo = func(context.Context, *v1alpha1.Resource) error {
			*asked++
			return *fails
		}
		o.MinRetryDelay = time.Second
	})
	return b, asked
}

// TestFinalizerComesFirst sets the finalizer before there is anything to undo, on suspended objects, too.
func TestFinalizerComesFirst(t *testing.T) {
	t.Parallel()
	for name, suspended := range map[string]bool{"working": false, "suspended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, asked := newUndoing(t, new(error))
			b.Change(b.obj, func() { b.obj.Spec.Suspend, b.obj.Finalizers = suspended, []string{"example.com/keep"} })
			worked := false
			b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
				worked = true
				if diff := cmp.Diff([]string{"example.com/keep", undone}, obj.Finalizers); diff != "" {
					t.Errorf("finalizers while a step runs (-want +got):\n%s", diff)
				}
				return nil
			}
			b.reconcile(t)
			b.Writes()
			b.reconcile(t)
			if writes := b.Writes(); worked == suspended || len(writes) > 0 || len(b.obj.Finalizers) != 2 || *asked != 0 {
				t.Errorf("worked: %v, finalizers %v, writes of the second run %v, undone %d times", worked, b.obj.Finalizers, writes, *asked)
			}
		})
	}
}

// TestUndoHoldsTheObject asks Undo until it is done, and only then lets the object go.
func TestUndoHoldsTheObject(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		again []time.Duration
	}{
		"a fault":           {errUnreachable, []time.Duration{time.Second, 2 * time.Second}},
		"a verdict":         {lifecycle.Wait("Reason", time.Minute, errUnreachable), []time.Duration{time.Minute, time.Minute}},
		"without any delay": {lifecycle.Wait("Reason", 0, errUnreachable), []time.Duration{time.Second, 2 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fails := tc.err
			b, asked := newUndoing(t, &fails)
			b.settle(t)
			b.Delete(b.obj)
			for i, want := range tc.again {
				if got := b.reconcile(t).RequeueAfter; got != want || !b.Has(b.obj) || *asked != i+1 {
					t.Errorf("try %d: again after %s, want %s; the object is there: %v; asked %d times", i+1, got, want, b.Has(b.obj), *asked)
				}
			}
			fails = nil
			if got := b.reconcile(t); got != (ctrl.Result{}) || b.Has(b.obj) {
				t.Errorf("undone, and the object is there: %v, again after %s", b.Has(b.obj), got.RequeueAfter)
			}
		})
	}
}

// TestUndoNeedsTheFinalizer undoes nothing for an object that has no finalizer of ours: it was undone, or never done.
func TestUndoNeedsTheFinalizer(t *testing.T) {
	t.Parallel()
	b, asked := newUndoing(t, new(error))
	b.Change(b.obj, func() { b.obj.Finalizers = []string{"example.com/keep"} })
	b.Delete(b.obj)
	b.reconcile(t)
	if diff := cmp.Diff([]string{"example.com/keep"}, b.obj.Finalizers); diff != "" || *asked != 0 {
		t.Errorf("undone %d times, finalizers (-want +got):\n%s", *asked, diff)
	}
}

// TestFinalizersOfOthersStay changes the list of finalizers only if nobody else has meanwhile, and makes no fuss if so.
func TestFinalizersOfOthersStay(t *testing.T) {
	t.Parallel()
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "resources"}, "app", errors.New("changed"))
	gone := apierrors.NewNotFound(schema.GroupResource{Resource: "resources"}, "app")
	broken := errors.New("server is gone")
	for name, tc := range map[string]struct {
		deleted bool
		answer  error
		again   bool
		err     error
	}{
		"set, conflict":     {false, conflict, true, nil},
		"set, gone":         {false, gone, true, nil},
		"set, broken":       {false, broken, false, broken},
		"removed, conflict": {true, conflict, true, nil},
		"removed, gone":     {true, gone, false, nil},
		"removed, broken":   {true, broken, false, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _ := newUndoing(t, new(error))
			if tc.deleted {
				b.settle(t)
				b.Delete(b.obj)
			}
			b.Refuse("patch Resource", tc.answer)
			result, err := b.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.obj)})
			if !errors.Is(err, tc.err) || (result.RequeueAfter > 0) != tc.again {
				t.Errorf("again after %s, %v", result.RequeueAfter, err)
			}
			b.Refuse("patch Resource", nil)
			b.reconcile(t)
			if b.Has(b.obj) == tc.deleted {
				t.Errorf("the object is there: %v", b.Has(b.obj))
			}
		})
	}
}

// TestFinalizerThatComesMeanwhile: one that the cache has not seen is not taken away with ours.
func TestFinalizerThatComesMeanwhile(t *testing.T) {
	t.Parallel()
	var frozen *v1alpha1.Resource
	b := newBench(t, func(k *kind, o *lifecycle.Options) {
		k.Finalizer, k.LegacyFinalizers, k.Undo = undone, nil, func(context.Context, *v1alpha1.Resource) error { return nil }
		o.Client = staleClient(o.Client, &frozen)
	})
	b.Change(b.obj, func() { b.obj.Finalizers = []string{undone, "example.com/first"} })
	b.Delete(b.obj)
	b.Get(b.obj)
	frozen = b.obj.DeepCopy()
	b.Change(b.obj, func() { b.obj.Annotations = map[string]string{"changed": "meanwhile"} })
	if got := b.reconcile(t).RequeueAfter; got <= 0 || len(b.obj.Finalizers) != 2 {
		t.Errorf("again after %s, finalizers %v: it decided on an old list", got, b.obj.Finalizers)
	}
	frozen = nil
	b.reconcile(t)
	if diff := cmp.Diff([]string{"example.com/first"}, b.obj.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
}
