package access

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

// deliver brings a component into the namespace of the test, through Flux.
func deliver(t *testing.T, e *e2etest.Env) {
	t.Helper()
	components := ocmtest.Start(t)
	if err := podinfo.Publish(t.Context(), components.URL, podinfo.Options{Version: "1.0.0", ImageRegistry: "ghcr.io/phoban01"}, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	e.Apply(podinfo.Pipeline, "${REPOSITORY}", components.URL)
	for _, kind := range []string{"ComponentVersion", "Resource", "FluxDeployer", "OCIRepository", "Kustomization"} {
		e.Wait(kind, "podinfo", e2etest.Ready)
	}
}
