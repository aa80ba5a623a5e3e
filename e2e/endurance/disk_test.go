package endurance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// TestFullDiskHeals takes away the room for new content, publishes a version, and gives the room back. Meanwhile the operator
// says what is wrong, and everything that was delivered stays and can be pulled.
func TestFullDiskHeals(t *testing.T) {
	var disk disk
	w := newWorld(t, func(dir string) { disk = smallDisk(t, filepath.Join(dir, "registry")) })
	a := w.audit(w.Namespace)
	w.publish("1.0.0")
	w.deliver("500ms", "1s")
	w.arrived("1.0.0")
	before := w.digests()
	x := w.witness(flux...)
	disk.fill(t)
	w.publish("1.1.0")
	w.Wait(v1alpha1.ComponentVersionKind, "podinfo", e2etest.Field("1.1.0", "status", "reconciledVersion"))
	obj := w.Wait(v1alpha1.ResourceKind, "podinfo", says(disk.complaint))
	if ready, err := e2etest.Condition(obj, "Ready"); err == nil {
		t.Logf("Ready is %s, %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	w.heals(before)
	w.readiness(disk.readable, 0)
	w.Wait("ConfigMap", "podinfo", e2etest.Field("1.0.0", "data", "configuredVersion"))
	for _, c := range failed(x.stop()) {
		t.Errorf("Flux has failed because of a full disk: %s", c)
	}
	disk.free(t)
	w.arrived("1.1.0")
	w.readiness(true, 1)
	a.finish()
	w.clean()
}

// readiness waits until the operator is ready or isn't, and its registry says whether it can be written.
func (w *world) readiness(ready bool, writable float64) {
	w.t.Helper()
	w.Eventually(fmt.Sprintf("ready is %t, and the registry's writable is %v", ready, writable), func() error {
		got := w.Operator.Ready(w.t.Context())
		metrics, err := w.Operator.Metrics(w.t.Context())
		if err == nil && (got != ready || metrics["ocm_registry_writable"] != writable) {
			err = fmt.Errorf("they are %t and %v", got, metrics["ocm_registry_writable"])
		}
		return err
	})
}

// says wants the conditions of an object to tell something.
func says(what string) e2etest.Check {
	return func(obj *unstructured.Unstructured) error {
		for _, kind := range []string{"Ready", "Reconciling"} {
			if condition, err := e2etest.Condition(obj, kind); err == nil && strings.Contains(condition.Message, what) {
				return nil
			}
		}
		return fmt.Errorf("conditions don't say %q: %v", what, obj.Object["status"])
	}
}

// disk is where the embedded registry keeps its content, with little room.
type disk struct {
	fill, free func(t *testing.T)
	// complaint is what the system says when there is no room.
	complaint string
	// readable is set if a lack of room is all that is wrong, so that the operator is ready.
	readable bool
}

// lockedDisk is a folder that can be made unwritable, which lets the operator fail at the same place as a full disk does.
func lockedDisk(dir string) disk {
	lock := func(mode os.FileMode) func(t *testing.T) {
		return func(t *testing.T) {
			t.Helper()
			if err := os.Chmod(filepath.Join(dir, "uploads"), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	return disk{fill: lock(0o500), free: lock(0o700), complaint: syscall.EACCES.Error()}
}
