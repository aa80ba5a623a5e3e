package healing

import (
	"fmt"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestGoingBack delivers a version again that was replaced by another. Its content was there all the time: whoever had it
// pinned pulls it, and it is not written anew.
func TestGoingBack(t *testing.T) {
	w := newWorld(t)
	w.publish("app", "1.0.0", noise)
	w.follow("app")
	w.deploy("app")
	w.arrived("app", "1.0.0")
	old := w.content("app")
	p := w.always(w.registry("app", old))
	file, err := os.Stat(w.blob(old.layer))
	if err != nil {
		t.Fatal(err)
	}
	w.publish("app", "1.1.0", noise)
	w.arrived("app", "1.1.0")
	if diff := cmp.Diff([]string{"1.0.0 " + old.manifest}, w.history("app")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	newer := w.content("app")
	w.Kubectl("patch", "cv", "app", "--type=merge", "-p", `{"spec":{"version":{"semver":"1.0.0"}}}`)
	w.arrived("app", "1.0.0")
	w.Eventually("it is the content of before", func() error {
		if got := w.content("app"); got != old {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
	p.finish("to and fro")
	if p.gone > 0 {
		t.Errorf("it could not be pulled %d times", p.gone)
	}
	if diff := cmp.Diff([]string{"1.1.0 " + newer.manifest}, w.history("app")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	if again, err := os.Stat(w.blob(old.layer)); err != nil || !os.SameFile(file, again) {
		t.Errorf("its file was written again: %v", err)
	}
	w.Wait("OCIRepository", "app", e2etest.Ready, e2etest.Field(old.manifest, "spec", "ref", "digest"))
}

// history is what a Snapshot says of its past.
func (w *world) history(name string) []string {
	w.t.Helper()
	list, _, err := unstructured.NestedSlice(w.Get(v1alpha1.SnapshotKind, snapshotName(name)).Object, "status", "history")
	if err != nil {
		w.t.Fatal(err)
	}
	var past []string
	for _, entry := range list {
		fields, _ := entry.(map[string]any)
		past = append(past, fmt.Sprintf("%v %v", fields["tag"], fields["manifestDigest"]))
	}
	return past
}
