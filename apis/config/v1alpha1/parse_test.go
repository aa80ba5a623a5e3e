package v1alpha1_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason string
		want   *configv1.ConfigData
	}{
		"documented.yaml": {"the example of the documentation", &configv1.ConfigData{
			APIVersion: "config.ocm.software/v1alpha1", Kind: "ConfigData",
			Metadata: map[string]any{"name": "ocm-config", "labels": map[string]any{"env": "test"}},
			Localization: []configv1.LocalizationRule{{
				Resource: configv1.ResourceSelector{Name: "image"}, File: "deploy.yaml", Image: "spec.template.spec.containers[0].image",
			}},
			Configuration: &configv1.Configuration{
				Defaults: map[string]any{"color": "red", "message": "Hello, world!"},
				Schema:   json.RawMessage(`{"additionalProperties":false,"properties":{"color":{"type":"string"},"message":{"type":"string"}},"type":"object"}`),
				Rules: []configv1.ConfigurationRule{
					{Value: "(( message ))", File: "configmap.yaml", Path: "data.PODINFO_UI_MESSAGE"},
					{Value: "(( color ))", File: "configmap.yaml", Path: "data.PODINFO_UI_COLOR"},
				},
			},
		}},
		"everything.yaml": {"every field, with the traps of YAML", &configv1.ConfigData{
			Metadata: map[string]any{"anything": []any{"goes", int64(1)}},
			Configuration: &configv1.Configuration{
				Defaults: map[string]any{
					"base": map[string]any{"replicas": int64(1), "debug": false, "ratio": 0.5, "big": int64(9007199254740993)},
					"app":  map[string]any{"replicas": int64(2), "debug": false, "ratio": 0.5, "big": int64(9007199254740993)},
					"8080": "port", "date": "2001-01-01", "nothing": nil,
					"list": []any{int64(1), "two", map[string]any{"three": int64(3)}},
				},
				Schema: json.RawMessage(`{}`),
				Rules: []configv1.ConfigurationRule{
					{File: "a.yaml", Path: "a.b", Document: new(1)},
					{
						Value: map[string]any{"replicas": "(( app.replicas ))"}, File: "a.yaml", Path: "spec",
						Selector: &configv1.DocumentSelector{Kind: "Deployment", Name: "app"},
					},
				},
			},
			Localization: []configv1.LocalizationRule{
				{
					Resource: configv1.ResourceSelector{Name: "image", ExtraIdentity: map[string]string{"architecture": "amd64"}}, File: "values.yaml",
					Registry: "image.registry", Repository: "image.repository", FullyQualifiedRepository: "image.full", Image: "image.name", Tag: "image.tag",
					Document: new(0),
				},
				{
					File: "values.yaml", Mapping: &configv1.Mapping{Path: "containers", Transform: "out: \"[]\"\n"},
					Selector: &configv1.DocumentSelector{Kind: "Deployment"},
				},
			},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configv1.Parse(read(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s", tt.reason, diff)
			}
		})
	}
}

