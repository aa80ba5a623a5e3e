package publish

import (
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// Disturbed passes the events of Snapshots that their owners have to answer: one was deleted, changed by somebody, or
// found its content missing.
func Disturbed() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return missing(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || missing(e.ObjectNew) && !missing(e.ObjectOld)
		},
	}
}

func missing(obj any) bool {
	s, ok := obj.(*v1alpha1.Snapshot)
	return ok && conditions.GetReason(s, meta.ReadyCondition) == v1alpha1.ContentMissingReason
}
