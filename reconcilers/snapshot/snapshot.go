// Package snapshot reconciles Snapshots: it proves that the content which an object names is in the snapshot store, and
// says where it can be pulled, what it was before, and whether there is room for more.
package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Store keeps snapshots.
	Store snapshot.Store
	// Notices tell what the store does by itself; may be nil.
	Notices Notices
	// Metrics is where metrics are registered; may be nil.
	Metrics prometheus.Registerer
	// Address is scheme, host and port under which the store is reached.
	Address string
	// Recheck is the time after which the presence of content is proved again.
	Recheck time.Duration
	// Forget takes content out of the store that no Snapshot stands for any more. It is for stores that don't find it by
	// themselves.
	Forget bool
	// Deployers lists FluxDeployers, whose content is not forgotten; nil is the cache of the manager. Where they are no feature
	// of this operator, the cache would look for them in vain.
	Deployers client.Reader
	// History is how much of the content that a Snapshot stood for before its status lists.
	History int
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Notices tell what happens to repositories without the doing of their owners.
type Notices interface {
	// Follow calls a function with each notice from now on until the context is over. One without a repository is about all.
	Follow(ctx context.Context, each func(store.Notice))
	// Full says why the store takes nothing new for a repository; it is empty while it does.
	Full(repository string) string
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.SnapshotKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(_ context.Context, mgr ctrl.Manager) error { return setup(mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=Snapshot,groups=delivery.ocm.software,resources=snapshots,verbs=get;list;watch;patch
// +kubebuilder:rbac:roleName=Snapshot,groups=delivery.ocm.software,resources=snapshots/status,verbs=patch

func setup(mgr ctrl.Manager, o Options) error {
	metrics, err := newMetrics(o.Metrics)
	if err != nil {
		return fmt.Errorf("register the metrics of Snapshots: %w", err)
	}
	c := &controller{store: o.Store, notices: o.Notices, metrics: metrics, address: o.Address, history: o.History}
	if o.Forget {
		c.forgetter = &forgetter{store: o.Store, deployers: o.Deployers, now: time.Now}
		if o.Deployers == nil {
			c.forgetter.deployers = mgr.GetClient()
		}
	}
	reconciler, err := lifecycle.New(kind(c, o.Recheck), o.Lifecycle(mgr))
	if err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.Snapshot{}, builder.WithPredicates(source.SpecOrRequest())).
		WatchesRawSource(noticed(mgr, o.Notices)).
		WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.SnapshotKind, o.Concurrent)).
		Complete(reconciler)
}

func kind(c *controller, recheck time.Duration) lifecycle.Kind[*v1alpha1.Snapshot, *run] {
	k := lifecycle.Kind[*v1alpha1.Snapshot, *run]{
		Name:  v1alpha1.SnapshotKind,
		New:   func() *v1alpha1.Snapshot { return &v1alpha1.Snapshot{} },
		Begin: func(obj *v1alpha1.Snapshot, events lifecycle.Events) *run { return &run{obj: obj, events: events} },
		Steps: []lifecycle.Step[*run]{
			{Name: "room", Run: c.room},
			{Name: "prove", Run: c.prove},
			{Name: "remember", Run: c.remember},
			{Name: "forget", Run: c.forget},
		},
		Ready: func(r *run) string { return fmt.Sprintf("Snapshot with name '%s' is ready", r.obj.Name) },
		Delivered: func(s *v1alpha1.Snapshot) map[string]string {
			return map[string]string{v1alpha1.SnapshotDigestAnnotation: s.Status.Digest}
		},
		Instant: true,
		Every:   recheck,
		// The controllers that came before set it, and so does this one where content is in a registry of others. Here nothing has to be undone,
		// and who deletes an object or its namespace when the operator is gone must not wait for it.
		LegacyFinalizers: []string{v1alpha1.SnapshotFinalizer},
	}
	if c.forgetter != nil {
		// Where nobody else finds the content, it is what it always meant to be.
		k.LegacyFinalizers, k.Finalizer, k.Undo = nil, v1alpha1.SnapshotFinalizer, c.forgetter.undo
	}
	return k
}