func TestParseOfJSON(t *testing.T) {
	t.Parallel()
	want, err := configv1.Parse(read(t, "everything.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := configv1.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was written as JSON reads differently: %s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const rule = "configuration:\n  rules:\n  - "
	const localize = "localization:\n- "
	tests := map[string]struct {
		reason, data string
		line         int
		path         string
	}{
		"empty":               {"a file without content is a mistake in packaging", "", 1, "file"},
		"text":                {"a file of text is a mistake in packaging", "hello", 1, "file"},
		"unknown at the top":  {"a misspelt stanza would be left out", "kind: ConfigData\nlocalisation: []\n", 2, "localisation"},
		"unknown in rule":     {"a misspelt target would ship the wrong image", localize + "resource: {name: a}\n  file: b\n  imge: c\n", 4, "localization[0].imge"},
		"unknown in resource": {"a misspelt identity would select another resource", localize + "resource: {name: a, extraidentity: {}}\n  file: b\n  image: c\n", 2, "localization[0].resource.extraidentity"},
		"twice":               {"the first of two would be lost", "configuration:\n  defaults:\n    a: 1\n    a: 2\n", 4, "configuration.defaults.a"},
		"other version":       {"a later version means something else", "apiVersion: config.ocm.software/v2\n", 1, "apiVersion"},
		"other kind":          {"a ConfigMap is no ConfigData", "kind: ConfigMap\n", 1, "kind"},
		"two documents":       {"the second would be lost", "kind: ConfigData\n---\nkind: ConfigData\n", 2, "file"},
		"rules no list":       {"a single rule is no list", "configuration:\n  rules: {file: a}\n", 2, "configuration.rules"},
		"schema no object":    {"a schema is an object", "configuration:\n  schema: [a]\n", 2, "configuration.schema"},
		"no value":            {"null must be meant", rule + "{file: a, path: b}\n", 3, "configuration.rules[0].value"},
		"no file":             {"a rule needs a file", rule + "{value: 1, path: b}\n", 3, "configuration.rules[0].file"},
		"no path":             {"a rule needs a path", rule + "{value: 1, file: b}\n", 3, "configuration.rules[0].path"},
		"path no text":        {"a path is text", rule + "{value: 1, file: b, path: 1}\n", 3, "configuration.rules[0].path"},
		"negative document":   {"documents are counted from 0", rule + "{value: 1, file: b, path: c, document: -1}\n", 3, "configuration.rules[0].document"},
		"two choices":         {"document and selector may disagree", rule + "{value: 1, file: b, path: c, document: 1, selector: {kind: d}}\n", 3, "configuration.rules[0]"},
		"empty selector":      {"a selector must select", rule + "{value: 1, file: b, path: c, selector: {}}\n", 3, "configuration.rules[0].selector"},
		"no resource":         {"there is no reference to take", localize + "{file: a, image: b}\n", 2, "localization[0].resource.name"},
		"no localized file":   {"a rule needs a file", localize + "{resource: {name: a}, image: b}\n", 2, "localization[0].file"},
		"no target":           {"a rule must change something", localize + "{resource: {name: a}, file: b}\n", 2, "localization[0]"},
		"mapping of nothing":  {"a mapping needs a program", localize + "{file: b, mapping: {path: c}}\n", 2, "localization[0].mapping.transform"},
		"mapping to nowhere":  {"a mapping needs a path", localize + "{file: b, mapping: {transform: c}}\n", 2, "localization[0].mapping.path"},
		"no number":           {"JSON knows no infinity", "configuration:\n  defaults: {a: .inf}\n", 2, "configuration.defaults.a"},
		"too large a number":  {"it would be rounded", "configuration:\n  defaults: {a: 18446744073709551615}\n", 2, "configuration.defaults.a"},
		"key no text":         {"objects have names", "configuration:\n  defaults: {[a]: b}\n", 2, "configuration.defaults"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configv1.Parse([]byte(tt.data))
			var problem *configv1.FieldError
			if !errors.As(err, &problem) {
				t.Fatalf("%s: got %v, want a FieldError", tt.reason, err)
			}
			if problem.Line != tt.line || problem.Path != tt.path {
				t.Errorf("%s: got %v, want line %d and %s", tt.reason, err, tt.line, tt.path)
			}
		})
	}
}

func TestUnknownFieldNamesTheKnownOnes(t *testing.T) {
	t.Parallel()
	_, err := configv1.Parse([]byte("configuration:\n  rules:\n  - {valeu: 1}\n"))
	if err == nil || !strings.Contains(err.Error(), `line 3: configuration.rules[0].valeu: unknown field "valeu": known here are document, file, path, selector, value`) {
		t.Errorf("got %v, want the line, the field and the known fields", err)
	}
}

func TestParseIsBounded(t *testing.T) {
	t.Parallel()
	bomb := "configuration:\n  defaults:\n    a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	var bombSb173 strings.Builder
	for name, previous := 'b', 'a'; name < 'k'; name, previous = name+1, name {
		alias := "*" + string(previous)
		bombSb173.WriteString("    " + string(name) + ": &" + string(name) + " [" + strings.Repeat(alias+",", 9) + alias + "]\n")
	}
	bomb += bombSb173.String()
	var keys strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&keys, "k%d: 1, ", i)
	}
	tests := map[string]struct{ reason, data string }{
		"anchors":  {"few anchors stand for billions of values", bomb},
		"circle":   {"an anchor that contains itself never ends", "configuration:\n  defaults: &a\n    a: *a\n"},
		"merges":   {"one mapping merged many times is large", "configuration:\n  defaults:\n    a: &a {" + keys.String() + "}\n    b:\n      <<: [" + strings.Repeat("*a,", 100_000) + "*a]\n"},
		"merge":    {"a merge that contains itself never ends", "configuration:\n  defaults: &a\n    <<: *a\n"},
		"text":     {"one long text stands for gigabytes", "configuration:\n  defaults: {a: &a " + strings.Repeat("x", 100_000) + ", b: [" + strings.Repeat("*a,", 10_000) + "]}\n"},
		"keys":     {"a key is text too", "configuration:\n  defaults: {a: &a {" + strings.Repeat("x", 1000) + ": 1}, b: [" + strings.Repeat("*a,", 50_000) + "]}\n"},
		"depth":    {"deep nesting eats the stack", "configuration:\n  defaults: {a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}\n"},
		"size":     {"files are small", strings.Repeat("#", configv1.MaxBytes+1)},
		"unclosed": {"what is no YAML is refused", "configuration: {"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := configv1.Parse([]byte(tt.data)); err == nil {
				t.Errorf("%s: it was accepted", tt.reason)
			}
		})
	}
	if _, err := configv1.Parse(bytes.Repeat([]byte("#"), configv1.MaxBytes+1)); !errors.Is(err, configv1.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func TestLongKeysTakeNoLongerToRead(t *testing.T) {
	t.Parallel()
	const children = 50_000
	key := strings.Repeat("k", 100_000)
	config, err := configv1.Parse([]byte("configuration:\n  defaults:\n    ? " + key + "\n    : [" + strings.Repeat("1,", children) + "]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if items, _ := config.Configuration.Defaults[key].([]any); len(items) != children {
		t.Errorf("it has %d items, want %d", len(items), children)
	}
	_, err = configv1.Parse([]byte("configuration:\n  defaults:\n    ? " + key + "\n    : {a: .inf}\n"))
	var problem *configv1.FieldError
	if !errors.As(err, &problem) || len(problem.Path) > 1000 || !strings.HasSuffix(problem.Path, "k....a") {
		t.Errorf("got %.1000v, want an error with the beginning of the key", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(read(f, "documented.yaml"))
	f.Add(read(f, "everything.yaml"))
	f.Add([]byte("configuration:\n  defaults: &a\n    <<: [*a, {b: 1}]\n"))
	f.Add([]byte("localization: [{file: a, mapping: {path: b, transform: c}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := configv1.Parse(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(config)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := configv1.Parse(written)
		if err != nil {
			if errors.Is(err, configv1.ErrTooLarge) {
				return
			}
			t.Fatalf("what was written cannot be read: %v\n%s", err, written)
		}
		rewritten, err := json.Marshal(again)
		if err != nil || !bytes.Equal(written, rewritten) {
			t.Errorf("got %s after %s: %v", rewritten, written, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	data := read(b, "everything.yaml")
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := configv1.Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
