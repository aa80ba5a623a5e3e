package replicas_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

const (
	replicas     = 3
	kills        = 4
	pullers      = 3
	startTimeout = 2 * time.Minute
	// longest is how long anything may take on a machine that has other things to do.
	longest = 3 * time.Minute
	poll    = 50 * time.Millisecond
)

// world is a cluster with several replicas of the operator behind one address.
type world struct {
	*e2etest.Env

	t         *testing.T
	balancer  *balancer
	operators []*operator.Operator
	leases    kubernetes.Interface
	source    *ocmtest.Server
	registry  *registry
}

func newWorld(t *testing.T) *world {
	t.Helper()
	b := newBalancer(t)
	args := []string{
		"--registry-address=" + b.address(), "--enable-leader-election",
		"--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=500ms",
	}
	w := &world{t: t, balancer: b, source: ocmtest.Start(t), Env: e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true}, args...)}
	w.operators = []*operator.Operator{w.Operator}
	for i := 1; i < replicas; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
		op, err := operator.Start(ctx, operator.Options{
			Binary: w.Operator.Binary(), Kubeconfig: w.Cluster.Kubeconfig(),
			Dir: filepath.Join(w.Cluster.Dir(), fmt.Sprintf("replica-%d", i)), Args: args,
		})
		cancel()
		if err != nil {
			t.Fatalf("start replica %d: %v", i, err)
		}
		t.Cleanup(func() {
			if err := op.Stop(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		w.operators = append(w.operators, op)
	}
	b.add(w.operators...)
	var err error
	if w.leases, err = kubernetes.NewForConfig(w.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	w.registry = newRegistry(t, w.Env)
	return w
}

// until waits for something, whatever replicas end meanwhile.
func (w *world) until(what string, holds func() error) {
	w.t.Helper()
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for deadline := time.Now().Add(longest); ; {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("waited %s for %s: %v", longest, what, err)
		}
		<-ticker.C
	}
}

// leader returns the replica that holds the lease.
func (w *world) leader() (*operator.Operator, error) {
	lease, err := w.leases.CoordinationV1().Leases(operator.Namespace).Get(w.t.Context(), "ocm-operator-leader", metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	holder := holderOf(lease)
	for _, op := range w.operators {
		if strings.HasSuffix(holder, "@"+op.RegistryAddress()) && op.Err() == nil {
			return op, nil
		}
	}
	return nil, fmt.Errorf("the lease is held by %q", holder)
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// release publishes a version and says so.
func (w *world) release(version string) {
	w.t.Helper()
	if err := podinfo.Publish(w.t.Context(), w.source.URL, podinfo.Options{Version: version, ImageRegistry: "ghcr.io/phoban01"}, ocm.Options{}); err != nil {
		w.t.Fatal(err)
	}
	if version != "1.0.0" {
		w.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt="+version)
	}
}

// arrived waits until a version is deployed, and all that had to do with it says so.
func (w *world) arrived(version string) {
	w.t.Helper()
	wanted := e2etest.Field(version, "data", "version")
	w.until(version+" is deployed", func() error {
		deployed, err := w.Lookup("ConfigMap", "podinfo")
		if err != nil {
			return err
		}
		errs := []error{wanted(deployed)}
		for _, kind := range []string{"ComponentVersion", "Resource", "FluxDeployer", "OCIRepository", "Kustomization"} {
			obj, err := w.Lookup(kind, "podinfo")
			if err == nil {
				err = e2etest.Ready(obj)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", kind, err))
			}
		}
		return errors.Join(errs...)
	})
}

// snapshots returns what Snapshots name: repository and manifest.
func (w *world) snapshots() map[string]digest.Digest {
	w.t.Helper()
	all := &v1alpha1.SnapshotList{}
	if err := w.Client.List(w.t.Context(), all); err != nil {
		w.t.Fatal(err)
	}
	found := map[string]digest.Digest{}
	for i := range all.Items {
		found[all.Items[i].Namespace+"/"+all.Items[i].Name] = digest.Digest(all.Items[i].Status.ManifestDigest)
	}
	return found
}

// content is what a manifest leads to, by how it is pulled.
func (w *world) content(repository string, manifest digest.Digest) map[digest.Digest]string {
	w.t.Helper()
	body, _, err := w.registry.pull(w.t.Context(), w.balancer.address(), repository, "manifests", manifest)
	if err != nil {
		w.t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		w.t.Fatal(err)
	}
	return map[digest.Digest]string{manifest: "manifests", m.Config.Digest: "blobs", m.Layers[0].Digest: "blobs"}
}

// mirrored waits until every replica has content on a disk of its own.
func (w *world) mirrored(content map[digest.Digest]string) {
	w.t.Helper()
	for i, op := range w.operators {
		w.until(fmt.Sprintf("replica %d has a copy", i), func() error {
			for d, what := range content {
				if what != "blobs" {
					continue
				}
				if _, err := os.Stat(filepath.Join(op.RegistryDir(), "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded())); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// TestLeaderIsKilled again and again, and asked to end at last, while content is pulled and pushed.
func TestLeaderIsKilled(t *testing.T) {
	w := newWorld(t)
	w.release("1.0.0")
	w.Apply(podinfo.Pipeline, "${REPOSITORY}", w.source.URL)
	w.arrived("1.0.0")
	flow := &traffic{registry: w.registry, address: w.balancer.address()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for repository, manifest := range w.snapshots() {
		content := w.content(repository, manifest)
		w.mirrored(content)
		for range pullers {
			flow.done.Go(func() { flow.pulling(ctx, repository, content) })
		}
	}
	flow.done.Go(func() { flow.pushing(ctx) })
	for round := 1; round <= kills; round++ {
		w.survives(flow, round, (*operator.Operator).Kill)
	}
	w.survives(flow, kills+1, func(leader *operator.Operator) error { return leader.Stop(ctx) })
	cancel()
	flow.done.Wait()
	for _, err := range flow.errs {
		t.Error(err)
	}
	t.Logf("%d pulls (%d attempts broke off), %d pushes over HTTP (%d did not end, %d were gone with their replica)",
		flow.pulls.Load(), flow.broken.Load(), flow.pushes.Load(), flow.refused.Load(), flow.gone.Load())
	if flow.pulls.Load() == 0 || flow.pushes.Load() == 0 {
		t.Error("there was no traffic, and this test shows nothing")
	}
	w.complete()
}

// survives ends the leader while a new version is on its way.
func (w *world) survives(flow *traffic, round int, end func(*operator.Operator) error) {
	w.t.Helper()
	var leader *operator.Operator
	w.until("somebody leads", func() (err error) {
		leader, err = w.leader()
		return err
	})
	version := fmt.Sprintf("1.%d.0", round)
	w.release(version)
	if round%2 == 0 {
		// Half of the time it is killed when the content is written, and else before.
		w.until("the new version is read", func() error {
			obj, err := w.Lookup("ComponentVersion", "podinfo")
			if err != nil {
				return err
			}
			return e2etest.Field(version, "status", "reconciledVersion")(obj)
		})
	}
	begin := time.Now()
	flow.turns.Add(1)
	if err := end(leader); err != nil {
		w.t.Fatal(err)
	}
	flow.turns.Add(1)
	w.until("another replica leads", func() error {
		next, err := w.leader()
		if err == nil && next == leader {
			err = errors.New("the lease is still held by the one that is dead")
		}
		return err
	})
	elected := time.Since(begin)
	w.arrived(version)
	w.t.Logf("round %d: another replica led after %s, version %s was deployed after %s", round, elected.Round(time.Millisecond), version, time.Since(begin).Round(time.Millisecond))
	ctx, cancel := context.WithTimeout(w.t.Context(), startTimeout)
	defer cancel()
	if err := leader.Restart(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// complete wants what Snapshots name from every replica, to the byte.
func (w *world) complete() {
	w.t.Helper()
	for repository, manifest := range w.snapshots() {
		for d, what := range w.content(repository, manifest) {
			for i, op := range w.operators {
				w.until(fmt.Sprintf("replica %d serves %s", i, d), func() error {
					_, _, err := w.registry.pull(w.t.Context(), op.RegistryAddress(), repository, what, d)
					if errors.Is(err, errWrong) {
						w.t.Fatal(err)
					}
					return err
				})
			}
		}
	}
}
