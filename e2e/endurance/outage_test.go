package endurance

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestLastKnownGoodStays takes the registry of components away, in the two ways in which registries go away. What was
// delivered stays and stays ready, the ComponentVersion says what is wrong, and all is as before when the registry is back.
func TestLastKnownGoodStays(t *testing.T) {
	w := newWorld(t, nil)
	w.publish("1.0.0")
	w.deliver("1s", "1s")
	w.arrived("1.0.0")
	w.settles()
	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"the registry answers 503", func() { w.source.Inject(unavailable) }, w.source.Heal},
		{"the registry does not listen", w.source.close, w.source.open},
	} {
		x := w.witness(slices.Concat(written, made, flux)...)
		outage.begin()
		w.Wait(v1alpha1.ComponentVersionKind, "podinfo", e2etest.Ready, inProgress)
		before := w.metrics()
		w.reconciles(3, before)
		w.Wait(v1alpha1.ComponentVersionKind, "podinfo", e2etest.Ready, inProgress)
		outage.end()
		w.arrived("1.0.0")
		changes := x.stop()
		for _, c := range append(fallen(changes, state...), failed(changes)...) {
			t.Errorf("%s: an object has fallen over: %s", outage.name, c)
		}
		t.Logf("%s: %d changes of objects", outage.name, len(changes))
	}
	w.publish("1.1.0")
	w.arrived("1.1.0")
}

func unavailable(w http.ResponseWriter, _ *http.Request) bool {
	w.WriteHeader(http.StatusServiceUnavailable)
	return true
}

// inProgress wants an object to say that it tries something again.
func inProgress(obj *unstructured.Unstructured) error {
	reconciling, err := e2etest.Condition(obj, meta.ReconcilingCondition)
	if err == nil && reconciling.Message == "" {
		err = fmt.Errorf("condition Reconciling says nothing: %v", reconciling)
	}
	return err
}
