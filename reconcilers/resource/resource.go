// Package resource reconciles Resources: it reads one resource of a pinned component version, checks it against its digest
// while it streams, and publishes it as a snapshot.
package resource

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/publish"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
)

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Repositories opens component repositories.
	Repositories *access.Provider
	// Store keeps snapshots.
	Store snapshot.Store
	// Finalizer is set on Snapshots whose content has to be taken away with them; empty for none.
	Finalizer string
	// Notices tell when there is room again; may be nil.
	Notices publish.Notices
	// NoCrossNamespaceRefs refuses references into other namespaces.
	NoCrossNamespaceRefs bool
	// Protection says whether content may be published that no signature can protect.
	Protection source.Protection
	// MaxBytes bounds the size of a resource as it is stored; zero is the default of the OCM client.
	MaxBytes int64
	// Archives bounds what the content of a directory may unpack to; zero fields have their defaults.
	Archives archive.Limits
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.ResourceKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		Requires:  []string{v1alpha1.ComponentVersionKind, v1alpha1.SnapshotKind},
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=Resource,groups=delivery.ocm.software,resources=resources,verbs=get;list;watch
// +kubebuilder:rbac:roleName=Resource,groups=delivery.ocm.software,resources=resources/status,verbs=patch

func setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	c := &controller{
		repositories: o.Repositories,
		resolver:     source.Resolver{Reader: mgr.GetClient(), NoCrossNamespaceRefs: o.NoCrossNamespaceRefs},
		publisher:    publish.Publisher{Client: mgr.GetClient(), Store: o.Store, Finalizer: o.Finalizer},
		maxBytes:     o.MaxBytes,
		archives:     o.Archives,
		protection:   o.Protection,
	}
	reconciler, err := lifecycle.New(kind(c), o.Lifecycle(mgr))
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, &v1alpha1.Resource{}, references); err != nil {
		return err
	}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.Resource{}, builder.WithPredicates(source.SpecOrRequest())).
		Watches(&v1alpha1.ComponentVersion{},
			source.Dependents(mgr.GetClient(), &v1alpha1.ResourceList{}, v1alpha1.ComponentVersionKind), builder.WithPredicates(source.Changed())).
		Watches(&v1alpha1.Snapshot{},
			handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha1.Resource{}), builder.WithPredicates(publish.Disturbed())).
		WatchesRawSource(publish.Room(o.Notices, v1alpha1.ResourceKind)).
		WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.ResourceKind, o.Concurrent)).
		Complete(reconciler)
}

// kind is the sequence of a reconciliation.
func kind(c *controller) lifecycle.Kind[*v1alpha1.Resource, *run] {
	return lifecycle.Kind[*v1alpha1.Resource, *run]{
		Name:  v1alpha1.ResourceKind,
		New:   func() *v1alpha1.Resource { return &v1alpha1.Resource{} },
		Begin: func(obj *v1alpha1.Resource, _ lifecycle.Events) *run { return &run{obj: obj} },
		Steps: []lifecycle.Step[*run]{
			{Name: "resolveSource", Run: c.resolveSource, Light: true},
			{Name: "compare", Run: c.compare, Light: true},
			{Name: "findResource", Run: c.findResource},
			{Name: "publish", Run: c.publish},
		},
		Ready: func(r *run) string { return "Applied version: " + r.obj.Status.LastAppliedComponentVersion },
		Delivered: func(obj *v1alpha1.Resource) map[string]string {
			return map[string]string{
				v1alpha1.ResourceVersionAnnotation: obj.Status.LastAppliedResourceVersion,
				v1alpha1.SnapshotDigestAnnotation:  obj.Status.LatestSnapshotDigest,
				v1alpha1.RevisionAnnotation:        v1alpha1.Revision(obj.Status.LastAppliedComponentVersion, obj.Status.LatestManifestDigest),
			}
		},
	}
}

func references(obj client.Object) []source.Ref {
	res, ok := obj.(*v1alpha1.Resource)
	if !ok {
		return nil
	}
	ref := source.RefTo(res.Spec.SourceRef, res.Namespace)
	ref.Kind = v1alpha1.ComponentVersionKind
	return []source.Ref{ref}
}
