package pipeline_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestFluxMayComeLater runs the operator in a cluster that does not know Flux, and installs that afterwards. References
// into other namespaces are switched off here, as it is a cluster of its own.
func TestFluxMayComeLater(t *testing.T) {
	t.Parallel()
	e := e2etest.Own(t, cluster.Options{ControllerManager: true}, "--no-cross-namespace-refs")
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: patience}")
	e.Wait("Configuration", "configuration", e2etest.Ready)
	e.Wait("FluxDeployer", "podinfo", e2etest.NotReady("FluxNotInstalled", "OCIRepository", "install Flux"))
	t.Run("references into other namespaces are refused", func(t *testing.T) { refusesForeignReferences(t, e.ForTest(t)) })

	if err := e.Cluster.InstallFlux(t.Context()); err != nil {
		t.Fatal(err)
	}
	arrives(e, imageRegistry+"/podinfo:6.3.6", "patience")
}

func refusesForeignReferences(t *testing.T, e *e2etest.Env) {
	t.Helper()
	foreign := *e
	foreign.Namespace = clustertest.Namespace(t, e.Cluster.Config())
	for kind, spec := range map[string]string{
		"Resource":      "sourceRef: {name: podinfo, namespace: ${OWNER}, resourceRef: {name: manifests}}",
		"Localization":  "sourceRef: {kind: Resource, name: manifests, namespace: ${OWNER}}\n  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}",
		"Configuration": "sourceRef: {kind: Localization, name: manifests, namespace: ${OWNER}}\n  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}",
		"FluxDeployer":  "sourceRef: {kind: Configuration, name: configuration, namespace: ${OWNER}}",
	} {
		foreign.Apply("apiVersion: delivery.ocm.software/v1alpha1\nkind: "+kind+"\nmetadata:\n  name: foreign\nspec:\n  interval: 10m0s\n  "+spec, "${OWNER}", e.Namespace)
		report(t, foreign.Wait(kind, "foreign", e2etest.NotReady("AccessDenied", e.Namespace),
			e2etest.Is("Stalled", metav1.ConditionTrue, "AccessDenied")))
	}
}
