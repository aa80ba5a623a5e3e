package external_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

// TestStores holds registries of other projects, reached by the operator's store, to what the embedded registry does.
func TestStores(t *testing.T) {
	t.Parallel()
	for kind, suite := range map[server.Kind]func(*testing.T, func(*testing.T) snapshot.Store){
		server.Distribution: snapshottest.Run, server.ContainerRegistryDisk: snapshottest.RunShared, server.ContainerRegistryMemory: snapshottest.RunShared,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			var paths atomic.Int32
			suite(t, func(t *testing.T) snapshot.Store {
				t.Helper()
				process := run(t, server.Registry{Kind: kind, Dir: t.TempDir(), Delete: true})
				t.Cleanup(func() { _ = process.Kill() })
				s, err := remote.New(remote.Options{
					Host: process.Address(), Path: fmt.Sprintf("test-%d", paths.Add(1)), PlainHTTP: true, Dir: t.TempDir(),
				})
				if err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}
