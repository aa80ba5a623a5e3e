package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/fluxcd/pkg/apis/meta"
	fluxmetrics "github.com/fluxcd/pkg/runtime/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestSuspendedObjectIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Change(b.obj, func() { b.obj.Spec.Suspend = true })
	b.step = func(context.Context, *v1alpha1.Resource) error {
		t.Error("a step of a suspended object ran")
		return nil
	}
	if result := b.reconcile(t); result != (ctrl.Result{}) {
		t.Errorf("a suspended object is looked at again after %s", result.RequeueAfter)
	}
	if writes := b.Writes(); len(writes) > 0 {
		t.Errorf("a suspended object was written: %v", writes)
	}
}

func TestDeletionTakesLegacyFinalizersOnly(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		finalizers []string
		suspended  bool
		left       []string
		writes     int
		reason     string
	}{
		"legacy":           {[]string{v1alpha1.SnapshotFinalizer}, false, nil, 1, "its controller is gone, nobody else takes it off"},
		"legacy suspended": {[]string{v1alpha1.SnapshotFinalizer}, true, nil, 1, "deletion goes on for suspended objects"},
		"foreign":          {[]string{"example.com/keep"}, false, []string{"example.com/keep"}, 0, "it is somebody else's"},
		"both":             {[]string{"example.com/keep", v1alpha1.SnapshotFinalizer}, false, []string{"example.com/keep"}, 1, "only ours goes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Change(b.obj, func() { b.obj.Finalizers, b.obj.Spec.Suspend = tc.finalizers, tc.suspended })
			b.Delete(b.obj)
			b.step = func(context.Context, *v1alpha1.Resource) error {
				t.Error("a step of a deleted object ran")
				return nil
			}
			b.reconcile(t)
			if writes := b.Writes(); len(writes) != tc.writes {
				t.Errorf("writes %v, want %d: %s", writes, tc.writes, tc.reason)
			}
			var left []string
			if b.Has(b.obj) {
				left = b.obj.Finalizers
			}
			if diff := cmp.Diff(tc.left, left); diff != "" {
				t.Errorf("finalizers: %s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestLegacyFinalizersOfLivingObjects: nobody is to wait for a controller that may be gone when the object is deleted.
func TestLegacyFinalizersOfLivingObjects(t *testing.T) {
	t.Parallel()
	for name, suspended := range map[string]bool{"working": false, "suspended": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Change(b.obj, func() {
				b.obj.Finalizers, b.obj.Spec.Suspend = []string{"example.com/keep", v1alpha1.SnapshotFinalizer}, suspended
			})
			b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
				if len(obj.Finalizers) > 1 {
					t.Errorf("finalizers while a step runs: %v", obj.Finalizers)
				}
				return nil
			}
			b.reconcile(t)
			if diff := cmp.Diff([]string{"example.com/keep"}, b.obj.Finalizers); diff != "" {
				t.Errorf("finalizers (-want +got):\n%s", diff)
			}
			b.Writes()
			if b.reconcile(t); len(b.Writes()) > 0 {
				t.Error("the second run writes again")
			}
		})
	}
}

func TestMissingObjectIsNoError(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Delete(b.obj)
	if result := b.reconcile(t); result != (ctrl.Result{}) {
		t.Errorf("an object that is gone is looked at again: %v", result)
	}
}

func TestRequestedAtIsAnswered(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"success": nil, "wait": lifecycle.Wait("Reason", 0, errUnreachable), "stall": lifecycle.Stall("Reason", errUnreachable), "retry": errUnreachable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.settle(t)
			b.Change(b.obj, func() { b.obj.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
			b.fails(err)
			b.reconcile(t)
			if got := b.obj.Status.GetLastHandledReconcileRequest(); got != "now" {
				t.Errorf("lastHandledReconcileAt is %q, want the request: who asked waits for it", got)
			}
		})
	}
}

