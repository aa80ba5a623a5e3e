package nodes

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

// TestRuntimeFromPackages starts a node whose container runtime is not installed on this machine.
func TestRuntimeFromPackages(t *testing.T) {
	needNodes(t)
	cache, err := binaries.Open(binaries.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := cache.Runtime(t.Context(), true)
	clustertest.NeedPackages(t, err)
	w := startWorld(t, Options{Count: 1, Packages: true, Binaries: cache})
	n := w.Node(0)
	for _, program := range []string{"/usr/bin/containerd", "/usr/sbin/runc", "/usr/sbin/nft"} {
		seen, err := n.Command(t.Context(), "stat", "-c", "%i", program).Output()
		if err != nil {
			t.Fatal(err)
		}
		want, err := command(t.Context(), "stat", "-c", "%i", filepath.Join(unpacked.Root, program)).Output()
		if err != nil || !bytes.Equal(seen, want) {
			t.Errorf("%s on the node is not the one of the package: got inode %q, want %q, %v", program, seen, want, err)
		}
	}
}
