package endurance

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// TestWipedRegistryHeals takes the content of the embedded registry away, as the loss of a volume does: everything is
// written again as it was, and Flux has no reason to notice.
func TestWipedRegistryHeals(t *testing.T) {
	w := newWorld(t, nil)
	a := w.audit(w.Namespace)
	w.publish("1.0.0")
	w.deliver("2s", "2s")
	w.arrived("1.0.0")
	before := w.digests()
	if len(before) != 3 {
		t.Fatalf("snapshots are %v, want three", before)
	}
	for _, wipe := range []struct {
		name string
		run  func()
	}{
		{"of everything while the operator does not run", func() {
			if err := w.Operator.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.wipe("*")
			w.RestartOperator()
		}},
		{"of its blobs while the operator runs", func() { w.wipe("blobs/*") }},
		{"of everything while the operator runs", func() { w.wipe("*") }},
	} {
		x := w.witness(flux...)
		wipe.run()
		w.heals(before)
		w.arrived("1.0.0")
		if diff := cmp.Diff(before, w.digests()); diff != "" {
			t.Errorf("wiped %s: snapshots (-before +after):\n%s", wipe.name, diff)
		}
		for _, c := range failed(x.stop()) {
			t.Errorf("wiped %s: Flux has failed: %s", wipe.name, c)
		}
	}
	w.publish("1.1.0")
	w.arrived("1.1.0")
	a.finish()
}

// wipe removes files of the embedded registry.
func (w *world) wipe(pattern string) {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(w.Operator.RegistryDir(), pattern))
	if err != nil || len(paths) == 0 {
		w.t.Fatalf("there is no %s in the embedded registry: %v", pattern, err)
	}
	for _, path := range paths {
		// The operator that runs may write to a folder just when it is removed.
		w.Eventually("the removal of "+path, func() error { return os.RemoveAll(path) })
	}
}

// digests returns the manifests that the Snapshots name.
func (w *world) digests() map[string]string {
	w.t.Helper()
	found := map[string]string{}
	for _, obj := range w.objects(v1alpha1.SnapshotKind) {
		found[obj.GetName()], _, _ = unstructured.NestedString(obj.Object, "spec", "manifestDigest")
	}
	return found
}

// heals waits until the content of every snapshot can be pulled.
func (w *world) heals(snapshots map[string]string) {
	w.t.Helper()
	r := w.registry()
	for name, manifest := range snapshots {
		w.Eventually("the content of Snapshot "+name+" is back", func() error {
			_, err := r.pull(w.t.Context(), snapshot.RepositoryName(w.Namespace, name), manifest)
			return err
		})
	}
}
