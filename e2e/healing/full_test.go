package healing

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// quota has room for three of these sizes, and for no fourth.
const (
	size  = 1 << 20
	quota = "--registry-max-size=3407872" // 3.25 MiB
)

// TestFullRegistryHeals fills the registry up to its limit. What can't be written says so, and what is there is pulled as
// before. When another pipeline goes, there is room, and everything that waited for it is ready without anybody's help.
func TestFullRegistryHeals(t *testing.T) {
	w := newWorld(t, quota, "--registry-grace=2s")
	w.publish("app", "1.0.0", size)
	w.publish("big", "1.0.0", size+size/2)
	w.follow("app")
	w.deploy("app")
	w.arrived("app", "1.0.0")
	before := w.content("app")
	w.follow("big") // Flux has nothing to do with it, so nobody pulls it
	w.content("big")

	p := w.always(w.registry("app", before))
	w.publish("app", "1.1.0", size)
	w.publish("new", "1.0.0", size)
	w.follow("new")
	w.fills(before)
	w.Wait("ConfigMap", "app", e2etest.Field("1.0.0", "data", "version"))
	w.Wait("OCIRepository", "app", e2etest.Ready)

	w.Delete(v1alpha1.ResourceKind, "big")
	w.Within(patience, "everything is ready", func() error { return errors.Join(w.ready("app"), w.ready("new")) })
	p.finish("while the registry was full") // the history has it still
	w.arrived("app", "1.1.0")
	for _, name := range []string{"app", "new"} {
		w.Wait(v1alpha1.SnapshotKind, snapshotName(name), e2etest.Ready, withoutCondition(v1alpha1.StorageFullCondition))
	}
}

// fills waits until everything says that there is no room for what is new. What was delivered stays.
func (w *world) fills(before content) {
	w.t.Helper()
	for _, name := range []string{"app", "new"} {
		w.Wait(v1alpha1.ResourceKind, name, e2etest.NotReady(v1alpha1.StorageFullReason, "--registry-max-size"))
	}
	full := w.Wait(v1alpha1.SnapshotKind, snapshotName("app"), e2etest.Ready,
		e2etest.Is(v1alpha1.StorageFullCondition, metav1.ConditionTrue, v1alpha1.StorageFullReason, "--registry-max-size"))
	if after := w.content("app"); after != before {
		w.t.Errorf("Snapshot %s is of %v, and was of %v", full.GetName(), after, before)
	}
	if _, err := w.Lookup(v1alpha1.SnapshotKind, snapshotName("new")); client.IgnoreNotFound(err) != nil || err == nil {
		w.t.Errorf("there is a Snapshot without content: %v", err)
	}
	w.Eventually("an event says so", func() error { return w.warned(full.GetName(), v1alpha1.StorageFullReason) })
}

// ready wants a Resource to be ready.
func (w *world) ready(name string) error {
	obj, err := w.Lookup(v1alpha1.ResourceKind, name)
	if err != nil {
		return err
	}
	if err := e2etest.Ready(obj); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// warned wants a Warning about a Snapshot.
func (w *world) warned(name, reason string) error {
	found := &corev1.EventList{}
	if err := w.Client.List(w.Context(), found, client.InNamespace(w.Namespace)); err != nil {
		return err
	}
	var said []string
	for i := range found.Items {
		e := &found.Items[i]
		if e.InvolvedObject.Kind != v1alpha1.SnapshotKind || e.InvolvedObject.Name != name {
			continue
		}
		if said = append(said, e.Type+" "+e.Reason+": "+e.Message); e.Type == corev1.EventTypeWarning && e.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("the events are %s", strings.Join(said, "; "))
}
