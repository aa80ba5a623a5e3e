package pipeline_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/podinfo"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

// imageRegistry is where the images of the sample component are said to be.
const imageRegistry = "ghcr.io/phoban01"

// publish publishes a version of the sample component.
func publish(t *testing.T, registry *ocmtest.Server, o podinfo.Options) {
	t.Helper()
	o.ImageRegistry = imageRegistry
	if err := podinfo.Publish(t.Context(), registry.URL+"/phoban01", o, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}
