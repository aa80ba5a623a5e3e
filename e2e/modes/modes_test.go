package modes_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

// startTimeout bounds the time until a replica is ready.
const startTimeout = 2 * time.Minute

// TestPlainHTTP lets Flux pull from a registry without TLS.
func TestPlainHTTP(t *testing.T) {
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true}, "--registry-plain-http")
	registry := ocmtest.Start(t)
	publish(t, registry, "1.0.0")
	e.Apply(podinfo.Pipeline, "${REPOSITORY}", registry.URL)
	arrived(e, "1.0.0")
	source := e.Get("OCIRepository", "podinfo")
	if insecure, _, err := unstructured.NestedBool(source.Object, "spec", "insecure"); err != nil || !insecure {
		t.Errorf("spec of the OCIRepository is %v, want it insecure", source.Object["spec"])
	}
	if err := contains(e.Puller("podinfo").Files()["configmap.yaml"], "1.0.0"); err != nil {
		t.Error(err)
	}
}

// TestSecondReplicaTakesOver kills the replica that leads. Each has an address of its own for Flux, so that what is deployed moves.
func TestSecondReplicaTakesOver(t *testing.T) {
	election := []string{
		"--enable-leader-election", "--leader-election-lease-duration=4s", "--leader-election-renew-deadline=3s", "--leader-election-retry-period=1s",
		"--snapshot-recheck-interval=1s",
	}
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true}, election...)
	registry := ocmtest.Start(t)
	publish(t, registry, "1.0.0")
	e.Apply(podinfo.Pipeline, "${REPOSITORY}", registry.URL)
	arrived(e, "1.0.0")
	first := e.Operator

	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	t.Cleanup(cancel)
	started, err := operator.Start(ctx, operator.Options{
		Binary: first.Binary(), Kubeconfig: e.Cluster.Kubeconfig(), Dir: filepath.Join(e.Cluster.Dir(), "second"), Args: election,
	})
	if err != nil {
		t.Fatalf("start the second replica: %v", err)
	}
	t.Cleanup(func() {
		if err := started.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	log := filepath.Join(e.Cluster.Dir(), "second", "operator.log")
	e.Eventually("the second replica waits to lead", func() error {
		raw, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		return contains(string(raw), "Attempting to acquire leader lease")
	})
	leads := "oci://" + first.RegistryAddress() + "/"
	if err := startsWith(leads)(e.Get("OCIRepository", "podinfo")); err != nil {
		t.Errorf("two replicas, and the first does not lead any more: %v", err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	second := *e
	second.Operator = started
	second.Wait("OCIRepository", "podinfo", startsWith("oci://"+second.Operator.RegistryAddress()+"/"), e2etest.Ready)
	second.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	if err := contains(second.Puller("podinfo").Files()["configmap.yaml"], "1.0.0"); err != nil {
		t.Errorf("the content was not restored: %v", err)
	}
	publish(t, registry, "2.0.0")
	second.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt=now")
	arrived(&second, "2.0.0")
}

func startsWith(url string) e2etest.Check {
	return func(obj *unstructured.Unstructured) error {
		got, _, err := unstructured.NestedString(obj.Object, "spec", "url")
		if err == nil && !strings.HasPrefix(got, url) {
			err = fmt.Errorf("url is %s, want one at %s", got, url)
		}
		return err
	}
}

func publish(t *testing.T, registry *ocmtest.Server, version string) {
	t.Helper()
	if err := podinfo.Publish(t.Context(), registry.URL, podinfo.Options{Version: version, ImageRegistry: "ghcr.io/phoban01"}, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}

func arrived(e *e2etest.Env, version string) {
	e.Wait("ConfigMap", "podinfo", e2etest.Field(version, "data", "version"))
	for _, kind := range []string{"ComponentVersion", "Resource", "FluxDeployer", "Kustomization"} {
		e.Wait(kind, "podinfo", e2etest.Ready)
	}
}

func contains(text, part string) error {
	if !strings.Contains(text, part) {
		return fmt.Errorf("%q is not in %q", part, text)
	}
	return nil
}
