package lifecycle_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// TestEventSaysWhatWasDelivered reads the annotations of the event that ends a reconciliation, and shows that no other has
// them.
func TestEventSaysWhatWasDelivered(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(k *kind, _ *lifecycle.Options) {
		k.Delivered = func(obj *v1alpha1.Resource) map[string]string {
			return map[string]string{v1alpha1.RevisionAnnotation: v1alpha1.Revision("1.0.0", "sha256:"+obj.Name)}
		}
	})
	b.reconcile(t)
	want := "map[delivery.ocm.software/revision:1.0.0@sha256:app]"
	events := b.AnnotatedEvents()
	if len(events) != 1 || !strings.HasSuffix(events[0], want) {
		t.Fatalf("events %q, want one that ends with %s", events, want)
	}
	b.fails(lifecycle.Stall(v1alpha1.InvalidSpecReason, errUnreachable))
	b.reconcile(t)
	if events = b.AnnotatedEvents(); len(events) != 1 || strings.Contains(events[0], "revision") {
		t.Errorf("events %q, want the failure without a revision", events)
	}
}
