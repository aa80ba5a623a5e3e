package promises_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestAlone has a cluster without Flux and an operator of its own, for what is about the operator as a whole: its flags,
// its memory, its storage, and its absence. What is wiped and stopped here would be missed by the others.
func TestAlone(t *testing.T) {
	e := e2etest.Own(t, cluster.Options{ControllerManager: true},
		"--no-cross-namespace-refs", "--snapshot-recheck-interval=1s", "--registry-collect-interval=1s", "--snapshot-history=0",
		"--max-retry-delay=2s")
	for _, promise := range []struct {
		name string
		test func(*testing.T, *e2etest.Env)
	}{
		{"B23OperatorStartsWithoutFlux", startsWithoutFlux},
		{"B24ForeignReferencesAreDenied", deniesForeignReferences},
		{"B19LargeResourcesNeedLittleMemory", needsLittleMemory},
		{"B08UpgradesLeaveNoGarbage", leavesNoGarbage},
		{"B09WipedStorageIsRestored", restoresWipedStorage},
		{"B26NothingIsStuckInDeletion", isNeverStuck},
	} {
		t.Run(promise.name, func(t *testing.T) {
			env := e.ForTest(t)
			env.Namespace = clustertest.Namespace(t, e.Cluster.Config())
			promise.test(t, env)
		})
	}
}

func startsWithoutFlux(t *testing.T, e *e2etest.Env) {
	t.Helper()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(chain(registry.URL, "values: {message: patience}"))
	all(e, "Configuration/app")
	e.Wait("FluxDeployer", "app", e2etest.NotReady("FluxNotInstalled", "OCIRepository", "install Flux"))
}

func deniesForeignReferences(t *testing.T, e *e2etest.Env) {
	t.Helper()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}"))
	all(e, "Resource/app")
	thief := *e
	thief.Namespace = clustertest.Namespace(t, e.Cluster.Config())
	thief.Apply(object("Resource", "thief", "sourceRef: {name: app, namespace: "+e.Namespace+", resourceRef: {name: manifests}}") +
		change("Configuration", "thief", "{kind: Resource, name: app, namespace: "+e.Namespace+"}", "config", "values: {}") +
		deploy("thief", "{kind: Resource, name: app, namespace: "+e.Namespace+"}"))
	for _, kind := range []string{"Resource", "Configuration", "FluxDeployer"} {
		thief.Wait(kind, "thief", e2etest.NotReady("AccessDenied", e.Namespace+"/app"))
	}
}

// needsLittleMemory is content of which no quarter may be in memory at once. Package bench measures larger ones.
func needsLittleMemory(t *testing.T, e *e2etest.Env) {
	t.Helper()
	const size, bound = 256 << 20, 64 << 20
	registry := ocmtest.Start(t)
	large := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	publish(t, registry, ocmtest.Component{Name: component, Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "large", Content: large}}})
	e.Apply(follow(component, registry.URL))
	all(e, "ComponentVersion/app")
	if err := e.Operator.ResetPeak(); err != nil {
		t.Fatal(err)
	}
	before, err := e.Operator.Usage()
	if err != nil {
		t.Fatal(err)
	}
	e.Apply(take("large", "{name: large}"))
	e.Wait("Resource", "large", e2etest.Ready, e2etest.Field(digest.FromBytes(large).String(), "status", "latestSnapshotDigest"))
	after, err := e.Operator.Usage()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a resource of %d MiB: %d MiB resident before, %d MiB at most", size>>20, before.Resident>>20, after.Peak>>20)
	if after.Peak-before.Resident > bound {
		t.Errorf("the operator took %d MiB more for a resource of %d MiB", (after.Peak-before.Resident)>>20, size>>20)
	}
}

