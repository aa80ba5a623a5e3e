package trust_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/crds"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestUnverifiedIsShown has objects that were written before the API said that they are not verified. From then on it is shown and
// can be searched for, and nothing writes them because of it.
func TestUnverifiedIsShown(t *testing.T) {
	e := e2etest.Own(t, cluster.Options{ControllerManager: true, Flux: true})
	withoutDefaults(t, e)
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first", "operations"))
	e.Apply(keys(t, "operations") + follow(registry, `{semver: ">=6.3.x"}`) + deployment)
	says(e, "first")
	e.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	if shown, found, _ := unstructured.NestedBool(e.Get("ComponentVersion", "podinfo").Object, "status", "verified"); found {
		t.Fatalf("status.verified is %t, want that the object is one of before", shown)
	}

	if err := operator.Install(t.Context(), e.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	verified := func(want bool) e2etest.Check {
		return func(obj *unstructured.Unstructured) error {
			if got, found, _ := unstructured.NestedBool(obj.Object, "status", "verified"); !found || got != want {
				return fmt.Errorf("verified is %t, there %t, want %t", got, found, want)
			}
			return nil
		}
	}
	e.Wait("ComponentVersion", "podinfo", verified(false))
	before := versions(t, e)
	for i := range 3 {
		for _, kind := range []string{"ComponentVersion", "Resource", "FluxDeployer"} {
			at := strconv.Itoa(i)
			e.Kubectl("annotate", "--overwrite", kind, "podinfo", again+at)
			e.Wait(kind, "podinfo", e2etest.Ready, e2etest.Field(at, "status", "lastHandledReconcileAt"))
		}
	}
	if after := versions(t, e); before != after {
		t.Errorf("the Snapshot was written: %s, and was %s", after, before)
	}
	const search = `jsonpath={.items[?(@.status.verified==false)].metadata.name}`
	if got := e.Kubectl("get", "componentversions", "-o", search); got != "podinfo" {
		t.Errorf("a search for what is not verified finds %q", got)
	}

	for _, step := range []struct {
		spec []string
		want bool
	}{{[]string{bySecret}, true}, {nil, false}} {
		e.Apply(follow(registry, `{semver: ">=6.3.x"}`, step.spec...))
		e.Wait("ComponentVersion", "podinfo", e2etest.Ready, verified(step.want))
		e.Eventually("origin of the Snapshot", func() error {
			origins, _, _ := unstructured.NestedSlice(list(t, e, "Snapshot")[0].Object, "spec", "origins")
			if origin, ok := origins[0].(map[string]any); !ok || origin["verified"] != step.want {
				return fmt.Errorf("origins are %v, want verified to be %t", origins, step.want)
			}
			return nil
		})
	}
}

// versions tells which state the Snapshots have.
func versions(t *testing.T, e *e2etest.Env) string {
	t.Helper()
	var all []string
	for _, snapshot := range list(t, e, "Snapshot") {
		all = append(all, snapshot.GetName()+"@"+snapshot.GetResourceVersion())
	}
	return strings.Join(all, " ")
}

// withoutDefaults takes the defaults of verified out of the definitions in the cluster.
func withoutDefaults(t *testing.T, e *e2etest.Env) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kubernetes, err := client.New(e.Cluster.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range all {
		live := &apiextensionsv1.CustomResourceDefinition{}
		if err := kubernetes.Get(t.Context(), client.ObjectKeyFromObject(definition), live); err != nil {
			t.Fatal(err)
		}
		for i := range live.Spec.Versions {
			strip(live.Spec.Versions[i].Schema.OpenAPIV3Schema)
		}
		if err := kubernetes.Update(t.Context(), live); err != nil {
			t.Fatal(err)
		}
	}
}

// strip removes the default of verified, wherever it is.
func strip(schema *apiextensionsv1.JSONSchemaProps) {
	for name, property := range schema.Properties {
		if name == "verified" {
			property.Default = nil
		}
		strip(&property)
		schema.Properties[name] = property
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		strip(schema.Items.Schema)
	}
}
