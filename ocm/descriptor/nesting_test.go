package descriptor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// TestParseRefusesTwoReadings is about documents that two readers could
// understand differently.
func TestParseRefusesTwoReadings(t *testing.T) {
	t.Parallel()
	asJSON := func(component string) string {
		return `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme"` + component + `}}`
	}
	for name, tc := range map[string]struct{ document, want string }{
		"key twice in YAML":       {head + "  name: acme.org/other\n", `line 6: key "name" already set`},
		"key twice in JSON":       {asJSON(`,"name":"acme.org/other"`), `key "name" occurs twice in component`},
		"key twice at the top":    {`{"meta":{"schemaVersion":"v2"},"meta":{}}`, `key "meta" occurs twice in the top level`},
		"other case in YAML":      {head + "  Name: acme.org/other\n", `keys "Name" and "name" of component differ in case only`},
		"other case in JSON":      {asJSON(`,"resources":[{},{"name":"a","NAME":"b"}]`), `keys "name" and "NAME" of component.resources[1] differ in case only`},
		"long s":                  {asJSON(`,"reſources":[],"resources":[]`), `keys "reſources" and "resources" of component differ`},
		"other case in an access": {asJSON(`,"resources":[{"access":{"localReference":"a","LocalReference":"b"}}]`), "component.resources[0].access"},
		"other case in a label":   {asJSON(`,"labels":[{"name":"x","Value":1,"value":2}]`), "component.labels[0]"},
		"twice in a label value":  {asJSON(`,"labels":[{"name":"x","value":{"a":[{"b":1,"b":2}]}}]`), "component.labels[0].value.a[0]"},
		"provider":                {head[:strings.LastIndex(head, "acme\n")] + `'{"name":"a","Name":"b"}'`, "component.provider: keys"},
		"second document":         {head + "---\n" + head, "line 7: a second YAML document"},
		"second document, dots":   {head + "...\n---\nname: x\n", "line 8: a second YAML document"},
		"broken second document":  {head + "---\n[", "parse component descriptor"},
		"JSON, then YAML":         {asJSON("") + "\n---\na: b\n", "a second YAML document"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := descriptor.Parse([]byte(tc.document)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse = %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// TestParseBoundsWhatFitsIntoLittleText is about values of a few bytes that take
// hundreds of bytes of memory each.
func TestParseBoundsWhatFitsIntoLittleText(t *testing.T) {
	t.Parallel()
	const many = 1_000_000
	asJSON := `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme",%s}}`
	for name, tc := range map[string]struct{ document, want string }{
		"elements in JSON": {fmt.Sprintf(asJSON, `"resources":[`+strings.Repeat("{},", many)+`{}]`), "component.resources has more than 20000 elements"},
		"labels in JSON":   {fmt.Sprintf(asJSON, `"resources":[{"labels":[`+strings.Repeat("{},", many)+`{}]}]`), "component.resources[0].labels has more than 20000 elements"},
		"lists in lists": {
			fmt.Sprintf(asJSON, `"resources":[`+strings.Repeat(`{"labels":[`+strings.Repeat("{},", 9_999)+`{}]},`, 20)+`{}]`),
			"lists have more than 200000 elements together",
		},
		"flow in YAML":  {head + "  labels: [{name: key, value: [" + strings.Repeat("1,", many) + "]}]\n", "lines and commas"},
		"lines in YAML": {head + "  resources:\n" + strings.Repeat("- \n", many), "lines and commas"},
	} {
		if _, err := descriptor.Parse([]byte(tc.document)); !errors.Is(err, descriptor.ErrTooLarge) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Parse = %v, want that it is too large: %q", name, err, tc.want)
		}
	}
	if _, err := descriptor.Parse(fmt.Appendf(nil, asJSON, `"labels":[{"name":"key","value":[`+strings.Repeat("1,", many)+`1]}]`)); err != nil {
		t.Errorf("Parse = %v, want that the value of a label may be a long list: it stays text", err)
	}
}

// TestParseAcceptsManyResources reads as many as nobody has, each with labels.
func TestParseAcceptsManyResources(t *testing.T) {
	t.Parallel()
	const resource = `{"name":"r%d","version":"1.0.0","type":"blob","relation":"local","labels":[%s{"name":"last","value":[1,2,3]}],"access":{"type":"none"}}`
	labels := strings.Repeat(`{"name":"a","value":1},`, 9)
	var all []string
	for i := range 10_000 {
		all = append(all, fmt.Sprintf(resource, i, labels))
	}
	d, err := descriptor.ParseWithin(fmt.Appendf(nil, `{"meta":{"schemaVersion":"v2"},"component":{"name":"acme.org/shop","version":"1.0.0","provider":"acme","resources":[%s]}}`, strings.Join(all, ",")), 16<<20)
	if err != nil || len(d.Component.Resources) != 10_000 || len(d.Component.Resources[9_999].Labels) != 10 {
		t.Errorf("ParseWithin = %v", err)
	}
}

// TestParseKeepsFreeForm reads what looks like an ambiguity and is none.
func TestParseKeepsFreeForm(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"mark at the front":  "---\n" + head,
		"marks at the end":   head + "---\n...\n",
		"marks in a value":   head + "  labels: [{name: key, value: \"-----BEGIN KEY-----\"}]\n",
		"case in label":      head + "  labels: [{name: key, value: {Port: 1, port: 2}}]\n",
		"case in label list": head + "  labels: [{name: key, value: [{deep: {Port: 1, port: 2}}]}]\n",
		"case in merge":      head + "  labels: [{name: key, value: 1, merge: {algorithm: x, config: {A: 1, a: 2}}}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := descriptor.Parse([]byte(document))
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range d.Component.Labels {
				var values map[string]any
				if json.Unmarshal(l.Value, &values) == nil && len(values) == 0 {
					t.Errorf("label %s lost its value", l.Name)
				}
			}
		})
	}
}
