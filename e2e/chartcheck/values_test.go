package chartcheck

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// valueSchema is what the tests need to know of a schema.
type valueSchema struct {
	Type        any                     `json:"type"`
	Description string                  `json:"description"`
	Properties  map[string]*valueSchema `json:"properties"`
	Items       *valueSchema            `json:"items"`
	// Additional is absent, false, true, or a schema.
	Additional json.RawMessage `json:"additionalProperties"`
	Enum       []any           `json:"enum"`
	Pattern    string          `json:"pattern"`
	Minimum    *float64        `json:"minimum"`
	Maximum    *float64        `json:"maximum"`
	// Default is absent for a mapping with known keys.
	Default json.RawMessage `json:"default"`
}

// free tells whether any key may be in a mapping.
func (s *valueSchema) free() bool { return string(s.Additional) != "false" }

// takesNull tells whether null is a value.
func (s *valueSchema) takesNull() bool {
	types, ok := s.Type.([]any)
	return ok && slices.Contains(types, any("null")) || s.Type == nil && slices.Contains(s.Enum, nil)
}

// empty tells whether the default is nothing.
func (s *valueSchema) empty() bool {
	return slices.Contains([]string{"null", `""`, "[]", "{}"}, string(s.Default))
}

func readSchema(tb testing.TB) *valueSchema {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		tb.Fatal(err)
	}
	root := &valueSchema{}
	if err := json.Unmarshal(content, root); err != nil {
		tb.Fatal(err)
	}
	return root
}

func readDefaults(tb testing.TB) map[string]any {
	tb.Helper()
	content, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	defaults := map[string]any{}
	if err := yaml.UnmarshalStrict(content, &defaults); err != nil {
		tb.Fatal(err)
	}
	return defaults
}

func TestEveryValueHasASchema(t *testing.T) {
	t.Parallel()
	var compare func(path string, values map[string]any, s *valueSchema)
	compare = func(path string, values map[string]any, s *valueSchema) {
		for name, value := range values {
			property, ok := s.Properties[name]
			if !ok {
				t.Errorf("%s%s has no entry in values.schema.json", path, name)
				continue
			}
			if property.Description == "" {
				t.Errorf("%s%s has no description in values.schema.json", path, name)
			}
			if property.Type == nil && property.Enum == nil {
				t.Errorf("%s%s may be of any type", path, name)
			}
			if inner, ok := value.(map[string]any); ok && !property.free() {
				compare(path+name+".", inner, property)
			}
		}
		for name := range s.Properties {
			if _, ok := values[name]; !ok && path+name != "global" {
				t.Errorf("%s%s is in values.schema.json and has no default in values.yaml", path, name)
			}
		}
	}
	compare("", readDefaults(t), readSchema(t))
}

// TestTypos puts a key that nobody knows into every mapping of the values, and into the elements of lists whose keys are known.
func TestTypos(t *testing.T) {
	t.Parallel()
	var places []string
	var walk func(path string, s *valueSchema)
	walk = func(path string, s *valueSchema) {
		switch {
		case s.Items != nil && s.Items.Properties != nil:
			places = append(places, path+"[0].")
		case s.Properties != nil && !s.free():
			if path != "" {
				path += "."
			}
			places = append(places, path)
			for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
				walk(path+name, s.Properties[name])
			}
		}
	}
	walk("", readSchema(t))
	if len(places) < 30 {
		t.Errorf("found only %d mappings with known keys", len(places))
	}
	for _, place := range places {
		name := strings.Trim(place, ".")
		if name == "" {
			name = "root"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := render(t, "--set", place+"tpyo=1")
			if err == nil {
				t.Fatalf("%stpyo was accepted", place)
			}
			location := "/" + strings.NewReplacer("[0]", "/0", ".", "/").Replace(strings.TrimSuffix(place, "."))
			if place == "" {
				location = ""
			}
			if want := "at '" + location + "': additional properties 'tpyo' not allowed"; !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it, so that the key is found", err, want)
			}
		})
	}
}

// TestWrongTypes tries the mistakes that --set makes easy.
func TestWrongTypes(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"replicaCount=many":             "at '/replicaCount'",
		"replicaCount=-1":               "at '/replicaCount'",
		"crds.enabled=yes":              "at '/crds/enabled'",
		"image=ghcr.io/x/y":             "at '/image'",
		"image.pullPolicy=always":       "at '/image/pullPolicy'",
		"image.digest=sha256:1":         "at '/image/digest'",
		"features.Localisation=true":    "at '/features'",
		"registry.tls.mode=selfsigned":  "at '/registry/tls/mode'",
		"persistence.size=big":          "at '/persistence/size'",
		"podAnnotations.a=1":            "at '/podAnnotations/a'",
		"extraArgs=--log-level=debug":   "at '/extraArgs'",
		"imagePullSecrets[0]=registry":  "at '/imagePullSecrets/0'",
		"registry.service.port=1000000": "at '/registry/service/port'",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			_, err := render(t, "--set", set)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		})
	}
}
