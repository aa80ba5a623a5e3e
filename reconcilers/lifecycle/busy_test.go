package lifecycle_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

var errCopying = errors.New("replicating 1.0.0: 3 of 12 blobs")

// TestBusyLeavesTheVerdict tries again, beside the steps, what has led to a verdict: neither the try nor that it comes to the same is
// news, and the delay before the next try grows.
func TestBusyLeavesTheVerdict(t *testing.T) {
	t.Parallel()
	const reason = v1alpha1.TransferFailedReason
	for name, tc := range map[string]struct {
		err         error
		readyBefore bool
		during      map[string]string
		grows       bool
	}{
		"fail":        {lifecycle.Fail(reason, errUnreachable), false, map[string]string{"Ready": "False " + reason, "Reconciling": "True Progressing"}, false},
		"stall":       {lifecycle.Stall(reason, errUnreachable), false, map[string]string{"Ready": "False " + reason, "Reconciling": "True Progressing"}, false},
		"hinder":      {lifecycle.Hinder(reason, errUnreachable), true, map[string]string{"Ready": "False " + reason, "Reconciling": "True Progressing"}, true},
		"retry":       {lifecycle.Retry(reason, errUnreachable), false, map[string]string{"Ready": "False " + reason, "Reconciling": "True Progressing"}, true},
		"stays ready": {lifecycle.Retry(reason, errUnreachable), true, map[string]string{"Ready": "True Succeeded", "Reconciling": "True Progressing"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if tc.readyBefore {
				b.settle(t)
			}
			b.fails(tc.err)
			first := b.reconcile(t)
			conditions := reconcilertest.Conditions(b.obj)
			b.Events()
			b.fails(lifecycle.Busy(meta.ProgressingReason, errCopying))
			b.reconcile(t)
			if diff := cmp.Diff(tc.during, reconcilertest.Conditions(b.obj)); diff != "" {
				t.Errorf("conditions during the next try (-want +got):\n%s", diff)
			}
			if got := reconcilertest.Message(b.obj, meta.ReconcilingCondition); got != errCopying.Error() {
				t.Errorf("Reconciling says %q, want how far the work is", got)
			}
			b.fails(tc.err)
			second := b.reconcile(t)
			if diff := cmp.Diff(conditions, reconcilertest.Conditions(b.obj)); diff != "" {
				t.Errorf("conditions after the next try (-want +got):\n%s", diff)
			}
			if events := b.Events(); len(events) > 0 {
				t.Errorf("events %v, want none: it is what it was", events)
			}
			if grown := second.RequeueAfter > first.RequeueAfter; tc.grows && !grown {
				t.Errorf("delays %s and %s, want the second one to be longer", first.RequeueAfter, second.RequeueAfter)
			}
		})
	}
}

func TestAnotherFaultAfterBusyIsNews(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.settle(t)
	b.fails(lifecycle.Retry("Reason", errUnreachable))
	b.reconcile(t)
	b.fails(lifecycle.Busy(meta.ProgressingReason, errCopying))
	b.reconcile(t)
	b.Events()
	b.fails(lifecycle.Retry("Reason", errors.New("denied")))
	b.reconcile(t)
	if diff := cmp.Diff([]string{"Warning Reason denied"}, b.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestHaltEndsWhatGoesOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		arrange func(b *bench)
		writes  []string
	}{
		"suspended": {func(b *bench) { b.Change(b.obj, func() { b.obj.Spec.Suspend = true }) }, []string{"status Resource default/app"}},
		"deleted": {func(b *bench) {
			b.Change(b.obj, func() { b.obj.Finalizers = []string{"example.com/keep"} })
			b.Delete(b.obj)
		}, nil},
		"gone": {func(b *bench) { b.Delete(b.obj) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var halted []string
			b := newBench(t, func(k *kind, _ *lifecycle.Options) {
				k.Halt = func(obj *v1alpha1.Resource) {
					halted = append(halted, obj.Namespace+"/"+obj.Name)
					obj.Status.LatestSnapshotDigest = ""
				}
			})
			b.SetStatus(b.obj, func() { b.obj.Status.LatestSnapshotDigest = "sha256:0123" })
			tc.arrange(b)
			b.Writes()
			b.step = func(context.Context, *v1alpha1.Resource) error {
				t.Error("a step ran")
				return nil
			}
			if result := b.reconcile(t); result != (ctrl.Result{}) {
				t.Errorf("looked at again after %s", result.RequeueAfter.Round(time.Second))
			}
			if diff := cmp.Diff([]string{"default/app"}, halted); diff != "" {
				t.Errorf("halted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.writes, b.Writes()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}
