package pipeline_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestBuildMetadataTravels delivers a version that no tag of a registry can hold as it is.
func TestBuildMetadataTravels(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "1.0.0+build.1")
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: built}")
	arrives(e, imageRegistry+"/podinfo:1.0.0-build.1", "built")
	e.Kubectl("wait", "--for=condition=Ready", "--timeout=1m", "--all", "cv,res,lz,cfg,fd,snap") // kubectl understands it all
	e.Wait("ComponentVersion", "podinfo", e2etest.Field("1.0.0+build.1", "status", "reconciledVersion"))
	config := &corev1.ConfigMap{}
	if err := get(e, "podinfo", config); err != nil {
		t.Fatal(err)
	}
	if got := config.Data["configuredVersion"]; got != "1.0.0+build.1" {
		t.Errorf("configured version is %q, want 1.0.0+build.1", got)
	}
}

// TestNestedComponent deploys a resource of a component that the component refers to.
func TestNestedComponent(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(componentVersion+`
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: backend
spec:
  interval: 10m0s
  sourceRef:
    name: podinfo
    resourceRef:
      name: manifests
      referencePath:
        - name: backend
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: backend
spec:
  interval: 10m0s
  sourceRef:
    kind: Resource
    name: backend
  kustomizationTemplate:
    path: ./
    prune: true
    targetNamespace: ${NAMESPACE}
`, "${REPOSITORY}", repository(registry))
	e.Wait("ConfigMap", "podinfo-backend", e2etest.Field("6.3.6", "data", "version"))
	expectSnapshotNames(t, e, "backend")
	if got := descriptors(t, e); len(got) != 1 || got[0] != "phoban.io/podinfo" {
		t.Errorf("there are descriptors of %v, want only that of the component itself", got)
	}

	// The documented switch shows the nested component too, and what was deployed stays.
	e.Kubectl("patch", "cv", "podinfo", "--type=merge", "-p", `{"spec":{"references":{"expand":true}}}`)
	e.Eventually("descriptors of both components", func() error {
		if got := descriptors(t, e); len(got) != 2 {
			return fmt.Errorf("there are descriptors of %v", got)
		}
		return nil
	})
	cv := &v1alpha1.ComponentVersion{}
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
	if err := get(e, "podinfo", cv); err != nil {
		t.Fatal(err)
	}
	references := cv.Status.ComponentDescriptor.References
	if len(references) != 1 || references[0].Name != "backend" || references[0].ComponentDescriptorRef == nil {
		t.Fatalf("references of the status are %+v, want backend with the name of its descriptor", references)
	}
	nested := &v1alpha1.ComponentDescriptor{}
	if err := get(e, references[0].ComponentDescriptorRef.Name, nested); err != nil {
		t.Fatal(err)
	}
	if len(nested.Spec.Resources) != 1 || nested.Spec.Version != "6.3.6" {
		t.Errorf("descriptor of the backend is %+v", nested.Spec)
	}
	e.Wait("Resource", "backend", e2etest.Ready)
}

// descriptors returns for each ComponentDescriptor the prefix of its name that tells the component.
func descriptors(t *testing.T, e *e2etest.Env) []string {
	t.Helper()
	list := &v1alpha1.ComponentDescriptorList{}
	if err := e.Client.List(t.Context(), list, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, descriptor := range list.Items {
		for _, resource := range descriptor.Spec.Resources {
			if resource.Name == "image" {
				names = append(names, "phoban.io/podinfo")
			}
		}
		if len(descriptor.Spec.Resources) == 1 {
			names = append(names, "phoban.io/podinfo-backend")
		}
	}
	return names
}
