package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
)

const chart = "charts/ocm-operator"

// read takes a file of the chart.
func read(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chart, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(content, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestChartKnowsFeatures holds the chart to the features of the operator, to their defaults, and to what each of them requires.
func TestChartKnowsFeatures(t *testing.T) {
	t.Parallel()
	requires, defaults := map[string][]string{}, map[string]bool{}
	for _, p := range features(&shared{options: &options.Options{}, services: &manager.Services{}, registry: &registryserver.Registry{}}) {
		requires[p.Name] = append([]string{}, p.Requires...)
		defaults[p.Name] = p.Stage != "Alpha"
	}
	var inFiles map[string][]string
	read(t, "files/features.yaml", &inFiles)
	if diff := cmp.Diff(requires, inFiles); diff != "" {
		t.Errorf("files/features.yaml is not what the operator requires (-operator +chart):\n%s", diff)
	}
	var values struct {
		Features map[string]bool `json:"features"`
	}
	content, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &values); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults, values.Features); diff != "" {
		t.Errorf("the features of values.yaml are not those of the operator (-operator +chart):\n%s", diff)
	}
}

// TestChartShowsExamples holds the examples that catalogues show of the chart to those of the quickstart, which are tried.
func TestChartShowsExamples(t *testing.T) {
	t.Parallel()
	var about struct {
		Annotations map[string]string `json:"annotations"`
	}
	content, err := os.ReadFile(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &about); err != nil {
		t.Fatal(err)
	}
	var shown, want []map[string]any
	if err := yaml.Unmarshal([]byte(about.Annotations["artifacthub.io/crdsExamples"]), &shown); err != nil {
		t.Fatal(err)
	}
	quickstart, err := os.ReadFile(filepath.Join("docs", "guides", "quickstart", "deliver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(quickstart), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		want = append(want, object)
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("the annotation artifacthub.io/crdsExamples is not docs/guides/quickstart/deliver.yaml (-quickstart +chart):\n%s", diff)
	}
}

// byHand are flags that no value of the chart sets, and why. They are for extraArgs.
var byHand = map[string]string{
	"runtime-namespace":                 "the pod says it, by RUNTIME_NAMESPACE",
	"registry-advertise-address":        "the pod says it, by POD_IP",
	"archives-temp-dir":                 "temporary files are in /tmp",
	"git-temp-dir":                      "temporary files are in /tmp",
	"registry-grace":                    "seldom of use",
	"registry-scrub-rate":               "seldom of use",
	"registry-collect-interval":         "seldom of use",
	"leader-election-release-on-cancel": "nobody wants to wait for a lease that somebody could have given back",
	"version":                           "prints the version and ends",
}

// TestChartKnowsFlags: there is a value for each flag, or it is said why there is none.
func TestChartKnowsFlags(t *testing.T) {
	t.Parallel()
	templates, err := os.ReadFile(filepath.Join(chart, "templates", "_args.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, found := range regexp.MustCompile(`list "([a-z0-9-]+)"|"--([a-z0-9-]+)=`).FindAllStringSubmatch(string(templates), -1) {
		set[found[1]+found[2]] = true
	}
	known := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^ +--([a-z0-9-]+)`).FindAllStringSubmatch(help(t), -1) {
		known[found[1]] = true
		if _, exempt := byHand[found[1]]; exempt == set[found[1]] {
			t.Errorf("--%s: want a value of the chart, or else a reason why there is none; by value %t, exempt %t", found[1], set[found[1]], exempt)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !known[name] {
			t.Errorf("the chart sets --%s, which the operator does not know", name)
		}
	}
	for name := range byHand {
		if !known[name] {
			t.Errorf("--%s is exempt, and no flag", name)
		}
	}
	if len(known) < 80 || len(set) < 60 {
		t.Errorf("only %d flags were found", len(known))
	}
}
