package scenarios_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestQuickStart delivers a folder of manifests, and then its next version.
func TestQuickStart(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "quickstart")
	apply(t, e, registry, "quickstart/deliver.yaml")
	e.Wait("Deployment", "podinfo")
	e.Wait("Service", "podinfo")
	allReady(e)

	publish(t, registry, "quickstart", "version: 1.0.0", "version: 1.1.0")
	e.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt=now")
	e.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	e.Wait("Resource", "manifests", e2etest.Ready, e2etest.Field("1.1.0", "status", "lastAppliedComponentVersion"))
	e.Wait("Kustomization", "podinfo", e2etest.Ready)
}

// TestConfiguration localizes and configures, with values in the manifest and then in a ConfigMap.
func TestConfiguration(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "configuration")
	apply(t, e, registry, "configuration/deliver.yaml")
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Hello from the manifest!", 2)
	allReady(e)

	apply(t, e, registry, "configuration/values-from-configmap.yaml")
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Hello from the ConfigMap!", 3)
	e.Kubectl("patch", "configmap/site", "--type=merge", "--patch", `{"data":{"site.yaml":"apps: {podinfo: {message: Hello again!}}"}}`)
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Hello again!", 1)
	allReady(e)
}

// TestGitOps takes the values from a Git repository; a push arrives without anybody asking for it.
func TestGitOps(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry, git := ocmtest.Start(t), e2etest.ServeGit(t)
	publish(t, registry, "gitops")
	site := file(t, "gitops/site/values.yaml")
	git.Push("values.yaml", site)
	apply(t, e, registry, "gitops/deliver.yaml", theirGit, git.URL, "interval: 1m0s", "interval: 1s")
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Hello from Git!", 2)
	allReady(e)

	git.Push("values.yaml", replaced(t, site, "replicas: 2", "replicas: 4", "Hello from Git!", "Pushed!"))
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Pushed!", 4)
	git.Push("values.yaml", replaced(t, site, "message: ", "mesage: "))
	e.Wait("Configuration", "manifests", e2etest.NotReady("InvalidValues", "mesage"))
	git.Push("values.yaml", replaced(t, site, "Hello from Git!", "Repaired!"))
	podinfo(t, e, theirRepo+"/images/podinfo:6.9.1", "Repaired!", 2)
	allReady(e)
}

// TestNestedComponents takes resources of one name from two components, one and two hops away.
func TestNestedComponents(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "nested-components")
	apply(t, e, registry, "nested-components/deliver.yaml")
	e.Wait("ConfigMap", "backend", e2etest.Field("acme.org/backend", "data", "component"))
	e.Wait("ConfigMap", "cache", e2etest.Field("acme.org/cache", "data", "component"))
	allReady(e)
}

// TestCUEMapping makes the containers of a pod from the images of the component.
func TestCUEMapping(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "cue-mapping")
	apply(t, e, registry, "cue-mapping/deliver.yaml")
	e.Wait("Deployment", "monolith")
	allReady(e)
	deployment := &appsv1.Deployment{}
	if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: "monolith"}, deployment); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range deployment.Spec.Template.Spec.InitContainers {
		got = append(got, "init "+c.Name+" "+c.Image)
	}
	for _, c := range deployment.Spec.Template.Spec.Containers {
		got = append(got, fmt.Sprintf("%s %s %d", c.Name, c.Image, len(c.Ports)))
	}
	want := []string{
		"init migrate " + theirRepo + "/images/migrate:1.0.0",
		"web " + theirRepo + "/images/web:2.0.0 1",
		"worker " + theirRepo + "/images/worker:2.1.0 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

// podinfo waits until what the guides call podinfo was applied with an image, a message and a number of replicas.
func podinfo(t *testing.T, e *e2etest.Env, image, message string, replicas int64) {
	t.Helper()
	e.Wait("ConfigMap", "podinfo", e2etest.Field(message, "data", "PODINFO_UI_MESSAGE"))
	e.Wait("Deployment", "podinfo", func(obj *unstructured.Unstructured) error {
		got, _, err := unstructured.NestedInt64(obj.Object, "spec", "replicas")
		containers, _, wrong := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
		if err := errors.Join(err, wrong); err != nil {
			return err
		}
		container, _ := containers[0].(map[string]any)
		if got != replicas || container["image"] != image {
			return fmt.Errorf("there are %d replicas of %v, want %d of %s", got, container["image"], replicas, image)
		}
		return nil
	})
}
