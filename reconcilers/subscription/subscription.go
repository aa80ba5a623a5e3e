// Package subscription reconciles ComponentSubscriptions: it finds the versions that are wanted, proves them, has them copied to
// their destination, and sees to it that they stay there. The copies are made by a pool beside the reconciliations.
package subscription

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	// Transfers makes the copies.
	Transfers *transfers.Pool
	// Secrets tells of changes of the Secrets that objects refer to; nil never does.
	Secrets *secrets.Lookout
	// Concurrent is how many objects are reconciled at once.
	Concurrent int
}

// Plugin returns the feature.
func Plugin(o Options) plugin.Plugin {
	return plugin.Plugin{
		Name:      v1alpha1.ComponentSubscriptionKind,
		Stage:     plugin.Beta,
		Since:     "v0.1.0",
		AddScheme: v1alpha1.AddToScheme,
		Setup:     func(ctx context.Context, mgr ctrl.Manager) error { return setup(ctx, mgr, o) },
	}
}

// +kubebuilder:rbac:roleName=ComponentSubscription,groups=delivery.ocm.software,resources=componentsubscriptions,verbs=get;list;watch
// +kubebuilder:rbac:roleName=ComponentSubscription,groups=delivery.ocm.software,resources=componentsubscriptions/status,verbs=patch
// +kubebuilder:rbac:roleName=ComponentSubscription,groups="",resources=serviceaccounts,verbs=list;watch

func setup(ctx context.Context, mgr ctrl.Manager, o Options) error {
	if o.Repositories == nil || o.Transfers == nil {
		return fmt.Errorf("options of kind %s are incomplete: Repositories and Transfers are required", v1alpha1.ComponentSubscriptionKind)
	}
	c := newController(o.Repositories, o.Transfers)
	reconciler, err := lifecycle.New(kind(c), o.Lifecycle(mgr))
	if err != nil {
		return err
	}
	if err := source.Index(ctx, mgr, &v1alpha1.ComponentSubscription{}, references); err != nil {
		return err
	}
	list := &v1alpha1.ComponentSubscriptionList{}
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.ComponentSubscription{}, builder.WithPredicates(source.SpecOrRequest(), c.arrivals.Predicate())).
		Watches(&v1alpha1.ComponentSubscription{}, o.Secrets.Dependents(v1alpha1.ComponentSubscriptionKind, references)).
		WatchesMetadata(&corev1.ServiceAccount{}, source.Dependents(mgr.GetClient(), list, source.ServiceAccountKind)).
		WatchesRawSource(o.Transfers.Source(v1alpha1.ComponentSubscriptionKind)).
		WatchesRawSource(o.Repositories.Woken(v1alpha1.ComponentSubscriptionKind)).
		WithOptions(lifecycle.ControllerOptions(mgr, v1alpha1.ComponentSubscriptionKind, o.Concurrent)).
		Complete(reconciler)
}

// kind is the sequence of a reconciliation.
func kind(c *controller) lifecycle.Kind[*v1alpha1.ComponentSubscription, *run] {
	return lifecycle.Kind[*v1alpha1.ComponentSubscription, *run]{
		Name:  v1alpha1.ComponentSubscriptionKind,
		New:   func() *v1alpha1.ComponentSubscription { return &v1alpha1.ComponentSubscription{} },
		Begin: c.begin,
		Steps: []lifecycle.Step[*run]{
			{Name: "connect", Run: c.honest(c.connect)},
			{Name: "follow", Run: c.honest(c.follow)},
			{Name: "resolveVersions", Run: c.honest(c.resolveVersions)},
			{Name: "replicate", Run: c.honest(c.replicate)},
			{Name: "confirm", Run: c.honest(c.confirm)},
			{Name: "record", Run: c.honest(c.record)},
		},
		Ready: ready,
		Delivered: func(obj *v1alpha1.ComponentSubscription) map[string]string {
			return map[string]string{
				v1alpha1.ComponentSubscriptionAnnotation: obj.Status.LastAttemptedVersion + ":" + obj.Status.ReplicatedVersion,
				v1alpha1.RevisionAnnotation:              v1alpha1.Revision(obj.Status.ReplicatedVersion, obj.Status.ReplicatedDigest),
			}
		},
		Until: nextExpiry,
		Halt:  c.halt,
		Progress: func(obj *v1alpha1.ComponentSubscription) string {
			return "reconciliation in progress for component: " + obj.Spec.Component
		},
	}
}

func ready(r *run) string {
	status := r.obj.Status
	what := "Replicated version: "
	if r.obj.Spec.Destination == nil {
		what = "Accepted version: "
	}
	switch others := len(r.wanted) - 1; {
	case others == 1:
		return what + status.ReplicatedVersion + ", and one more"
	case others > 1:
		return fmt.Sprintf("%s%s, and %d more", what, status.ReplicatedVersion, others)
	}
	return what + status.ReplicatedVersion
}

// references are the objects whose change can matter.
func references(obj client.Object) []source.Ref {
	sub, ok := obj.(*v1alpha1.ComponentSubscription)
	if !ok {
		return nil
	}
	return access.SubscriptionUser(sub).References(&sub.Spec.Source, sub.Spec.Destination)
}

// describe names a component version in messages.
func describe(component, version string) string { return fmt.Sprintf("%s %s", component, version) }

// clip bounds a text for the status.
func clip(text string) string { return choice.Clip(text, maxText) }
