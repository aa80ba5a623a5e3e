package crds_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/ocm-operator/ocm-operator/apis/crds"
)

func TestDefinitions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		plural, short string
		columns       []string
	}{
		"ComponentSubscription": {"componentsubscriptions", "coms", []string{"Ready", "Latest", "Replicated", "Age", "Status"}},
		"ComponentVersion":      {"componentversions", "cv", []string{"Ready", "Version", "Age", "Status"}},
		"ComponentDescriptor":   {"componentdescriptors", "cd", []string{"Version", "Age"}},
		"Resource":              {"resources", "res", []string{"Ready", "Source Version", "Age", "Status"}},
		"Snapshot":              {"snapshots", "snap", []string{"Ready", "Status", "Age"}},
		"Localization":          {"localizations", "lz", []string{"Ready", "Source Version", "Config Version", "Age", "Status"}},
		"Configuration":         {"configurations", "cfg", []string{"Ready", "Source Version", "Config Version", "Age", "Status"}},
		"FluxDeployer":          {"fluxdeployers", "fd", []string{"Ready", "Age", "Status"}},
		"GitSync":               {"gitsyncs", "gs", []string{"Ready", "Branch", "PR", "Age", "Status"}},
	}
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(tests) {
		t.Errorf("got %d definitions, want %d", len(all), len(tests))
	}
	for _, crd := range all {
		t.Run(crd.Spec.Names.Kind, func(t *testing.T) {
			t.Parallel()
			want, ok := tests[crd.Spec.Names.Kind]
			if !ok {
				t.Fatal("nobody has asked for this kind")
			}
			if crd.Spec.Group != "delivery.ocm.software" || crd.Spec.Scope != apiextensionsv1.NamespaceScoped {
				t.Errorf("got the group %s and the scope %s, want a namespaced kind of delivery.ocm.software", crd.Spec.Group, crd.Spec.Scope)
			}
			names := apiextensionsv1.CustomResourceDefinitionNames{
				Kind: crd.Spec.Names.Kind, ListKind: crd.Spec.Names.Kind + "List", Plural: want.plural, Singular: want.plural[:len(want.plural)-1],
				ShortNames: []string{want.short}, Categories: []string{"ocm"},
			}
			if diff := cmp.Diff(names, crd.Spec.Names); diff != "" {
				t.Error(diff)
			}
			if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Name != "v1alpha1" {
				t.Fatalf("want one version v1alpha1")
			}
			version := crd.Spec.Versions[0]
			if !version.Served || !version.Storage || version.Subresources == nil || version.Subresources.Status == nil {
				t.Error("the version must be served and stored, and have the subresource status")
			}
			if diff := cmp.Diff(want.columns, narrow(version.AdditionalPrinterColumns)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestColumnsReadWhatIsThere holds that the path of every column leads to a field of the schema.
func TestColumnsReadWhatIsThere(t *testing.T) {
	t.Parallel()
	wanted := map[string]string{
		"Ready":          `.status.conditions[?(@.type=="Ready")].status`,
		"Status":         `.status.conditions[?(@.type=="Ready")].message`,
		"Source Version": ".status.latestSourceVersion",
		"Config Version": ".status.latestConfigVersion",
		"Age":            ".metadata.creationTimestamp",
	}
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		for _, column := range crd.Spec.Versions[0].AdditionalPrinterColumns {
			if path, ok := wanted[column.Name]; ok {
				if column.JSONPath != path {
					t.Errorf("%s: the column %s reads %s, want %s", crd.Name, column.Name, column.JSONPath, path)
				}
				continue
			}
			if !leads(*root, column.JSONPath) {
				t.Errorf("%s: the column %s reads %s, which is not there", crd.Name, column.Name, column.JSONPath)
			}
		}
	}
}

// leads tells whether a path of names with dots between them ends at a field of the schema.
func leads(schema apiextensionsv1.JSONSchemaProps, path string) bool {
	for name := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		field, ok := schema.Properties[name]
		if !ok {
			return false
		}
		schema = field
	}
	return len(schema.Properties) == 0
}

// TestEveryObjectStartsUnobserved holds that tools which wait for an object do not take a new one for finished.
func TestEveryObjectStartsUnobserved(t *testing.T) {
	t.Parallel()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all {
		status := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["status"]
		got := status.Default != nil && string(status.Default.Raw) == `{"observedGeneration":-1}`
		if want := crd.Spec.Names.Kind != "ComponentDescriptor"; got != want {
			t.Errorf("%s: got a default of the status: %t, want %t", crd.Name, got, want)
		}
	}
}

func TestAllReturnsNewObjects(t *testing.T) {
	t.Parallel()
	first, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	first[0].Name = "changed"
	second, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(second, func(crd *apiextensionsv1.CustomResourceDefinition) bool { return crd.Name == "changed" }) {
		t.Error("a caller can change what others get")
	}
}

// narrow returns the names of the columns that are always shown.
func narrow(columns []apiextensionsv1.CustomResourceColumnDefinition) []string {
	var names []string
	for _, column := range columns {
		if column.Priority == 0 {
			names = append(names, column.Name)
		}
	}
	return names
}
