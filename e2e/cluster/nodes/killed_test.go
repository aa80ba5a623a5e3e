package nodes

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// TestKilledOwner kills a process that has a cluster, which can then end and remove nothing itself.
func TestKilledOwner(t *testing.T) {
	needNodes(t)
	dir := t.TempDir()
	// What was mounted would keep the folder from being removed.
	t.Cleanup(func() {
		if err := Down(context.Background(), dir); err != nil && !errors.Is(err, cluster.ErrNoCluster) {
			t.Error(err)
		}
	})
	if err := Build(t.Context(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	before := lookAlone(t)
	owner := hold(t, dir)
	running, err := ReadState(dir)
	if err != nil || len(running.Nodes) != 1 || running.Nodes[0].Verdict() != "running" {
		t.Fatalf("state of the running cluster: got %+v, %v", running, err)
	}
	inside := insiders(t, &Node{Name: running.Nodes[0].Name})
	if len(inside) < 5 { // containerd, kubelet, kube-proxy, and those of a pod
		t.Errorf("only %d processes are on the node: %v", len(inside), inside)
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
	if err := down(t.Context(), dir, func() { before.same(t, "after Down") }); err != nil {
		t.Errorf("Down: %v", err)
	}
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

// lookAlone looks at the machine when nobody has nodes.
func lookAlone(t *testing.T) machine {
	t.Helper()
	lock, err := acquireMachine(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	var m machine
	// The kernel takes its time with the link of a namespace that has just gone; its routes have a number in place of a name then.
	err = wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, deadline, true, func(context.Context) (bool, error) {
		m = look(t)
		return !slices.ContainsFunc(m.Routes, regexp.MustCompile(` to \d+:`).MatchString), nil
	})
	if err != nil {
		t.Fatalf("links of others that go don't: %v", m.Routes)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	return m
}

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

// insiders are the processes on a node, those in containers included.
func insiders(t *testing.T, n *Node) []process.Identity {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var inside []process.Identity
	for _, entry := range entries {
		groups, err := os.ReadFile("/proc/" + entry.Name() + "/cgroup")
		if err != nil || !strings.Contains(string(groups), "/"+cgroupParent+"/"+n.Name+"/") {
			continue
		}
		pid, err := strconv.Atoi(entry.Name())
		if err != nil { // one of the links to ourselves
			continue
		}
		if identity, err := process.Identify(pid); err == nil {
			inside = append(inside, identity)
		}
	}
	return inside
}
