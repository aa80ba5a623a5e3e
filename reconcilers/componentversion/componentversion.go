// Package componentversion reconciles ComponentVersions: it finds the version that is wanted, pins it and everything it
// refers to by digest, and writes what it found as ComponentDescriptors.
package componentversion

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

// Options are what the plugin depends on.
type Options struct {
	// Lifecycle makes the options of the lifecycle for a manager.
	Lifecycle func(ctrl.Manager) lifecycle.Options
	// Repositories opens component repositories.
	Repositories *access.Provider
	// Secrets tells of changes of the Secrets that objects refer to; nil never does.
	Secrets *secrets.Lookout
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
	// ReadsPerObject and Reads bound how many referenced component versions are read at once, for one object and for all of
	// them; zero is a default of 8 and 32.
	ReadsPerObject, Reads int
	// Transfers copies versions to their destinations.
	Transfers *transfers.Pool
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.ComponentVersionKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=ComponentVersion,groups=delivery.ocm.software,resources=componentversions,verbs=get;list;watch
// +kubebuilder:rbac:roleName=ComponentVersion,groups=delivery.ocm.software,resources=componentversions/status,verbs=patch
// +kubebuilder:rbac:roleName=ComponentVersion,groups=delivery.ocm.software,resources=componentdescriptors,verbs=list;watch;create;patch;delete
// +kubebuilder:rbac:roleName=ComponentVersion,groups="",resources=serviceaccounts,verbs=list;watch

func setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Repositories == nil || o.Transfers == nil {
		return errors.New("options are incomplete: Repositories and Transfers are required")
	}
	c := newController(mgr.GetClient(), o)
	reconciler, err := lifecycle.New(kind(c), o.Lifecycle(mgr))
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, &v1alpha1.ComponentVersion{}, references); err != nil {
		return err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.ComponentDescriptor{}, ownerField, ownerUIDs); err != nil {
		return err
	}
	list := &v1alpha1.ComponentVersionList{}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ComponentVersion{}, builder.WithPredicates(source.SpecOrRequest(), c.arrivals.Predicate())).
		Watches(&v1alpha1.ComponentDescriptor{}, handler.EnqueueRequestForOwner(mgr.GetScheme(), mgr.GetRESTMapper(), &v1alpha1.ComponentVersion{}),
			builder.WithPredicates(source.SpecOrRequest(), notCreated)).
		Watches(&v1alpha1.ComponentVersion{}, o.Secrets.Dependents(v1alpha1.ComponentVersionKind, references)).
		WatchesMetadata(&corev1.ServiceAccount{}, source.Dependents(mgr.GetClient(), list, source.ServiceAccountKind)).
		WatchesRawSource(o.Transfers.Source(v1alpha1.ComponentVersionKind)).
		WatchesRawSource(o.Repositories.Woken(v1alpha1.ComponentVersionKind)).
		WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.ComponentVersionKind, o.Concurrent)).
		Complete(reconciler)
}

// kind is the sequence of a reconciliation.
func kind(c *controller) lifecycle.Kind[*v1alpha1.ComponentVersion, *run] {
	return lifecycle.Kind[*v1alpha1.ComponentVersion, *run]{
		Name: v1alpha1.ComponentVersionKind,
		New:  func() *v1alpha1.ComponentVersion { return &v1alpha1.ComponentVersion{} },
		Begin: func(obj *v1alpha1.ComponentVersion, events lifecycle.Events) *run {
			obj.Status.Progress = nil // unless one is found
			return &run{obj: obj, events: events}
		},
		Steps: []lifecycle.Step[*run]{
			{Name: "connect", Run: c.honest(c.connect)},
			{Name: "await", Run: c.honest(c.await)},
			{Name: "resolveVersion", Run: c.honest(c.resolveVersion)},
			{Name: "guard", Run: c.honest(c.guard)},
			{Name: "transfer", Run: c.honest(c.transfer)},
			{Name: "confirm", Run: c.honest(c.confirm)},
			{Name: "fetchDescriptors", Run: c.honest(c.fetchDescriptors)},
			{Name: "publish", Run: c.honest(c.publish)},
			{Name: "prune", Run: c.honest(c.prune)},
		},
		Ready: func(r *run) string { return "Applied version: " + r.obj.Status.ReconciledVersion },
		Delivered: func(obj *v1alpha1.ComponentVersion) map[string]string {
			return map[string]string{
				v1alpha1.ComponentVersionAnnotation: obj.Spec.Component + ":" + obj.Status.ReconciledVersion,
				v1alpha1.RevisionAnnotation:         v1alpha1.Revision(obj.Status.ReconciledVersion, obj.Status.ManifestDigest),
			}
		},
		Until: func(obj *v1alpha1.ComponentVersion) time.Time { return choice.Expiry(obj.Status.Signatures) },
		Halt:  c.halt,
		Progress: func(obj *v1alpha1.ComponentVersion) string {
			return "reconciliation in progress for component: " + obj.Spec.Component
		},
	}
}

// references are the objects whose change can matter.
func references(obj client.Object) []source.Ref {
	cv, ok := obj.(*v1alpha1.ComponentVersion)
	if !ok {
		return nil
	}
	return access.ComponentVersionUser(cv).References(&cv.Spec.Repository, cv.Spec.Destination)
}

// describe names a component version in messages.
func describe(component, version string) string { return fmt.Sprintf("%s %s", component, version) }