// TestRequestedAtIsAnsweredWhenWorkHasEnded: while it goes on nothing is looked at.
func TestRequestedAtIsAnsweredWhenWorkHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.settle(t)
	b.Change(b.obj, func() { b.obj.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
	b.fails(lifecycle.Busy(meta.ProgressingReason, errUnreachable))
	b.reconcile(t)
	if got := b.obj.Status.GetLastHandledReconcileRequest(); got != "" {
		t.Errorf("lastHandledReconcileAt is %q, want no answer yet", got)
	}
	b.settle(t)
	if got := b.obj.Status.GetLastHandledReconcileRequest(); got != "now" {
		t.Errorf("lastHandledReconcileAt is %q, want the request", got)
	}
}

func TestProgressIsShownBeforeTheSteps(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		instant bool
		want    map[string]string
	}{
		"usual":   {false, map[string]string{"Ready": "Unknown Progressing", "Reconciling": "True Progressing"}},
		"instant": {true, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(k *kind, _ *lifecycle.Options) { k.Instant = tc.instant })
			var seen map[string]string
			b.step = func(context.Context, *v1alpha1.Resource) error {
				stored := &v1alpha1.Resource{ObjectMeta: *b.obj.ObjectMeta.DeepCopy()}
				b.Get(stored)
				seen = reconcilertest.Conditions(stored)
				return nil
			}
			b.reconcile(t)
			if diff := cmp.Diff(tc.want, seen); diff != "" {
				t.Errorf("conditions while the steps run (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStalledIsClearedByANewGeneration(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.fails(lifecycle.Stall("Reason", errUnreachable))
	b.reconcile(t)
	b.changeSpec()
	b.fails(lifecycle.Fail("Reason", errUnreachable))
	b.reconcile(t)
	want := map[string]string{"Ready": "False Reason", "Reconciling": "True ProgressingWithRetry"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(b.obj)); diff != "" {
		t.Errorf("Stalled and Reconciling exclude each other (-want +got):\n%s", diff)
	}
}

func TestStepsEndAtTheFirstError(t *testing.T) {
	t.Parallel()
	var ran []string
	step := func(name string, err error) lifecycle.Step[*v1alpha1.Resource] {
		return lifecycle.Step[*v1alpha1.Resource]{Name: name, Run: func(context.Context, *v1alpha1.Resource) error {
			ran = append(ran, name)
			return err
		}}
	}
	b := newBench(t, func(k *kind, _ *lifecycle.Options) {
		k.Steps = []lifecycle.Step[*v1alpha1.Resource]{step("one", nil), step("two", errUnreachable), step("three", nil)}
	})
	b.reconcile(t)
	if want := []string{"one", "two"}; !slices.Equal(ran, want) {
		t.Errorf("steps %v ran, want %v", ran, want)
	}
}

func TestEveryIsTheIntervalOfKindsWithoutOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(k *kind, _ *lifecycle.Options) { k.Every = 3 * time.Minute })
	b.Change(b.obj, func() { b.obj.Spec.Interval.Duration = 0 })
	if got := b.reconcile(t).RequeueAfter; got != 3*time.Minute {
		t.Errorf("looked at again after %s, want that of the kind", got)
	}
	if diff := cmp.Diff([]string{"Normal Succeeded Reconciliation finished"}, b.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	b.fails(lifecycle.Fail("Reason", errUnreachable))
	if got := b.reconcile(t).RequeueAfter; got != 3*time.Minute {
		t.Errorf("looked at again after %s, want that of the kind", got)
	}
}

// TestUntil: an object is looked at again when its status ceases to hold, unless that is due anyway.
func TestUntil(t *testing.T) {
	t.Parallel()
	const soon, late = reconcilertest.Interval / 2, reconcilertest.Interval * 2
	for name, tc := range map[string]struct {
		interval, until time.Duration
		soon            bool
	}{
		"sooner than the interval": {reconcilertest.Interval, soon, true},
		"later":                    {reconcilertest.Interval, late, false},
		"past":                     {reconcilertest.Interval, -time.Second, false},
		"no interval":              {0, soon, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			until := time.Now().Add(tc.until)
			b := newBench(t, func(k *kind, _ *lifecycle.Options) { k.Until = func(*v1alpha1.Resource) time.Time { return until } })
			b.Change(b.obj, func() { b.obj.Spec.Interval.Duration = tc.interval })
			for _, err := range []error{nil, lifecycle.Fail("Reason", errUnreachable)} {
				b.fails(err)
				got := b.reconcile(t).RequeueAfter
				if tc.soon && (got <= 0 || got > soon) || !tc.soon && got != tc.interval {
					t.Errorf("after %v, looked at again after %s", err, got)
				}
			}
		})
	}
}

// staleClient answers reads with what it has seen first, like a cache that is behind.
func staleClient(inner client.Client, seen **v1alpha1.Resource) client.Client {
	watcher, ok := inner.(client.WithWatch)
	if !ok {
		return nil
	}
	return interceptor.NewClient(watcher, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			resource, ok := obj.(*v1alpha1.Resource)
			if !ok || *seen == nil {
				return c.Get(ctx, key, obj, opts...)
			}
			(*seen).DeepCopyInto(resource)
			return nil
		},
	})
}

