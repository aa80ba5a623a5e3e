package componentversion

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// TestChangesGetTheirOwnAnswer: who changed an object may have published a version right before.
func TestChangesGetTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	cv := &v1alpha1.ComponentVersion{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app"}}
	cv.Spec.Interval.Duration = time.Hour
	a := newArrivals()
	if since := a.since(cv, time.Minute); time.Since(since) < time.Minute {
		t.Errorf("an object whose interval is over wants an answer since %s, want one that may be a minute old", since)
	}
	for name, note := range map[string]func() bool{
		"created": func() bool { return a.predicate().Create(event.CreateEvent{Object: cv}) },
		"changed": func() bool { return a.predicate().Update(event.UpdateEvent{ObjectOld: cv, ObjectNew: cv}) },
	} {
		before := time.Now()
		if !note() {
			t.Errorf("%s: the event was held back", name)
		}
		if since := a.since(cv, time.Minute); since.Before(before) {
			t.Errorf("%s: an answer that is older than the event would do", name)
		}
	}
	if since := a.since(cv, 0); time.Since(since) > time.Minute {
		t.Errorf("without an age, an answer since %s would do", since)
	}
}
