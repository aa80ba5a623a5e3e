package lifecycle_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestAnotherObjectOfTheNameIsNotWritten: both have the generation 1, and what was found out about the one that was deleted
// would say that the other is ready.
func TestAnotherObjectOfTheNameIsNotWritten(t *testing.T) {
	t.Parallel()
	for name, patience := range map[string]time.Duration{"progress was shown": 0, "progress was not shown": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, patient(patience))
			former := b.obj.UID
			b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
				obj.Status.SnapshotName = "former"
				b.Delete(b.obj)
				b.obj = reconcilertest.Resource("app", "other", "manifests")
				b.Create(b.obj)
				for _, note := range []string{"one", "two", "three"} { // the versions of a server are never those of another object
					b.Change(b.obj, func() { b.obj.Annotations = map[string]string{"note": note} })
				}
				return nil
			}
			b.reconcile(t)
			if conditions := reconcilertest.Conditions(b.obj); b.obj.UID == former || len(conditions) > 0 || b.obj.Status.SnapshotName != "" {
				t.Errorf("conditions are %v and the snapshot is %q, want nothing of the object that was deleted", conditions, b.obj.Status.SnapshotName)
			}
			b.step = nil
			b.reconcile(t)
			if diff := cmp.Diff(map[string]string{"Ready": "True Succeeded"}, reconcilertest.Conditions(b.obj)); diff != "" {
				t.Errorf("conditions after its own turn (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWritesOfOthersCostNoSecondRun has somebody else write the object while it is worked on.
func TestWritesOfOthersCostNoSecondRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, patient(time.Hour))
	runs := 0
	b.step = func(_ context.Context, obj *v1alpha1.Resource) error {
		runs++
		obj.Status.SnapshotName = "written"
		b.Change(b.obj, func() { b.obj.Annotations = map[string]string{"theirs": "x"} })
		return nil
	}
	b.reconcile(t)
	if runs != 1 || b.obj.Status.SnapshotName != "written" || b.obj.Annotations["theirs"] != "x" {
		t.Errorf("%d runs, snapshot %q, annotations %v; want one run whose outcome is there beside what others wrote", runs, b.obj.Status.SnapshotName, b.obj.Annotations)
	}
}
