package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// constants reads the text constants of a file and what their comments say.
func constants(t *testing.T, path string) (values, comments map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	values, comments = map[string]string{}, map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if literal, ok := spec.Values[0].(*ast.BasicLit); ok {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			values[spec.Names[0].Name] = text
			comments[spec.Names[0].Name] = spec.Doc.Text()
		}
		return true
	})
	return values, comments
}

func TestReasons(t *testing.T) {
	t.Parallel()
	values, comments := constants(t, "reasons.go")
	camelCase := regexp.MustCompile(`^[A-Z][A-Za-z]+$`)
	seen := map[string]string{}
	for name, value := range values {
		if !camelCase.MatchString(value) || !strings.HasSuffix(name, "Reason") {
			t.Errorf("%s: %q must be in CamelCase, and its Go name end with Reason", name, value)
		}
		if !strings.HasPrefix(comments[name], name+" says that ") {
			t.Errorf("%s: its comment must begin with its name and tell what it says", name)
		}
		if other, ok := seen[value]; ok {
			t.Errorf("%s and %s are both %q", name, other, value)
		}
		seen[value] = name
	}
}

// TestReasonsStayAsTheyWere lists the strings that alerts of existing installations match.
func TestReasonsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	values, _ := constants(t, "reasons.go")
	known := map[string]bool{}
	for _, value := range values {
		known[value] = true
	}
	for _, reason := range []string{
		"AuthenticatedContextCreationFailed", "CheckVersionFailed", "ComponentVerificationFailed", "ComponentVersionInvalid",
		"CreateOrUpdateComponentDescriptorFailed", "ParseReferencesFailed", "ReconcileMutationObjectFailed", "SourceReasonNotATarArchive",
		"GetResourceFailed", "GetComponentDescriptorFailed", "ComponentDescriptorNotFound", "ComponentVersionNotFound", "ComponentVersionNotReady",
		"CreateOrUpdateSnapshotFailed", "CreateOrUpdateKustomizationFailed", "CreateOrUpdateHelmFailed", "CreateRepositoryNameFailed", "ConfigRefNotReadyWithError",
		"ConfigRefNotReady", "SourceRefNotReadyWithError", "SourceRefNotReady", "CreatedObjectsNotReady", "PatchStrategicMergeSourceRefNotReadyWithError",
		"PatchStrategicMergeSourceRefNotReady", "TransferFailed",
	} {
		if !known[reason] {
			t.Errorf("the reason %s is gone", reason)
		}
	}
}
