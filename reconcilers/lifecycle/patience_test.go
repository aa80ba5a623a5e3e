package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func patient(patience time.Duration) func(*kind, *lifecycle.Options) {
	return func(_ *kind, o *lifecycle.Options) { o.Patience = patience }
}

func TestQuickWorkIsOneWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient(time.Hour))
	for range 2 {
		b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
			stored := &v1alpha1.Resource{ObjectMeta: *obj.ObjectMeta.DeepCopy()}
			b.Get(stored)
			if stored.Status.ObservedGeneration == stored.Generation {
				t.Error("the status claims to be about the generation that is being worked on")
			}
			return nil
		}
		b.reconcile(t)
		if writes := b.Writes(); len(writes) != 1 {
			t.Errorf("writes are %v, want the outcome alone", writes)
		}
		if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(b.obj)); diff != "" || b.obj.Status.ObservedGeneration != b.obj.Generation {
			t.Errorf("observed generation %d, conditions (-want +got):\n%s", b.obj.Status.ObservedGeneration, diff)
		}
		b.changeSpec()
	}
}

func TestLongWorkShows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want map[string]string
	}{
		"success": {nil, map[string]string{"Ready": "True Succeeded"}},
		"failure": {lifecycle.Fail("Reason", errUnreachable), map[string]string{"Ready": "False Reason", "Reconciling": "True ProgressingWithRetry"}},
		"wait":    {lifecycle.Wait("Reason", 0, errUnreachable), map[string]string{"Ready": "False Reason", "Reconciling": "True Reason"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, patient(time.Millisecond))
			b.step = func(ctx context.Context, obj *v1alpha1.Resource) error {
				obj.Status.SnapshotName = "written" // while the notice is
				shown := func(context.Context) (bool, error) {
					stored := &v1alpha1.Resource{ObjectMeta: *obj.ObjectMeta.DeepCopy()}
					b.Get(stored)
					return cmp.Equal(map[string]string{"Ready": "Unknown Progressing", "Reconciling": "True Progressing"}, reconcilertest.Conditions(stored)), nil
				}
				if err := wait.PollUntilContextTimeout(ctx, time.Millisecond, time.Minute, true, shown); err != nil {
					t.Error("work that takes long was never shown")
				}
				return tc.err
			}
			b.reconcile(t)
			if diff := cmp.Diff(tc.want, reconcilertest.Conditions(b.obj)); diff != "" || b.obj.Status.SnapshotName != "written" {
				t.Errorf("snapshot %q, conditions (-want +got):\n%s", b.obj.Status.SnapshotName, diff)
			}
			if writes := b.Writes(); len(writes) != 2 {
				t.Errorf("writes are %v, want the notice and the outcome", writes)
			}
		})
	}
}

// TestNoticeThatCannotBeWrittenIsNoFailure: what counts is the outcome.
func TestNoticeThatCannotBeWrittenIsNoFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient(time.Nanosecond))
	refused := make(chan struct{})
	b.Refuse("status Resource", errors.New("server is busy"))
	b.step = func(context.Context, *v1alpha1.Resource) error {
		time.AfterFunc(20*time.Millisecond, func() { close(refused) })
		<-refused
		b.Refuse("status Resource", nil)
		return nil
	}
	b.reconcile(t)
	if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(b.obj)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestShortWaitIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, settled := range map[string]bool{"never ready": false, "ready before": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, patient(time.Hour))
			if settled {
				b.settle(t)
			}
			before := reconcilertest.Conditions(b.obj)
			b.fails(lifecycle.Wait("Reason", 0, errUnreachable))
			for range 3 {
				if after := b.reconcile(t).RequeueAfter; after <= 0 || after > time.Hour {
					t.Errorf("looked at again after %s, want when its patience ends", after)
				}
			}
			if writes := b.Writes(); len(writes) > 0 {
				t.Errorf("writes are %v, want none while the source may be ready in a moment", writes)
			}
			if diff := cmp.Diff(before, reconcilertest.Conditions(b.obj)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			b.fails(lifecycle.Wait("Reason", time.Second, errUnreachable))
			if after := b.reconcile(t).RequeueAfter; after != time.Second {
				t.Errorf("looked at again after %s, want when the step says", after)
			}
			b.ready, b.step = "Applied version: 2.0.0", nil
			b.reconcile(t)
			if writes := b.Writes(); len(writes) != 1 {
				t.Errorf("writes are %v, want the outcome alone", writes)
			}
		})
	}
}

func TestLongWaitIsWrittenOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient(time.Millisecond))
	for _, reason := range []string{"Reason", "Other"} {
		b.fails(lifecycle.Wait(reason, 0, errUnreachable))
		want := map[string]string{"Ready": "False " + reason, "Reconciling": "True " + reason}
		said := func(context.Context) (bool, error) {
			b.reconcile(t)
			return cmp.Equal(want, reconcilertest.Conditions(b.obj)), nil
		}
		if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, said); err != nil {
			t.Fatalf("conditions are %v, want %v", reconcilertest.Conditions(b.obj), want)
		}
		for range 3 {
			if after := b.reconcile(t).RequeueAfter; after != reconcilertest.Interval {
				t.Errorf("looked at again after %s, want its interval: a watch wakes it", after)
			}
		}
		if writes := b.Writes(); len(writes) != 1 {
			t.Errorf("writes are %v, want one that says what it waits for", writes)
		}
	}
}

// TestWaitThatSaysMoreIsWritten has changes that nobody may miss, or asks for.
func TestWaitThatSaysMoreIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient(time.Hour))
	b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
		obj.Status.SnapshotName = "made"
		return lifecycle.Wait("Reason", 0, errUnreachable)
	}
	b.reconcile(t)
	if writes := b.Writes(); len(writes) != 1 || b.obj.Status.SnapshotName != "made" {
		t.Errorf("writes are %v, want what was done before the wait", writes)
	}
	b.Change(b.obj, func() { b.obj.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
	b.fails(lifecycle.Wait("Other", 0, errUnreachable))
	b.reconcile(t)
	if got := b.obj.Status.GetLastHandledReconcileRequest(); got != "now" {
		t.Errorf("lastHandledReconcileAt is %q, want the request: who asked waits for it", got)
	}
}
