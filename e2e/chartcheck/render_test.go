package chartcheck

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ocm-operator/ocm-operator/apis/crds"
)

func TestLint(t *testing.T) {
	t.Parallel()
	out, err := helm(t, "lint", "--strict", chart)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := helm(t, "lint", "--strict", "--values", file, chart); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// TestUnit runs the tests that lie in the chart. They render with Helm 3, and all others of this package with Helm 4.
func TestUnit(t *testing.T) {
	t.Parallel()
	tools, err := openCache(t).ChartTools(t.Context())
	if err != nil {
		t.Fatalf("find helm-unittest: %v", err)
	}
	// In a copy, because the program makes folders where it finds tests.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	out, err := program(t, tools.Unittest, "--strict", dir)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	suites, err := filepath.Glob(filepath.Join(chart, "tests", "*_test.yaml"))
	if err != nil || len(suites) == 0 {
		t.Errorf("the chart has no tests (%v)", err)
	}
}

// TestEveryTemplateIsTested holds that a template comes with a test that names it.
func TestEveryTemplateIsTested(t *testing.T) {
	t.Parallel()
	suites, err := filepath.Glob(filepath.Join(chart, "tests", "*_test.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, suite := range suites {
		content, err := os.ReadFile(suite)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	for _, pattern := range []string{"*.yaml", "*/*.yaml", "NOTES.txt"} {
		templates, err := filepath.Glob(filepath.Join(chart, "templates", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range templates {
			name, err := filepath.Rel(filepath.Join(chart, "templates"), file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(all.String(), name) {
				t.Errorf("templates/%s is in no file of charts/ocm-operator/tests", name)
			}
		}
	}
}

// TestDefinitions holds that the chart installs the kinds as they are generated from their types.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	wanted, err := crds.All()
	if err != nil {
		t.Fatal(err)
	}
	rendered := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, obj := range mustRender(t) {
		if obj.GetKind() != "CustomResourceDefinition" {
			continue
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, crd); err != nil {
			t.Fatalf("%s: %v", describe(obj), err)
		}
		rendered[crd.Name] = crd
	}
	if len(rendered) != len(wanted) {
		t.Errorf("the chart has %d definitions, want %d", len(rendered), len(wanted))
	}
	for _, crd := range wanted {
		got, ok := rendered[crd.Name]
		if !ok {
			t.Errorf("%s is missing in the chart", crd.Name)
			continue
		}
		if diff := cmp.Diff(crd.Spec, got.Spec); diff != "" {
			t.Errorf("%s is another one in the chart; run make generate:\n%s", crd.Name, diff)
		}
		if got.Annotations["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s is not kept when the chart is uninstalled, and all objects go with it", crd.Name)
		}
		for name, value := range crd.Annotations {
			if got.Annotations[name] != value {
				t.Errorf("%s has lost its annotation %s", crd.Name, name)
			}
		}
	}
}