func TestStaleCacheIsGotPast(t *testing.T) {
	t.Parallel()
	var frozen *v1alpha1.Resource
	reads := 0
	b := newBench(t, func(_ *kind, o *lifecycle.Options) {
		live := o.Client
		o.Client = staleClient(live, &frozen)
		o.Live = readCounter{live, &reads}
	})
	frozen = b.obj.DeepCopy()
	b.reconcile(t)
	if reads != 0 {
		t.Errorf("%d live reads before anything was written", reads)
	}
	b.Events()
	b.Writes()
	b.reconcile(t) // the cache shows the object as it was before our write
	if events, writes := b.Events(), b.Writes(); len(events) > 0 || len(writes) > 0 {
		t.Errorf("the success was reported twice because the cache is behind: events %v, writes %v", events, writes)
	}
	if reads != 1 {
		t.Errorf("%d live reads, want 1", reads)
	}
	frozen = nil // caught up
	b.reconcile(t)
	b.reconcile(t)
	if reads != 1 {
		t.Errorf("%d live reads after the cache caught up, want no more", reads-1)
	}
}

type readCounter struct {
	client.Reader
	reads *int
}

func (r readCounter) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	*r.reads++
	return r.Reader.Get(ctx, key, obj, opts...)
}

func TestFailedStatusWriteIsReturned(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	broken := errors.New("server is gone")
	b.Refuse("status Resource", broken)
	_, err := b.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.obj)})
	if !errors.Is(err, broken) {
		t.Errorf("error is %v, want that of the write: the queue has to try again", err)
	}
	if events := b.Events(); len(events) > 0 {
		t.Errorf("events %v for a status that was not written", events)
	}
}

func TestShutdownWritesNoVerdict(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.settle(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.step = func(ctx context.Context, _ *v1alpha1.Resource) error {
		cancel()
		return lifecycle.Fail("Reason", ctx.Err())
	}
	result, err := b.reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.obj)})
	if err != nil || result != (ctrl.Result{}) {
		t.Errorf("shutdown returned %v and %v, want nothing", result, err)
	}
	if writes, events := b.Writes(), b.Events(); len(writes) > 0 || len(events) > 0 {
		t.Errorf("shutdown is no verdict, but there are writes %v and events %v", writes, events)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := lifecycle.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	durations := fluxmetrics.NewRecorder()
	registry.MustRegister(durations.Collectors()...)
	b := newBench(t, func(_ *kind, o *lifecycle.Options) { o.Metrics, o.Durations = metrics, durations })
	count := func(name string, want int) {
		t.Helper()
		got, err := testutil.GatherAndCount(registry, name)
		if err != nil || got != want {
			t.Errorf("%s has %d series (%v), want %d", name, got, err, want)
		}
	}
	ready := func(want float64) {
		t.Helper()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "ocm_resource_ready" && family.GetMetric()[0].GetGauge().GetValue() != want {
				t.Errorf("ocm_resource_ready is %v, want %v", family.GetMetric()[0].GetGauge().GetValue(), want)
			}
		}
	}
	b.reconcile(t)
	ready(1)
	b.fails(errUnreachable)
	b.reconcile(t)
	ready(1) // it stands
	b.fails(lifecycle.Fail("Reason", errUnreachable))
	b.reconcile(t)
	ready(0)
	count("ocm_step_duration_seconds", 1)
	count("ocm_reconcile_total", 3) // Succeeded, Failed, Reason
	count("ocm_resource_ready", 1)
	count("gotk_reconcile_duration_seconds", 1)
	results(t, registry, map[string]float64{"Succeeded succeeded": 1, "Failed fault": 1, "Reason refused": 1})
	b.fails(lifecycle.Wait("Reason", 0, errUnreachable))
	b.reconcile(t)
	ready(0) // it waits, and was refused before
	results(t, registry, map[string]float64{"Succeeded succeeded": 1, "Failed fault": 1, "Reason refused": 1, "Reason waiting": 1})
	b.Change(b.obj, func() { b.obj.Spec.Suspend = true })
	b.reconcile(t)
	count("ocm_resource_ready", 0) // nobody looks whether it is
	b.Change(b.obj, func() { b.obj.Spec.Suspend = false })
	b.reconcile(t)
	count("ocm_resource_ready", 1)
	b.Delete(b.obj)
	b.reconcile(t)
	count("ocm_resource_ready", 0)
	count("gotk_reconcile_duration_seconds", 0)
	if _, err := lifecycle.NewMetrics(registry); err == nil {
		t.Error("metrics were registered twice without an error")
	}
}

// results wants these counts of reconciliations, by their reason and result.
func results(t *testing.T, registry *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "ocm_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			got[labels["reason"]+" "+labels["result"]] = metric.GetCounter().GetValue()
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reconciliations by reason and result:\n%s", diff)
	}
}
