package chart_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/nodes"
)

// away lets the operator run on the node that the tests take away, as long as that is there.
const away = `--set-json=affinity={"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,"preference":` +
	`{"matchExpressions":[{"key":"pool","operator":"DoesNotExist"}]}}]}}`

// TestOutages takes away what the operator lives on, one after the other, while somebody uses what it has delivered. Each time that
// goes on as if nothing had happened, everything gets ready again by itself, and the next version arrives.
func TestOutages(t *testing.T) {
	w := enter(t)
	w.ensure(away)
	d := w.deliver("outages", 30081)
	d.next()
	visitor := visit(t.Context(), d.url)
	defer visitor.leave(t)

	for _, outage := range []struct {
		name string
		// replicas is how many pods the operator has then, and values are further values of the chart.
		replicas int
		values   string
		happen   func(t *testing.T, w *world)
	}{
		{"the pod of the operator is deleted, and its disk with it", 1, "", deletePod},
		{"the leader of two is killed", 2, "", killLeader},
		{"the node of the operator is rebooted", 1, "", reboot},
		{"the node of the operator is drained", 1, "", drain},
		{"the volume of the registry is wiped", 1, "persistence.enabled=true,persistence.storageClass=e2e", wipe},
	} {
		t.Run(outage.name, func(t *testing.T) {
			sub := w.forTest(t)
			d := &delivery{Env: d.ForTest(t), w: sub, url: d.url, message: d.message, port: d.port}
			sub.volume()
			sub.ensure(away, fmt.Sprintf("--set=replicaCount=%d", outage.replicas), "--set="+outage.values)
			sub.operates(outage.replicas)
			d.ready(sub.current())
			before := d.untouched()
			outage.happen(t, sub)
			sub.operates(outage.replicas)
			d.ready(sub.current())
			if diff := cmp.Diff(before, d.untouched()); diff != "" {
				t.Errorf("what was delivered did not stay as it was (-before +after):\n%s", diff)
			}
			d.next()
		})
	}
}

// replaced waits until other pods of the operator run than before, or the same after a restart.
func (w *world) replaced(before []corev1.Pod) {
	w.t.Helper()
	known := map[string]bool{}
	for i := range before {
		known[life(&before[i])] = true
	}
	w.env.Within(longest, "another life of the operator begins", func() error {
		pods := w.pods()
		for i := range pods {
			if !known[life(&pods[i])] {
				return nil
			}
		}
		return fmt.Errorf("pods are %v", known)
	})
}

// life tells one run of a pod's program from the others.
func life(pod *corev1.Pod) string {
	var restarts int32
	for _, status := range pod.Status.ContainerStatuses {
		restarts += status.RestartCount
	}
	return fmt.Sprintf("%s with %d restarts", pod.UID, restarts)
}

func deletePod(_ *testing.T, w *world) {
	before := w.operates(1)
	w.env.Kubectl("delete", "pod", before[0].Name, "--wait=false")
	w.replaced(before)
}

// killLeader kills the program of the leader as a crash does: nobody gives the lease back. It does so each time that the program comes
// back, until the other one leads: once the lease has run out, the pod that had it may take it again, which would show nothing.
func killLeader(t *testing.T, w *world) {
	before := w.operates(2)
	leader := slices.IndexFunc(before, func(pod corev1.Pod) bool { return w.leads(pod.Name) })
	if leader < 0 {
		t.Fatal("none of the pods leads")
	}
	w.env.Within(longest, "the other one leads", func() error {
		if w.leads(before[1-leader].Name) {
			return nil
		}
		return errors.Join(errors.New("it does not"), w.kill(&before[leader]))
	})
	w.replaced(before)
}

// leads tells whether a pod holds the lease.
func (w *world) leads(pod string) bool {
	w.t.Helper()
	return strings.HasPrefix(w.env.Kubectl("get", "lease", "ocm-operator-leader", "--output=jsonpath={.spec.holderIdentity}"), pod+"_")
}

// kill kills the program of a pod, which is a process of this machine.
func (w *world) kill(pod *corev1.Pod) error {
	node := w.apps
	if pod.Spec.NodeName == w.other.Name {
		node = w.other
	}
	processes, err := node.Processes(pod.UID)
	if err != nil {
		return err
	}
	for _, process := range processes {
		program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", process.PID))
		if err == nil && filepath.Base(program) == "ocm-operator" {
			return process.Signal(syscall.SIGKILL)
		}
	}
	return fmt.Errorf("pod %s has no process on %s", pod.Name, node.Name)
}

// homeless returns the only pod of the operator, which has to be on the node that may go.
func (w *world) homeless() []corev1.Pod {
	w.t.Helper()
	pods := w.operates(1)
	if pods[0].Spec.NodeName != w.other.Name {
		// It has moved in another test, and moves back when it is made again.
		w.env.Kubectl("delete", "pod", pods[0].Name)
		pods = w.operates(1)
	}
	if pods[0].Spec.NodeName != w.other.Name {
		w.t.Fatalf("the operator runs on %s, though %s is preferred", pods[0].Spec.NodeName, w.other.Name)
	}
	return pods
}

func reboot(t *testing.T, w *world) {
	before := w.homeless()
	if err := w.cluster.Reboot(t.Context(), w.other); err != nil {
		t.Fatal(err)
	}
	w.replaced(before)
}

func drain(t *testing.T, w *world) {
	before := w.homeless()
	w.env.Kubectl("drain", w.other.Name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=3m")
	t.Cleanup(func() {
		if err := w.kubectl(context.WithoutCancel(t.Context()), io.Discard, "uncordon", w.other.Name); err != nil {
			t.Error(err)
		}
	})
	w.replaced(before)
}

// volume makes the volume that the registry will ask for: there is nobody in this cluster who makes volumes.
func (w *world) volume() {
	w.t.Helper()
	w.makeFolder()
	w.env.Apply(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: e2e-registry}
spec:
  capacity: {storage: 100Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: e2e
  persistentVolumeReclaimPolicy: Retain
  local: {path: ${FOLDER}}
  nodeAffinity:
    required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [${NODE}]}]}]}
`, "${FOLDER}", folder, "${NODE}", w.other.Name)
}

// folder is where the volume is on its node.
const folder = nodes.VolumesDir + "/registry"

func (w *world) makeFolder() {
	w.t.Helper()
	if out, err := w.other.Command(w.t.Context(), "mkdir", "-p", folder).CombinedOutput(); err != nil {
		w.t.Fatalf("make the folder of the volume: %v\n%s", err, out)
	}
}

// wipe takes away the disk of the node that has the volume, with all that pods have ever written there. An empty one comes back.
func wipe(t *testing.T, w *world) {
	before := w.operates(1)
	if out, err := w.other.Command(t.Context(), "sh", "-c", "test -n \"$(find "+folder+" -type f)\"").CombinedOutput(); err != nil {
		t.Fatalf("the registry has written nothing to its volume: %v\n%s", err, out)
	}
	if err := w.cluster.Wipe(t.Context(), w.other); err != nil {
		t.Fatal(err)
	}
	w.makeFolder()
	w.replaced(before)
}
