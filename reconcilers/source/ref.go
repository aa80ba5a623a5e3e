package source

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// IndexField is the field under which every kind indexes the objects it refers to, whatever their kind.
const IndexField = ".references"

// Kinds of the core API that objects refer to.
const (
	SecretKind         = "Secret"
	ServiceAccountKind = "ServiceAccount"
	ConfigMapKind      = "ConfigMap"
)

// Ref is an object that another refers to.
type Ref struct {
	Kind, Namespace, Name string
}

// RefTo returns the Ref of a reference held by an object in the given namespace.
func RefTo(ref v1alpha1.ObjectReference, namespace string) Ref {
	ref = ref.WithDefaults(namespace)
	return Ref{Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
}

// String returns "Kind namespace/name".
func (r Ref) String() string { return fmt.Sprintf("%s %s/%s", r.Kind, r.Namespace, r.Name) }

// Key returns the name of the object in its namespace.
func (r Ref) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

// Index indexes the objects of one kind by what they refer to.
func Index(ctx context.Context, mgr ctrl.Manager, obj client.Object, refs func(client.Object) []Ref) error {
	return mgr.GetFieldIndexer().IndexField(ctx, obj, IndexField, func(o client.Object) []string {
		var keys []string
		for _, ref := range refs(o) {
			keys = append(keys, ref.String())
		}
		return keys
	})
}

// Dependents wakes the objects of one kind, given by its list, that refer to an object of the given kind.
func Dependents(reader client.Reader, list client.ObjectList, kind string) handler.EventHandler {
	return wake(reader, list, func(obj client.Object) Ref {
		return Ref{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
	})
}

func wake(reader client.Reader, list client.ObjectList, refOf func(client.Object) Ref) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		ref := refOf(obj)
		requests, err := dependents(ctx, reader, list, ref)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Objects that depend on a change were not woken", "reference", ref.String())
		}
		return requests
	})
}

// dependents lists, from the cache's index, the objects that hold a reference.
func dependents(ctx context.Context, reader client.Reader, list client.ObjectList, ref Ref) ([]reconcile.Request, error) {
	objects, ok := list.DeepCopyObject().(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%T is not a list of objects", list)
	}
	if err := reader.List(ctx, objects, client.MatchingFields{IndexField: ref.String()}); err != nil {
		return nil, fmt.Errorf("list what refers to %s: %w", ref, err)
	}
	var requests []reconcile.Request
	err := meta.EachListItem(objects, func(o runtime.Object) error {
		item, err := meta.Accessor(o)
		if err != nil {
			return err
		}
		requests = append(requests, reconcile.Request{
			NamespacedName: types.NamespacedName{Namespace: item.GetNamespace(), Name: item.GetName()},
		})
		return nil
	})
	return requests, err
}

// DependentsOfSnapshot wakes the objects of one kind, given by its list, that refer to the Snapshot which an object writes.
func DependentsOfSnapshot(reader client.Reader, list client.ObjectList) handler.EventHandler {
	return wake(reader, list, func(obj client.Object) Ref {
		ref := Ref{Kind: v1alpha1.SnapshotKind, Namespace: obj.GetNamespace()}
		if writer, ok := obj.(v1alpha1.SnapshotWriter); ok {
			ref.Name = writer.GetSnapshotName()
		}
		return ref
	})
}

// DependentsOfOwner wakes the objects of one kind, given by its list, that refer to an owner of a Snapshot.
func DependentsOfOwner(reader client.Reader, list client.ObjectList) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var all []reconcile.Request
		for _, owner := range obj.GetOwnerReferences() {
			ref := Ref{Kind: owner.Kind, Namespace: obj.GetNamespace(), Name: owner.Name}
			requests, err := dependents(ctx, reader, list, ref)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "Objects that depend on a change were not woken", "reference", ref.String())
			}
			all = append(all, requests...)
		}
		return all
	})
}
