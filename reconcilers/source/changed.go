package source

import (
	"maps"
	"slices"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// Changed passes the events of objects that others refer to which can matter to those others: what is there changed, or
// whether it may be used. Everything else, such as a time or a progress message, wakes nobody.
func Changed() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !face(e.ObjectOld).equal(face(e.ObjectNew))
		},
	}
}

// view is the part of an object that others depend on.
type view struct {
	notReady string
	deleted  bool
	content  []string
	origins  []v1alpha1.Origin
}

func (v view) equal(w view) bool {
	return v.notReady == w.notReady && v.deleted == w.deleted && slices.Equal(v.content, w.content) && slices.Equal(v.origins, w.origins)
}

func face(obj client.Object) view {
	v := view{deleted: !obj.GetDeletionTimestamp().IsZero()}
	if r, ok := obj.(reconciled); ok {
		v.notReady = notReady(r)
	}
	switch o := obj.(type) {
	case *v1alpha1.ComponentVersion:
		v.content = []string{o.Status.ReconciledVersion, o.Status.ManifestDigest, o.Status.ReplicatedRepositoryURL, o.Spec.Component, strconv.FormatBool(o.Status.Verified)}
	case *v1alpha1.Snapshot:
		v.content = []string{o.Status.ManifestDigest, o.Status.RepositoryURL}
	case v1alpha1.SnapshotWriter:
		v.content = []string{o.GetSnapshotName(), o.GetManifestDigest(), o.GetSourceVersion()}
		v.origins = o.GetOrigins()
	}
	return v
}

// SpecOrRequest passes what makes an object's own controller look at it: a new generation, a deletion, or a change of its
// finalizers or annotations, among which is the request to reconcile now. Writes to the status, our own, don't.
func SpecOrRequest() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
				e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero() ||
				!maps.Equal(e.ObjectOld.GetAnnotations(), e.ObjectNew.GetAnnotations()) ||
				!slices.Equal(e.ObjectOld.GetFinalizers(), e.ObjectNew.GetFinalizers())
		},
	}
}
