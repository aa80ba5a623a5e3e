package lifecycle_test

import (
	"context"
	"testing"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// bench is one kind with a step that does what a test says, in a cluster of its own.
type bench struct {
	*reconcilertest.World
	obj        *v1alpha1.Resource
	reconciler *lifecycle.Reconciler[*v1alpha1.Resource, *v1alpha1.Resource]
	// step is the work of the kind; nil does nothing.
	step func(ctx context.Context, obj *v1alpha1.Resource) error
	// ready is the message of Ready.
	ready string
}

type kind = lifecycle.Kind[*v1alpha1.Resource, *v1alpha1.Resource]

// newBench returns a bench with an object; the function may change the kind and the options before it is made.
func newBench(t *testing.T, adjust ...func(*kind, *lifecycle.Options)) *bench {
	t.Helper()
	b := &bench{
		World: reconcilertest.New(t),
		obj:   reconcilertest.Resource("app", "component", "manifests"),
		ready: "Applied version: 1.0.0",
	}
	b.Create(b.obj)
	b.Writes()
	k := kind{
		Name:             v1alpha1.ResourceKind,
		New:              func() *v1alpha1.Resource { return &v1alpha1.Resource{} },
		Begin:            func(obj *v1alpha1.Resource, _ lifecycle.Events) *v1alpha1.Resource { return obj },
		Steps:            []lifecycle.Step[*v1alpha1.Resource]{{Name: "work", Run: b.work}},
		Ready:            func(*v1alpha1.Resource) string { return b.ready },
		LegacyFinalizers: []string{v1alpha1.SnapshotFinalizer},
	}
	options := b.Lifecycle(nil)
	for _, f := range adjust {
		f(&k, &options)
	}
	reconciler, err := lifecycle.New(k, options)
	if err != nil {
		t.Fatalf("make the reconciler: %v", err)
	}
	b.reconciler = reconciler
	return b
}

func (b *bench) work(ctx context.Context, obj *v1alpha1.Resource) error {
	if b.step == nil {
		return nil
	}
	return b.step(ctx, obj)
}

// fails lets the step end with an error from now on.
func (b *bench) fails(err error) {
	b.step = func(context.Context, *v1alpha1.Resource) error { return err }
}

// reconcile reconciles the object once and reads it again.
func (b *bench) reconcile(t *testing.T) reconcile.Result {
	t.Helper()
	result, err := b.reconciler.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(b.obj)})
	if err != nil {
		t.Fatalf("reconcile: %v", err)
	}
	if b.Has(b.obj) {
		b.Get(b.obj)
	}
	return result
}

// settle makes the object ready, and forgets what led there.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	b.step = nil
	b.reconcile(t)
	b.Events()
	b.Writes()
}

// changeSpec makes a new generation.
func (b *bench) changeSpec() {
	b.Change(b.obj, func() { b.obj.Spec.SourceRef.Name += "x" })
}

func TestNewRefusesWhatIsIncomplete(t *testing.T) {
	t.Parallel()
	w := reconcilertest.New(t)
	whole := kind{
		Name:  "Resource",
		New:   func() *v1alpha1.Resource { return &v1alpha1.Resource{} },
		Begin: func(obj *v1alpha1.Resource, _ lifecycle.Events) *v1alpha1.Resource { return obj },
		Steps: []lifecycle.Step[*v1alpha1.Resource]{{Name: "work"}},
		Ready: func(*v1alpha1.Resource) string { return "" },
	}
	for name, tc := range map[string]struct {
		adjust func(*kind, *lifecycle.Options)
		reason string
	}{
		"no name":     {func(k *kind, _ *lifecycle.Options) { k.Name = "" }, "metrics and messages name the kind"},
		"no New":      {func(k *kind, _ *lifecycle.Options) { k.New = nil }, "it would panic with the first object"},
		"no Begin":    {func(k *kind, _ *lifecycle.Options) { k.Begin = nil }, "it would panic with the first object"},
		"no steps":    {func(k *kind, _ *lifecycle.Options) { k.Steps = nil }, "a kind without steps is always ready"},
		"no Ready":    {func(k *kind, _ *lifecycle.Options) { k.Ready = nil }, "it would panic with the first success"},
		"no client":   {func(_ *kind, o *lifecycle.Options) { o.Client = nil }, "nothing could be read"},
		"no live":     {func(_ *kind, o *lifecycle.Options) { o.Live = nil }, "a stale cache could not be got past"},
		"no recorder": {func(_ *kind, o *lifecycle.Options) { o.Recorder = nil }, "it would panic with the first event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, o := whole, w.Lifecycle(nil)
			tc.adjust(&k, &o)
			if _, err := lifecycle.New(k, o); err == nil {
				t.Errorf("New accepted it, but %s", tc.reason)
			}
		})
	}
	if _, err := lifecycle.New(whole, w.Lifecycle(nil)); err != nil {
		t.Errorf("New of a complete kind: %v", err)
	}
}

func TestBackoffGrowsAndIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(_ *kind, o *lifecycle.Options) { o.MinRetryDelay, o.MaxRetryDelay = time.Second, 5*time.Second })
	b.fails(errUnreachable)
	var delays []time.Duration
	for range 5 {
		delays = append(delays, b.reconcile(t).RequeueAfter)
	}
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		if delays[i] != want {
			t.Errorf("delay %d is %s, want %s: passing faults are retried with a growing, bounded delay", i+1, delays[i], want)
		}
	}
	b.settle(t)
	b.fails(errUnreachable)
	if got := b.reconcile(t).RequeueAfter; got != time.Second {
		t.Errorf("delay after a success is %s, want %s: a success forgets the faults before it", got, time.Second)
	}
}
