package endurance

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// reachTimeout bounds the wait for the moment at which the operator is killed.
const reachTimeout = time.Minute

// TestRestartIsQuiet restarts the operator: a pipeline that was ready is not touched. Then it kills the operator at
// different moments of an upgrade: after the restart the upgrade goes on, and nothing is mixed.
func TestRestartIsQuiet(t *testing.T) {
	w := newWorld(t, nil)
	a := w.audit(w.Namespace)
	w.publish("1.0.0")
	w.deliver("1s", "1s")
	w.arrived("1.0.0")
	w.settles()
	w.restartsQuietly()

	for i, moment := range []struct {
		name string
		// arrange returns what is closed at the moment, in the upgrade to a version.
		arrange func(version string) <-chan struct{}
	}{
		{"the descriptor is read", func(string) <-chan struct{} { return w.source.hold(http.MethodGet + " " + ocmtest.ClassManifests) }},
		{"content is read", func(string) <-chan struct{} { return w.source.hold(http.MethodGet + " " + ocmtest.ClassBlobs) }},
		{"the Resource has its snapshot", func(version string) <-chan struct{} { return w.snapshotOf(v1alpha1.ResourceKind, version) }},
		{"the Localization has its snapshot", func(version string) <-chan struct{} { return w.snapshotOf(v1alpha1.LocalizationKind, version) }},
		{"the Configuration has its snapshot", func(version string) <-chan struct{} { return w.snapshotOf(v1alpha1.ConfigurationKind, version) }},
	} {
		version := fmt.Sprintf("1.%d.0", i+1)
		reached := moment.arrange(version)
		w.publish(version)
		w.reach("killed when "+moment.name, reached)
		w.KillOperator()
		w.source.Heal()
		w.RestartOperator()
		w.arrived(version)
	}
	a.finish()
}

// restartsQuietly restarts the operator and looks at the next three intervals.
func (w *world) restartsQuietly() {
	w.t.Helper()
	q := w.quiet()
	w.RestartOperator()
	fresh := metrics{} // a new process counts from zero
	w.passes(3, fresh)
	// The index takes notes when it is closed and opened; the content is not touched.
	q.onlyContent = true
	for _, c := range failed(q.check(fresh, w.metrics())) {
		w.t.Errorf("Flux has failed over the restart: %s", c)
	}
}

func (w *world) reach(what string, reached <-chan struct{}) {
	w.t.Helper()
	timer := time.NewTimer(reachTimeout)
	defer timer.Stop()
	select {
	case <-reached:
	case <-timer.C:
		w.t.Fatalf("this has not happened within %s: %s", reachTimeout, what)
	}
}

// hold lets the operator's requests of one kind hang until it gives up, and returns what is closed when there is one.
func (s *source) hold(requests string) <-chan struct{} {
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	s.Inject(func(_ http.ResponseWriter, request *http.Request) bool {
		if !fromOperator(request) || request.Method+" "+ocmtest.Class(request) != requests {
			return false
		}
		once()
		<-request.Context().Done()
		return true
	})
	return reached
}

// snapshotOf returns what is closed when the object of a kind has written the snapshot of a version.
func (w *world) snapshotOf(kind, version string) <-chan struct{} {
	w.t.Helper()
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	w.watch(w.Namespace, v1alpha1.SnapshotKind, func(_ watch.EventType, obj *unstructured.Unstructured) {
		tag, _, _ := unstructured.NestedString(obj.Object, "spec", "tag")
		for _, owner := range obj.GetOwnerReferences() {
			if owner.Kind == kind && tag == version {
				once()
			}
		}
	})
	return reached
}