func restoresWipedStorage(t *testing.T, e *e2etest.Env) {
	t.Helper()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}"))
	all(e, "Resource/app")
	snapshot := text(e.Get("Resource", "app"), "status", "snapshotName")
	layer := text(e.Get("Resource", "app"), "status", "latestSnapshotDigest")
	all(e, "Snapshot/"+snapshot)
	registry.Inject(ocmtest.FailWith(503, -1, "GET blobs")) // so that the time in between is long enough to be seen
	wipe(t, e)
	e.Wait("Snapshot", snapshot, e2etest.NotReady("ContentMissing", snapshot))
	registry.Heal()
	e.Kubectl("annotate", "res/app", requested+"now") // the failures above have made it wait
	all(e, "Snapshot/"+snapshot, "Resource/app")
	if !blobs(t, e)[digest.Digest(layer)] {
		t.Errorf("blob %s is not in the storage again", layer)
	}
}

func leavesNoGarbage(t *testing.T, e *e2etest.Env) {
	t.Helper()
	registry := ocmtest.Start(t)
	publish(t, registry, app("8.0.0")) // what others have deployed, too, would stay for them
	e.Apply(follow(component, registry.URL) + take("app", "{name: manifests}") +
		change("Configuration", "app", "{kind: Resource, name: app}", "config", "values: {message: upgraded}"))
	e.Wait("Configuration", "app", e2etest.Ready, e2etest.Field("8.0.0", "status", "latestSourceVersion"))
	layers := func() []digest.Digest {
		return []digest.Digest{
			digest.Digest(text(e.Get("Resource", "app"), "status", "latestSnapshotDigest")),
			digest.Digest(text(e.Get("Configuration", "app"), "status", "latestSnapshotDigest")),
		}
	}
	old := layers()
	publish(t, registry, app("8.1.0"))
	e.Kubectl("annotate", "cv/app", requested+"now")
	e.Wait("Configuration", "app", e2etest.Ready, e2etest.Field("8.1.0", "status", "latestSourceVersion"))
	later(t, e)
	e.Eventually("the content of the old version is collected", func() error {
		for _, layer := range old {
			if blobs(t, e)[layer] {
				return fmt.Errorf("blob %s is still there", layer)
			}
		}
		return nil
	})
	for _, layer := range layers() {
		if !blobs(t, e)[layer] {
			t.Errorf("blob %s of the version in use is gone", layer)
		}
	}
}

// isNeverStuck deletes everything while nobody is there who could release it: neither operator nor any registry.
func isNeverStuck(t *testing.T, e *e2etest.Env) {
	t.Helper()
	registry := ocmtest.Start(t)
	publish(t, registry, app("1.0.0"))
	e.Apply(chain(registry.URL, "values: {message: farewell}"))
	all(e, "Configuration/app")
	if err := e.Operator.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	registry.Inject(ocmtest.FailWith(503, -1, "GET manifests"))
	for _, kind := range []string{"fd", "cfg", "lz", "res", "snap", "cd", "cv"} {
		e.Kubectl("delete", kind, "--all", "--wait", "--timeout=30s")
	}
	e.Kubectl("delete", "namespace", e.Namespace, "--wait", "--timeout=60s")
	if err := e.Operator.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wipe removes what the embedded registry has stored, while it runs.
func wipe(t *testing.T, e *e2etest.Env) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(e.Operator.RegistryDir(), "*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is nothing to wipe: %v", err)
	}
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}

// later makes it an hour later for the embedded registry: it forgets the claims by which it keeps what was just written.
func later(t *testing.T, e *e2etest.Env) {
	t.Helper()
	if err := e.Operator.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := e.Operator.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// blobs returns what the embedded registry has stored.
func blobs(t *testing.T, e *e2etest.Env) map[digest.Digest]bool {
	t.Helper()
	found := map[digest.Digest]bool{}
	err := filepath.WalkDir(e.Operator.RegistryDir(), func(path string, _ os.DirEntry, err error) error {
		if name := filepath.Base(path); len(name) == 64 {
			found[digest.NewDigestFromEncoded(digest.SHA256, name)] = true
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) { // files come and go meanwhile
		t.Fatal(err)
	}
	return found
}
