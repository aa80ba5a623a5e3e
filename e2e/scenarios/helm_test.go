package scenarios_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestHelm delivers a chart as it is. What helm-controller would do is not a part of this: its input is looked at, the
// HelmRelease and the chart that source-controller has stored for it.
func TestHelm(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "helm")
	apply(t, e, registry, "helm/deliver.yaml")
	release(t, e)
	replicas, _, err := unstructured.NestedInt64(e.Get("HelmRelease", "podinfo").Object, "spec", "values", "replicas")
	if err != nil || replicas != 2 {
		t.Errorf("spec.values.replicas of the HelmRelease is %d, want 2: %v", replicas, err)
	}
	files := e2etest.Files(t, e.Artifact("OCIRepository", "podinfo"))
	for _, name := range []string{"Chart.yaml", "values.yaml", "templates/deployment.yaml"} {
		if want := file(t, "helm/component/podinfo/"+name); files["podinfo/"+name] != want {
			t.Errorf("%s of the chart is\n%s\nwant\n%s", name, files["podinfo/"+name], want)
		}
	}
	allReady(e)
}

// release waits for the HelmRelease of the guides and for its chart.
func release(t *testing.T, e *e2etest.Env) {
	t.Helper()
	e.Wait("HelmRelease", "podinfo", e2etest.Field("OCIRepository", "spec", "chartRef", "kind"), e2etest.Field("podinfo", "spec", "chartRef", "name"),
		e2etest.Field(e.Namespace, "spec", "targetNamespace"))
	manifest, _ := e.Puller("podinfo").Snapshot()
	if got := manifest.Layers[0].MediaType; got != "application/vnd.cncf.helm.chart.content.v1.tar+gzip" {
		t.Errorf("media type of the layer is %s", got)
	}
	if got := manifest.Config.MediaType; got != "application/vnd.cncf.helm.config.v1+json" {
		t.Errorf("media type of the config is %s", got)
	}
}
