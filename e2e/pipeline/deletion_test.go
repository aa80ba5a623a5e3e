package pipeline_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestDeletionLeavesNothing deletes the pipeline from its end, as a user does who wants to be rid of it.
func TestDeletionLeavesNothing(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: farewell}")
	arrives(e, imageRegistry+"/podinfo:6.3.6", "farewell")
	p := e.Puller("podinfo")

	e.Delete("FluxDeployer", "podinfo")
	for _, gone := range [][2]string{
		{"FluxDeployer", "podinfo"},
		{"Kustomization", "podinfo"},
		{"OCIRepository", "podinfo"},
		{"Secret", "podinfo-registry-pull"},
		{"Secret", "podinfo-registry-ca"},
		{"Deployment", "podinfo"},
		{"ConfigMap", "podinfo"},
		{"Service", "podinfo"}, // Flux prunes what it has applied
	} {
		e.Gone(gone[0], gone[1])
	}
	p.Pull("manifests", digest.Digest(p.Manifest)) // nobody else has lost anything
	e.Delete("Configuration", "configuration")
	e.Delete("Localization", "manifests")
	e.Delete("Resource", "manifests")
	e.Delete("ComponentVersion", "podinfo")
	e.Eventually("snapshots and descriptors are gone", func() error {
		if left := strings.Fields(e.Kubectl("get", "snapshots,componentdescriptors,componentversions,resources.delivery.ocm.software,localizations,configurations", "-oname")); len(left) > 0 {
			return fmt.Errorf("left are %v", left)
		}
		return nil
	})
}

// TestDeletionOfTheNamespace deletes everything at once, in whatever order the cluster does that.
func TestDeletionOfTheNamespace(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: farewell}")
	arrives(e, imageRegistry+"/podinfo:6.3.6", "farewell")
	e.Kubectl("delete", "namespace", e.Namespace, "--wait=false")
	e.Eventually("the namespace is gone", func() error {
		out := e.Kubectl("get", "namespace", e.Namespace, "--ignore-not-found", "-ojsonpath={.status}")
		if out != "" {
			return fmt.Errorf("it is still there: %s", out)
		}
		return nil
	})
	snapshots := &v1alpha1.SnapshotList{}
	if err := e.Client.List(t.Context(), snapshots, client.InNamespace(e.Namespace)); err != nil || len(snapshots.Items) > 0 {
		t.Errorf("%d snapshots are left: %v", len(snapshots.Items), err)
	}
}

// TestDeletionWithoutRegistry deletes objects whose repository is out of reach.
func TestDeletionWithoutRegistry(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(componentVersion+resource, "${REPOSITORY}", repository(registry))
	e.Wait("Resource", "manifests", e2etest.Ready)
	registry.Inject(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return true
	})
	e.Delete("ComponentVersion", "podinfo")
	e.Gone("ComponentVersion", "podinfo")
	// What was delivered stays, and so does the verdict about it. What is missing is said beside it.
	e.Wait("Resource", "manifests", e2etest.Ready, e2etest.Is("Reconciling", metav1.ConditionTrue, "ComponentVersionNotFound", "podinfo"))
	e.Delete("Resource", "manifests")
	e.Gone("Resource", "manifests")
	e.Eventually("snapshots are gone", func() error {
		if left := e.Kubectl("get", "snapshots", "-oname"); left != "" {
			return fmt.Errorf("left are %s", left)
		}
		return nil
	})
}
