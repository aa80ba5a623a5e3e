package schematest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"

	"github.com/ocm-operator/ocm-operator/apis/crds"
)

// TestDefinitionsAreAccepted lets the API server's own validation look at the definitions: structure, defaults, and rules with what they may cost.
func TestDefinitionsAreAccepted(t *testing.T) {
	t.Parallel()
	all, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 9 {
		t.Errorf("got %d definitions, want one for each of the 9 kinds", len(all))
	}
	for _, crd := range all {
		for _, problem := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), toInternal(t, crd)) {
			t.Errorf("%s: %v", crd.Name, problem)
		}
	}
}

// TestManifestsAreAccepted holds that the manifests of the documentation, and those that existing installations use, apply as they are.
func TestManifestsAreAccepted(t *testing.T) {
	t.Parallel()
	known := load(t)
	files, err := filepath.Glob("../delivery/v1alpha1/testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests were found: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, object := range manifests(t, data) {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i), func(t *testing.T) {
				t.Parallel()
				pruned, problems := known.admit(t, object)
				if len(pruned) > 0 {
					t.Errorf("these fields are not known: %v", pruned)
				}
				for _, problem := range problems {
					t.Error(problem)
				}
			})
		}
	}
}
