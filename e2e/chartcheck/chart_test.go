package chartcheck

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

const (
	repository = "../.."
	chart      = repository + "/charts/ocm-operator"
	release    = "ocm-operator"
	namespace  = "ocm-system"

	programTimeout = 2 * time.Minute
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{})
}

// openCache returns where programs are; those that are missing are built.
func openCache(tb testing.TB) *binaries.Cache {
	tb.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: tb.Output()})
	if err != nil {
		tb.Fatal(err)
	}
	return cache
}

// helm runs helm and returns what it has printed.
func helm(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	path, err := openCache(tb).Helm(tb.Context())
	if err != nil {
		tb.Fatalf("find helm: %v", err)
	}
	return program(tb, path, args...)
}

// program runs a program in a home of its own and returns its standard output. Its error has what it has complained about.
func program(tb testing.TB, path string, args ...string) (string, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "HOME="+tb.TempDir(), "NO_COLOR=1")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, complaints.String())
	}
	return out.String(), nil
}

// render returns what helm makes of the chart.
func render(tb testing.TB, args ...string) (string, error) {
	tb.Helper()
	return helm(tb, append([]string{"template", release, chart, "--namespace", namespace}, args...)...)
}

// mustRender is render for values that have to work.
func mustRender(tb testing.TB, args ...string) []*unstructured.Unstructured {
	tb.Helper()
	out, err := render(tb, args...)
	if err != nil {
		tb.Fatal(err)
	}
	return decode(tb, out)
}

// decode returns the objects of a text of several documents.
func decode(tb testing.TB, text string) []*unstructured.Unstructured {
	tb.Helper()
	var found []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			tb.Fatalf("read what was rendered: %v", err)
		}
		obj := &unstructured.Unstructured{}
		// Strict: a key that is there twice is a mistake that the first parser to meet it hides.
		if err := yaml.UnmarshalStrict(document, &obj.Object); err != nil {
			tb.Fatalf("read what was rendered: %v\n%s", err, document)
		}
		if len(obj.Object) > 0 {
			found = append(found, obj)
		}
	}
}

// scenarios returns the files of values that the chart is tried with, by their name.
func scenarios(tb testing.TB) map[string]string {
	tb.Helper()
	const suffix = "-values.yaml"
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*"))
	if err != nil {
		tb.Fatal(err)
	}
	found := map[string]string{}
	for _, file := range files {
		name, ok := strings.CutSuffix(filepath.Base(file), suffix)
		if !ok {
			tb.Errorf("%s: nobody tries it; let its name end in %s", file, suffix)
		}
		found[name] = file
	}
	if len(found) == 0 {
		tb.Fatalf("%s/ci has no scenarios", chart)
	}
	return found
}

// describe names an object in messages.
func describe(obj *unstructured.Unstructured) string {
	return strings.Trim(obj.GetKind()+" "+obj.GetNamespace()+"/"+obj.GetName(), "/")
}
