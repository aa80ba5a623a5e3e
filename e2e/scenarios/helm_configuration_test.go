package scenarios_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestHelmConfiguration changes the values inside a chart.
func TestHelmConfiguration(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "helm-configuration")
	apply(t, e, registry, "helm-configuration/deliver.yaml")
	release(t, e)
	files := e2etest.Files(t, e.Artifact("OCIRepository", "podinfo"))
	values := replaced(t, file(t, "helm-configuration/component/podinfo/values.yaml"),
		"replicas: 1", "replicas: 3", "ghcr.io/stefanprodan/podinfo:6.3.5", theirRepo+"/images/podinfo:6.3.5")
	if got := files["podinfo/values.yaml"]; got != values {
		t.Errorf("the values of the chart are\n%s\nwant\n%s", got, values)
	}
	if got := files["podinfo/Chart.yaml"]; got != file(t, "helm-configuration/component/podinfo/Chart.yaml") {
		t.Errorf("Chart.yaml is not what it was:\n%s", got)
	}
	allReady(e)
}
