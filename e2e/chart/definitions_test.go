package chart_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// neverReleased is the version of the chart of before while there is no release, as hack/previous-chart.sh calls it.
const neverReleased = "0.0.1"

// definitions are the specs of the custom resource definitions of the operator, by kind.
type definitions map[string]apiextensionsv1.CustomResourceDefinitionSpec

// definitions reads what the cluster has.
func (w *world) definitions() definitions {
	w.t.Helper()
	list := &apiextensionsv1.CustomResourceDefinitionList{}
	if err := json.Unmarshal([]byte(w.env.Kubectl("get", "customresourcedefinitions", "--output=json")), list); err != nil {
		w.t.Fatalf("read the custom resource definitions: %v", err)
	}
	found := definitions{}
	for i := range list.Items {
		if spec := list.Items[i].Spec; spec.Group == v1alpha1.GroupVersion.Group {
			found[spec.Names.Kind] = spec
		}
	}
	return found
}

// changed lists the kinds that are here and in want, and are not the same.
func (d definitions) changed(want definitions) []string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		if got, ok := d[kind]; ok && !cmp.Equal(got, want[kind]) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// missing lists the kinds that are not here, and are in want.
func (d definitions) missing(want definitions) []string {
	var kinds []string
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		if _, ok := d[kind]; !ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// field is one that the operator fills in objects of the pipeline.
type field struct{ kind, parent, name string }

// added are fields that the definitions of before lack while there is no release.
var added = []field{
	{"ComponentVersion", "status", "specDigest"},
	{"FluxDeployer", "status", "lastAttemptedRevision"},
	{"Snapshot", "status", "history"},
}

// schema returns what definitions say of a field, and whether they know it.
func (d definitions) schema(f field) (schema apiextensionsv1.JSONSchemaProps, ok bool) {
	for _, version := range d[f.kind].Versions {
		if version.Name == v1alpha1.GroupVersion.Version && version.Schema != nil && version.Schema.OpenAPIV3Schema != nil {
			schema, ok = version.Schema.OpenAPIV3Schema.Properties[f.parent].Properties[f.name]
		}
	}
	return schema, ok
}

// use wants the objects to have the fields that definitions know and no others, and new objects to get their defaults.
func (d *delivery) use(known definitions) {
	d.w.t.Helper()
	for _, f := range added {
		_, want := known.schema(f)
		d.Within(longest, fmt.Sprintf("%s of %s is there: %v", f.name, f.kind, want), func() error { return d.filled(f, want) })
	}
	want := known.defaultsOrigins()
	d.Within(longest, fmt.Sprintf("origins say whether they are verified: %v", want), func() error { return d.defaults(want) })
}

// filled wants an object of a kind to have a field, or none of them. The API server takes up a changed definition shortly after it was
// written, and drops until then what is not in the one of before: so the operator is asked again.
func (d *delivery) filled(f field, want bool) error {
	list, err := d.List(d.Context(), d.Namespace, f.kind)
	if err != nil {
		return err
	}
	var having []string
	for i := range list.Items {
		_, is, err := unstructured.NestedFieldNoCopy(list.Items[i].Object, f.parent, f.name)
		if err != nil {
			return err
		}
		if is {
			having = append(having, list.Items[i].GetName())
		}
	}
	if (len(having) > 0) != want || len(list.Items) == 0 {
		d.asked()
		return fmt.Errorf("of %d objects of kind %s have %s.%s: %v", len(list.Items), f.kind, f.parent, f.name, having)
	}
	return nil
}

// defaultsOrigins tells whether definitions say what an origin of a Snapshot is that does not say whether it is verified.
func (d definitions) defaultsOrigins() bool {
	origins, _ := d.schema(field{"Snapshot", "spec", "origins"})
	return origins.Items != nil && origins.Items.Schema != nil && origins.Items.Schema.Properties["verified"].Default != nil
}

// defaults asks the API server what would become of a Snapshot whose origin does not say whether it is verified.
func (d *delivery) defaults(want bool) error {
	found, err := d.List(d.Context(), d.Namespace, "Snapshot")
	if err != nil {
		return err
	}
	obj := found.Items[0].DeepCopy()
	origin := map[string]any{"name": "web", "namespace": d.Namespace, "version": "1.0.0"}
	if err := unstructured.SetNestedSlice(obj.Object, []any{origin}, "spec", "origins"); err != nil {
		return err
	}
	if err := d.Client.Update(d.Context(), obj, client.DryRunAll); err != nil {
		return err
	}
	origins, _, err := unstructured.NestedSlice(obj.Object, "spec", "origins")
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if _, says := origin.(map[string]any)["verified"]; says == want {
			return nil
		}
	}
	return fmt.Errorf("the Snapshot has the origins %v", origins)
}
