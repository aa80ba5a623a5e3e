package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/nodes"
)

func TestNodesInTheBackground(t *testing.T) {
	clustertest.NeedNodes(t, nodes.Missing(t.Context()))
	dir := filepath.Join(t.TempDir(), "cluster")
	t.Cleanup(func() { // whatever happens here, nothing may be left behind
		if err := nodes.Down(context.Background(), dir); err != nil && !errors.Is(err, cluster.ErrNoCluster) {
			t.Error(err)
		}
	})
	if _, err := call(t, "up", "--dir", dir, "--nodes=1"); err != nil {
		t.Fatalf("up: %v", err)
	}
	if _, err := call(t, "up", "--dir", dir); err == nil || !strings.Contains(err.Error(), "1 nodes") {
		t.Errorf("up without nodes while there is one: got %v, want an error", err)
	}
	if out, err := call(t, "status", "--dir", dir); err != nil || !strings.Contains(out, "node-1                   running  198.18.0.11") {
		t.Errorf("status: got %q, %v; want a node that runs", out, err)
	}
	running := state(t, dir)
	if err := running.Supervisor.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, "down", "--dir", dir, "--delete"); err != nil {
		t.Fatalf("down: %v", err)
	}
	gone(t, running)
	if left, err := nodes.ReadState(dir); err != nil || len(left.Nodes) > 0 {
		t.Errorf("state after down: got %+v, %v", left, err)
	}
}
