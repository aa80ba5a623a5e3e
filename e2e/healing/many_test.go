package healing

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// many is how many Snapshots lose their content at once.
const many = 100

// TestManyHeal has all content of many Snapshots lost at once, and something new delivered at the same time, which does not
// have to wait until all of it is back. How long it takes is only told.
func TestManyHeal(t *testing.T) {
	w := newWorld(t)
	w.publish("new", "1.0.0", noise)
	w.followMany()
	began := time.Now()
	before := w.filled(many)
	t.Logf("%d Snapshots are filled %s after the last was asked for", many, time.Since(began).Round(time.Millisecond))

	if err := w.replaceNode(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	w.follow("new")
	w.deploy("new")
	w.arrived("new", "1.0.0")
	t.Logf("what is new is delivered %s after the start", time.Since(began).Round(time.Millisecond))
	for name, layer := range before {
		w.Eventually("the content of "+name+" is back", func() error { return w.sound(layer) })
	}
	t.Logf("%d Snapshots are filled again %s after the start", many, time.Since(began).Round(time.Millisecond))
	after := w.filled(many + 1)
	for name, layer := range before {
		if after[name] != layer {
			t.Errorf("%s has content %s, and had %s", name, after[name], layer)
		}
	}
}

// followMany publishes a component with many resources, and has all of them taken from it.
func (w *world) followMany() {
	w.t.Helper()
	c := ocmtest.Component{Name: "acme.org/many", Version: "1.0.0"}
	for i := range many {
		name := fmt.Sprintf("r%03d", i)
		c.Resources = append(c.Resources, ocmtest.Resource{Name: name, Content: random(name, 16<<10), MediaType: "application/octet-stream"})
	}
	if _, err := c.Publish(w.Context(), w.source.URL+"/acme", ocm.Options{}); err != nil {
		w.t.Fatal(err)
	}
	w.Apply(`
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: many
spec:
  interval: 1h
  component: acme.org/many
  repository: {url: ${URL}/acme}
  version: {semver: ">=0.0.0"}
`, "${URL}", w.source.URL)
	for _, r := range c.Resources {
		w.Apply(`
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: ${NAME}
spec:
  interval: 1h
  sourceRef: {name: many, resourceRef: {name: ${NAME}}}
`, "${NAME}", r.Name)
	}
}

// filled waits until a number of Snapshots is ready, and returns their content.
func (w *world) filled(count int) map[string]string {
	w.t.Helper()
	var found map[string]string
	w.Within(patience, "all Snapshots are ready", func() error {
		list, err := w.List(w.Context(), w.Namespace, v1alpha1.SnapshotKind)
		if err != nil {
			return err
		}
		found = map[string]string{}
		for i := range list.Items {
			if err := e2etest.Ready(&list.Items[i]); err != nil {
				return err
			}
			found[list.Items[i].GetName()], _, _ = unstructured.NestedString(list.Items[i].Object, "status", "digest")
		}
		if len(found) != count {
			return fmt.Errorf("there are %d", len(found))
		}
		return nil
	})
	return found
}
