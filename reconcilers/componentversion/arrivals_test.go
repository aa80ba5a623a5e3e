package componentversion_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// woken lets the objects be woken by what others find, as they are in a cluster, and returns the queue in which they are then.
func (s *stage) woken(t *testing.T) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	t.Helper()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	t.Cleanup(queue.ShutDown)
	if err := s.Repositories.Woken(v1alpha1.ComponentVersionKind).Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	return queue
}

// TestObjectsOfOneComponentShareAnswers has many objects of a component, which cost one listing an interval. When one of them
// finds something new, all others are woken.
func TestObjectsOfOneComponentShareAnswers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	queue := s.woken(t)
	s.release("1.0.0", "1.1.0")
	var objects []*v1alpha1.ComponentVersion
	for i := range 30 {
		cv := reconcilertest.ComponentVersion(fmt.Sprintf("app%d", i), s.url, app, ">=1.0.0")
		cv.Namespace = fmt.Sprintf("team%d", i) // in one namespace they would share a ComponentDescriptor
		objects = append(objects, cv)
		s.Create(cv)
	}
	all := func(version string) {
		t.Helper()
		var group sync.WaitGroup
		for _, cv := range objects {
			group.Go(func() {
				if _, err := s.Try(t.Context(), cv); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, cv := range objects {
			wantReady(t, cv, version)
		}
	}
	all("1.1.0")
	s.forget()
	all("1.1.0")
	if got := s.registry.Requests(); got["GET tags"] > 1 || got["HEAD manifests"] > 1 || len(got) > 2 {
		t.Errorf("%d objects cost %v, want one listing, and one look at the tag", len(objects), got)
	}
	s.forget()
	all("1.1.0")
	if got := s.registry.Requests(); len(got) > 0 {
		t.Errorf("%d objects cost %v before the interval of what they know is over", len(objects), got)
	}
	s.release("1.2.0")
	s.Change(objects[0], func() { objects[0].Spec.RetryInterval = &metav1.Duration{Duration: time.Minute} })
	s.Reconcile(objects[0])
	wantReady(t, objects[0], "1.2.0")
	if got := queue.Len(); got < len(objects)-1 {
		t.Errorf("%d objects were woken, want all others", got)
	}
	all("1.2.0")
}
