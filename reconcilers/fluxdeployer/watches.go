package fluxdeployer

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

func (d *deployer) watches(mgr ctrl.Manager) *builder.Builder {
	list := &v1alpha1.FluxDeployerList{}
	changed := builder.WithPredicates(source.Changed())
	dependents := func(kind string) handler.EventHandler { return source.Dependents(mgr.GetClient(), list, kind) }
	return ctrl.NewControllerManagedBy(mgr).
		For(&v1alpha1.FluxDeployer{}, builder.WithPredicates(source.SpecOrRequest())).
		Watches(&v1alpha1.Resource{}, dependents(v1alpha1.ResourceKind), changed).
		Watches(&v1alpha1.Localization{}, dependents(v1alpha1.LocalizationKind), changed).
		Watches(&v1alpha1.Configuration{}, dependents(v1alpha1.ConfigurationKind), changed).
		Watches(&v1alpha1.Snapshot{}, source.DependentsOfOwner(mgr.GetClient(), list), changed).
		Watches(&v1alpha1.FluxDeployer{}, d.secrets.Keepers(v1alpha1.FluxDeployerKind, d.keeps))
}

// watchCreated begins to watch a kind of Flux once the server has it: what was created is repaired, and its readiness
// mirrored. FluxDeployers that waited for the kind are woken too.
func (d *deployer) watchCreated(ctx context.Context, mgr ctrl.Manager, c controller.Controller, gvk schema.GroupVersionKind) {
	log := ctrl.LoggerFrom(ctx).WithValues("kind", gvk.String())
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(gvk)
	err := c.Watch(ctrlsource.Kind[client.Object](mgr.GetCache(), obj, handler.EnqueueRequestsFromMapFunc(namesake(mgr.GetClient())), outcomeChanged()))
	if err != nil {
		log.Error(err, "Changes of a kind will not be noticed before the next interval")
	}
	d.watched.Store(gvk, true)
	if err := c.Watch(ctrlsource.Func(wakeAll(mgr.GetClient()))); err != nil {
		log.Error(err, "Objects that waited for a kind will not be woken before the next interval")
	}
}

// namesake finds the deployer of an object's name: it made the object, or can't because the object is in its way.
func namesake(reader client.Reader) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) []reconcile.Request {
		key := client.ObjectKeyFromObject(obj)
		if err := reader.Get(ctx, key, &v1alpha1.FluxDeployer{}); err != nil {
			return nil
		}
		return []reconcile.Request{{NamespacedName: key}}
	}
}

// outcomeChanged passes the events that can change what the deployer says or has to do. Flux writes the status of what it
// reconciles at every interval; that alone is none.
func outcomeChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, okBefore := e.ObjectOld.(*unstructured.Unstructured)
			after, okAfter := e.ObjectNew.(*unstructured.Unstructured)
			return !okBefore || !okAfter || outcomeOf(before) != outcomeOf(after)
		},
	}
}

// wakeAll puts every FluxDeployer into the queue, once.
func wakeAll(reader client.Reader) func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	return func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		all := &v1alpha1.FluxDeployerList{}
		if err := reader.List(ctx, all); err != nil {
			return fmt.Errorf("list FluxDeployers: %w", err)
		}
		for i := range all.Items {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
		return nil
	}
}
