package trust_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

const group = "delivery.ocm.software/v1alpha1"

// object is the manifest of an object of ours, with an interval that no test waits for. Each line of its spec is given.
func object(kind, name string, spec ...string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\nspec:\n  interval: 10m0s\n  %s\n---\n", group, kind, name, strings.Join(spec, "\n  "))
}

// secret is the manifest of a Secret, given by keys and values.
func secret(name string, keysAndValues ...string) string {
	var data strings.Builder
	for i := 0; i < len(keysAndValues); i += 2 {
		fmt.Fprintf(&data, "  %s: %s\n", keysAndValues[i], base64.StdEncoding.EncodeToString([]byte(keysAndValues[i+1])))
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata:\n  name: %s\ndata:\n%s---\n", name, data.String())
}

// list returns the objects of a kind in the namespace of the test.
func list(t *testing.T, e *e2etest.Env, kind string) []unstructured.Unstructured {
	t.Helper()
	found := &unstructured.UnstructuredList{}
	gvk := e2etest.GVK(kind)
	gvk.Kind += "List"
	found.SetGroupVersionKind(gvk)
	if err := e.Client.List(t.Context(), found, client.InNamespace(e.Namespace)); err != nil {
		t.Fatal(err)
	}
	return found.Items
}

// componentVersion returns a ComponentVersion of the namespace of the test.
func componentVersion(t *testing.T, e *e2etest.Env, name string) *v1alpha1.ComponentVersion {
	t.Helper()
	cv := &v1alpha1.ComponentVersion{}
	if err := e.Client.Get(t.Context(), client.ObjectKey{Namespace: e.Namespace, Name: name}, cv); err != nil {
		t.Fatal(err)
	}
	return cv
}
