package componentversion

import (
	"time"

	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// arrivals remember when the last change of each object was seen. Who creates an object, changes it or asks for a
// reconciliation may have published a version right before, and must get an answer to a question that was asked since. An
// object whose interval is over has no such claim, so that all objects of a component that are due at the same moment can
// share an answer.
type arrivals struct{ times *lru.Cache }

func newArrivals() arrivals { return arrivals{lru.New(maxAnnounced)} }

// predicate notes the events that pass it, and lets all of them pass.
func (a arrivals) predicate() predicate.Predicate {
	note := func(obj client.Object) bool {
		a.times.Add(client.ObjectKeyFromObject(obj), time.Now())
		return true
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return note(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return note(e.ObjectNew) },
	}
}

// since returns when the question at the latest must have been asked whose answer the object may use.
func (a arrivals) since(obj *v1alpha1.ComponentVersion, age time.Duration) time.Time {
	const part = 10
	since := time.Now().Add(-min(age, obj.Spec.Interval.Duration/part))
	seen, ok := a.times.Get(client.ObjectKeyFromObject(obj))
	if arrived, isTime := seen.(time.Time); ok && isTime && arrived.After(since) {
		return arrived
	}
	return since
}
