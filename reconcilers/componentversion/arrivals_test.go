package componentversion_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/componentversion"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestObjectsOfOneComponentShareAnswers has two hundred objects of a component that are due at the same moment.
func TestObjectsOfOneComponentShareAnswers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Controller = s.Install(componentversion.Plugin(componentversion.Options{
		Lifecycle: s.Lifecycle, Repositories: s.Repositories, AnswerAge: time.Minute,
	}))
	s.release("1.0.0", "1.1.0")
	var objects []*v1alpha1.ComponentVersion
	for i := range 200 {
		cv := reconcilertest.ComponentVersion(fmt.Sprintf("app%d", i), s.url, app, ">=1.0.0")
		cv.Namespace = fmt.Sprintf("team%d", i) // in one namespace they would share a ComponentDescriptor
		objects = append(objects, cv)
		s.Create(cv)
	}
	s.forget()
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
		wantReady(t, cv, "1.1.0")
	}
	got := s.registry.Requests()
	if got["GET tags"] != 1 || got["HEAD manifests"] != 0 || got["GET manifests"] != 1 || got["GET blobs"] != 2 {
		t.Errorf("200 objects cost %v, want one listing, and one version read by its tag", got)
	}
}

// TestShortIntervalsAskAgain: an answer that is older than a tenth of the interval is none.
func TestShortIntervalsAskAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.Controller = s.Install(componentversion.Plugin(componentversion.Options{
		Lifecycle: s.Lifecycle, Repositories: s.Repositories, AnswerAge: time.Minute,
	}))
	s.release("1.0.0")
	cv := reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
	cv.Spec.Interval.Duration = time.Millisecond
	s.Create(cv)
	s.Reconcile(cv)
	s.release("1.1.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
}
