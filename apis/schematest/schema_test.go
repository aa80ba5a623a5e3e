package schematest

import (
	"bytes"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	apiservervalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/apis/crds"
)

// definitions of all kinds, by kind, as the API server would use them.
type definitions map[string]*definition

type definition struct {
	crd        *apiextensionsv1.CustomResourceDefinition
	structural *schema.Structural
	openAPI    apiservervalidation.SchemaValidator
	rules      *cel.Validator
}

func load(t testing.TB) definitions {
	t.Helper()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	loaded := definitions{}
	for _, crd := range all {
		internal := toInternal(t, crd)
		props := schemaOf(internal)
		structural, err := schema.NewStructural(props)
		if err != nil {
			t.Fatalf("%s: %v", crd.Name, err)
		}
		openAPI, _, err := apiservervalidation.NewSchemaValidator(props)
		if err != nil {
			t.Fatalf("%s: %v", crd.Name, err)
		}
		loaded[crd.Spec.Names.Kind] = &definition{
			crd: crd, structural: structural, openAPI: openAPI,
			rules: cel.NewValidator(structural, true, celconfig.PerCallLimit),
		}
	}
	return loaded
}

func toInternal(t testing.TB, crd *apiextensionsv1.CustomResourceDefinition) *apiextensions.CustomResourceDefinition {
	t.Helper()
	crd = crd.DeepCopy()
	apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
		t.Fatalf("%s: %v", crd.Name, err)
	}
	internal.Status.StoredVersions = []string{"v1alpha1"}
	return internal
}

func schemaOf(crd *apiextensions.CustomResourceDefinition) *apiextensions.JSONSchemaProps {
	if crd.Spec.Validation != nil {
		return crd.Spec.Validation.OpenAPIV3Schema
	}
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// admit does to the object what the API server does on creation: prune, default, and check it. It returns the names of pruned fields and what is wrong with the object.
func (d definitions) admit(t testing.TB, object map[string]any) (pruned []string, problems field.ErrorList) {
	t.Helper()
	kind, _ := object["kind"].(string)
	definition, ok := d[kind]
	if !ok {
		t.Fatalf("there is no definition of kind %q", kind)
	}
	pruned = pruning.PruneWithOptions(object, definition.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	defaulting.PruneNonNullableNullsWithoutDefaults(object, definition.structural)
	defaulting.Default(object, definition.structural)
	problems = append(problems, apiservervalidation.ValidateCustomResource(nil, object, definition.openAPI)...)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, definition.structural, object)...)
	violations, _ := definition.rules.Validate(t.Context(), nil, definition.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return pruned, append(problems, violations...)
}

// manifests reads the objects of a file, or of a text that was written in a test; documents are separated by lines of three dashes.
func manifests(t testing.TB, data []byte) []map[string]any {
	t.Helper()
	var objects []map[string]any
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var object map[string]any
		if err := yaml.UnmarshalStrict(document, &object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}
