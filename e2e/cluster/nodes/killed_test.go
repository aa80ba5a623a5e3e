package nodes

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

// TestKilledOwner kills a process that has a cluster, which can then end and remove nothing itself.
func TestKilledOwner(t *testing.T) {
	needNodes(t)
	dir := t.TempDir()
	if err := Build(t.Context(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	before := alone(t)
	// What was mounted would keep the folder from being removed.
	t.Cleanup(func() {
		if err := down(context.Background(), dir, lockOf(dir)); err != nil && !errors.Is(err, cluster.ErrNoCluster) {
			t.Error(err)
		}
	})
	owner := hold(t, dir)
	running, err := ReadState(dir)
	if err != nil || len(running.Nodes) != 1 || running.Nodes[0].Verdict() != "running" {
		t.Fatalf("state of the running cluster: got %+v, %v", running, err)
	}
	inside, err := (&Node{Name: running.Nodes[0].Name}).Processes("")
	if err != nil || len(inside) < 5 { // containerd, kubelet, kube-proxy, and those of a pod
		t.Errorf("only %d processes are on the node: %v, %v", len(inside), inside, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	for _, p := range append(inside, slices.Concat(running.Nodes[0].Processes, running.Network)...) {
		err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, deadline, true, func(context.Context) (bool, error) { return !p.Alive(), nil })
		if err != nil {
			t.Errorf("process %d outlives its cluster, though nobody had to be told: %v", p.PID, err)
		}
	}
	if err := down(t.Context(), dir, lockOf(dir)); err != nil {
		t.Errorf("Down: %v", err)
	}
	before.same(t, "after Down")
	if state, err := ReadState(dir); err != nil || len(state.Nodes) > 0 {
		t.Errorf("state after Down: got %+v, %v; want nothing", state, err)
	}
	if err := Down(t.Context(), dir); !errors.Is(err, cluster.ErrNoCluster) {
		t.Errorf("Down again: got %v, want ErrNoCluster", err)
	}
	if err := cluster.Delete(t.Context(), dir); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder is not empty after Delete")
	}
}

// alone waits until nobody has nodes, and looks at the machine. Until the test has ended nobody else can have any: whoever waits would
// take the lock from an owner that was killed before anybody could look at what it has left.
func alone(t *testing.T) machine {
	t.Helper()
	lock, err := acquireMachine(t.Context(), machineLock, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lock.Release(); err != nil {
			t.Error(err)
		}
	})
	var m machine
	// The kernel takes its time with the link of a namespace that has just gone; its routes have a number in place of a name then.
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, deadline, true, func(context.Context) (bool, error) {
		m = look(t)
		return !slices.ContainsFunc(m.Routes, regexp.MustCompile(` to \d+:`).MatchString), nil
	})
	if err != nil {
		t.Fatalf("links of others that go don't: %v", m.Routes)
	}
	return m
}

// lockOf is what the owner of the cluster in dir holds: this process has the machine's lock for it.
func lockOf(dir string) string { return dir + ".lock" }

// hold starts a process that has a cluster in dir, and returns when the cluster is ready.
func hold(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	owner := exec.CommandContext(t.Context(), self)
	owner.Env = append(os.Environ(), holdVariable+"="+dir)
	owner.Stderr = t.Output()
	// Closed when this process ends, in whatever way; it must not be outlived, as the machine's lock is free then.
	if _, err := owner.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "started: <nil>\n" {
		t.Fatalf("the owner of a cluster says %q, %v", line, err)
	}
	return owner
}
