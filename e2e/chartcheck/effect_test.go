package chartcheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestEveryValueHasAnEffect holds that templates read every value; one that nothing reads is a promise that is not kept. Where no
// template has the whole name of a value, it is changed, and something else has to be rendered then.
func TestEveryValueHasAnEffect(t *testing.T) {
	t.Parallel()
	leaves := map[string]*valueSchema{}
	collect("", readSchema(t), leaves)
	if len(leaves) < 150 {
		t.Errorf("found only %d values", len(leaves))
	}
	read := readTemplates(t)
	var before sync.Map
	for path, s := range leaves {
		// Definitions take long to render; TestDefinitions and the tests in the chart are about them.
		if read[path] || path == "global" || strings.HasPrefix(path, "crds.") {
			continue
		}
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var failures []string
			for _, scenario := range tryOrder(t) {
				arguments := []string{"--values", scenario, "--set", "crds.enabled=false"}
				if other := besides[path]; other != "" {
					arguments = append(arguments, "--set", other)
				}
				key := strings.Join(arguments, " ")
				unchanged, ok := before.Load(key)
				if !ok {
					out, err := render(t, arguments...)
					if err != nil {
						t.Fatal(err)
					}
					unchanged = out
					before.Store(key, out)
				}
				values := candidates(s)
				if example := examples[path]; example != "" {
					values = []string{example}
				}
				for _, set := range values {
					out, err := render(t, append(arguments, "--set-json", path+"="+set)...)
					switch {
					case err != nil:
						failures = append(failures, set+": "+firstLine(err))
					case out != unchanged:
						return
					}
				}
			}
			t.Errorf("%s changes nothing that is rendered, in no scenario\n%s", path, strings.Join(failures, "\n"))
		})
	}
}

// besides are values that have to go for another one to be accepted.
var besides = map[string]string{
	"externalRegistry.plainHTTP":       "externalRegistry.certSecretName=",
	"persistence.emptyDir.medium":      "persistence.emptyDir.sizeLimit=8Mi",
	"podDisruptionBudget.minAvailable": "replicaCount=3",
	"temp.emptyDir.medium":             "temp.emptyDir.sizeLimit=8Mi,archives.tempSize=1Mi,archives.maxSize=1Mi",
}

// examples are values, as JSON, where others than usual ones are asked for.
var examples = map[string]string{
	"controllers.minRetryDelay":                 `"7s"`,
	"monitoring.prometheusRule.disabled":        `["OCMOperatorDown"]`,
	"registry.service.loadBalancerSourceRanges": `["10.7.0.0/16"]`,
}

// readTemplates returns the values whose whole names are in templates that render something.
func readTemplates(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if name := filepath.Base(file); name == "_validate.tpl" || name == "NOTES.txt" || name == "crds" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range wholeName.FindAllStringSubmatch(string(content), -1) {
			found[name[1]] = true
		}
	}
	return found
}

var wholeName = regexp.MustCompile(`\.Values\.([A-Za-z0-9.]+)`)

// tryOrder returns scenarios, those first in which most values count.
func tryOrder(t *testing.T) []string {
	t.Helper()
	files := scenarios(t)
	var order []string
	for _, name := range []string{"everything", "external-registry", "network-policy", "pod-monitor"} {
		if files[name] == "" {
			t.Fatalf("there is no scenario %s", name)
		}
		order = append(order, files[name])
		delete(files, name)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		order = append(order, files[name])
	}
	return order
}

// collect finds the values that are set as a whole.
func collect(path string, s *valueSchema, leaves map[string]*valueSchema) {
	if s.Properties == nil || s.free() {
		leaves[path] = s
		return
	}
	for name, property := range s.Properties {
		collect(strings.TrimPrefix(path+"."+name, "."), property, leaves)
	}
}

// texts are values for whatever a pattern may ask for.
var texts = []string{
	"tried", "--tried=77", "77Gi", "sha256:" + strings.Repeat("7", 64), "oci://registry.example.com/tried", "http://tried.example.com/", "tried:77", "77m", "77%", "team-77",
}

// candidates returns values, as JSON, that a schema takes and that no scenario has.
func candidates(s *valueSchema) []string {
	if len(s.Enum) > 0 {
		return marshal(s.Enum)
	}
	types, ok := s.Type.([]any)
	if !ok {
		types = []any{s.Type}
	}
	var found []string
	for _, kind := range types {
		switch kind {
		case "boolean":
			found = append(found, "true", "false")
		case "integer", "number":
			for _, number := range []float64{1, 7, 77, 7 << 30} {
				if (s.Maximum == nil || number <= *s.Maximum) && (s.Minimum == nil || number >= *s.Minimum) {
					found = append(found, fmt.Sprintf("%.0f", number))
				}
			}
		case "string":
			pattern := regexp.MustCompile(s.Pattern)
			for _, text := range texts {
				if pattern.MatchString(text) {
					found = append(found, marshal([]any{text})...)
					break
				}
			}
		case "array":
			for _, item := range candidates(s.Items) {
				found = append(found, "["+item+"]")
			}
		case "object":
			found = append(found, object(s)...)
		}
	}
	return found
}

func object(s *valueSchema) []string {
	if s.Properties != nil {
		return []string{`{"name": "tried"}`}
	}
	inner := &valueSchema{}
	if err := json.Unmarshal(s.Additional, inner); err != nil || inner.Type == nil {
		return []string{`{"tried": "tried"}`}
	}
	var found []string
	for _, value := range candidates(inner) {
		// A name that is none of a kind is refused where there has to be one.
		found = append(found, `{"tried": `+value+`}`, `{"Snapshot": `+value+`}`)
	}
	return found
}

func marshal(values []any) []string {
	found := make([]string, 0, len(values))
	for _, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err) // it was read from JSON
		}
		found = append(found, string(text))
	}
	return found
}

func firstLine(err error) string {
	lines := strings.Split(err.Error(), "\n")
	return lines[min(1, len(lines)-1)]
}
