package pipeline_test

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// imageRegistry is where the images of the sample components are said to be.
const imageRegistry = "ghcr.io/phoban01"

// repository is the URL that components are published at.
func repository(registry *ocmtest.Server) string { return registry.URL + "/phoban01" }

// publish publishes a version of the sample component.
func publish(t *testing.T, registry *ocmtest.Server, version string) {
	t.Helper()
	o := podinfo.Options{Version: version, ImageRegistry: imageRegistry}
	if err := podinfo.Publish(t.Context(), repository(registry), o, ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}

// Objects of the documentation, for the sample component. Every interval is long: nothing that a test sees comes from
// polling.
const (
	componentVersion = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=0.0.0"
---
`
	resource = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: manifests
spec:
  interval: 10m0s
  sourceRef:
    name: podinfo
    namespace: ${NAMESPACE}
    resourceRef:
      name: manifests
---
`
	localization = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: manifests
spec:
  interval: 10m0s
  sourceRef:
    kind: Resource
    name: manifests
    resourceRef:
      name: manifests
      version: latest
  configRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: config
      version: latest
---
`
	configuration = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Configuration
metadata:
  name: configuration
spec:
  interval: 10m0s
  sourceRef:
    kind: Localization
    name: manifests
  configRef:
    kind: ComponentVersion
    name: podinfo
    resourceRef:
      name: config
      version: latest
  ${VALUES}
---
`
	fluxDeployer = `
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: podinfo
spec:
  interval: 10m0s
  waitForReady: true
  sourceRef:
    kind: Configuration
    name: configuration
  kustomizationTemplate:
    interval: 10m0s
    path: ./
    prune: true
    targetNamespace: ${NAMESPACE}
---
`
	pipeline = componentVersion + resource + localization + configuration + fluxDeployer
)

// arrives waits until the whole pipeline is ready and what Flux has applied has an image and a message.
func arrives(e *e2etest.Env, image, message string) {
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
	e.Wait("Resource", "manifests", e2etest.Ready)
	e.Wait("Localization", "manifests", e2etest.Ready)
	e.Eventually("image "+image+" and message "+message, func() error {
		deployment, config := &appsv1.Deployment{}, &corev1.ConfigMap{}
		if err := get(e, "podinfo", deployment); err != nil {
			return err
		}
		if err := get(e, "podinfo", config); err != nil {
			return err
		}
		gotImage, gotMessage := deployment.Spec.Template.Spec.Containers[0].Image, config.Data["PODINFO_UI_MESSAGE"]
		if gotImage != image || gotMessage != message {
			return fmt.Errorf("image %q, message %q", gotImage, gotMessage)
		}
		return nil
	})
	e.Wait("Configuration", "configuration", e2etest.Ready)
	e.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	e.Wait("Kustomization", "podinfo", e2etest.Ready)
}

// get reads an object of the namespace of the test.
func get(e *e2etest.Env, name string, obj client.Object) error {
	return e.Client.Get(e.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, obj)
}
