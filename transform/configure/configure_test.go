package configure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/configure"
	"github.com/ocm-operator/ocm-operator/transform/expr"
)

type (
	object = map[string]any
	list   = []any
)

const document = `
apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
metadata:
  name: ocm-config
  labels:
    env: test
configuration:
  defaults:
    color: red
    message: Hello, world!
    replicas: 2
    data: (( color ))
  schema:
    type: object
    additionalProperties: false
    properties:
      color:
        type: string
      message:
        type: string
      data: {}
  rules:
  - value: (( message ))
    file: configmap.yaml
    path: data.PODINFO_UI_MESSAGE
  - value: {color: (( color )), replicas: (( replicas )), text: x-(( replicas )), data: (( data ))}
    file: configmap.yaml
    path: data.ALL
    document: 1
`

func configuration(t *testing.T) *configv1.Configuration {
	t.Helper()
	config, err := configv1.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	return config.Configuration
}

func TestSubstitutions(t *testing.T) {
	t.Parallel()
	one := 1
	for name, tc := range map[string]struct {
		reason         string
		values         object
		message, color string
		data           any
	}{
		"no values":    {reason: "defaults alone are enough", values: nil, message: "Hello, world!", color: "red", data: "(( color ))"},
		"empty values": {reason: "values without a key change nothing", values: object{}, message: "Hello, world!", color: "red", data: "(( color ))"},
		"values":       {reason: "values win and are data", values: object{"color": "(( message ))", "data": list{json.Number("1")}}, message: "Hello, world!", color: "(( message ))", data: list{json.Number("1")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := configure.Substitutions(t.Context(), configuration(t), tc.values)
			want := []transform.Substitution{
				{Rule: "configuration rule 1", File: "configmap.yaml", Path: "data.PODINFO_UI_MESSAGE", Value: tc.message},
				{Rule: "configuration rule 2", File: "configmap.yaml", Path: "data.ALL", Document: &one, Value: object{"color": tc.color, "replicas": int64(2), "text": "x-2", "data": tc.data}},
			}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: error %v, -want +got:\n%s", tc.reason, err, diff)
			}
		})
	}
	if subs, err := configure.Substitutions(t.Context(), nil, object{"a": 1}); len(subs) > 0 || err != nil {
		t.Errorf("no configuration gave %v, %v", subs, err)
	}
}

func TestSubstitutionsFails(t *testing.T) {
	t.Parallel()
	rule := func(value any) *configv1.Configuration {
		return &configv1.Configuration{Rules: []configv1.ConfigurationRule{{Value: 1, File: "a", Path: "b"}, {Value: value, File: "f.yaml", Path: "p.q"}}}
	}
	_, err := configure.Substitutions(t.Context(), rule("(( nope.x ))"), nil)
	var unresolved *expr.UnresolvedError
	if !errors.As(err, &unresolved) || !strings.HasPrefix(err.Error(), `configuration rule 2: file "f.yaml", path "p.q": reference "nope.x" is not resolved`) {
		t.Errorf("unresolved reference: %v", err)
	}
	var forbidden *expr.ForbiddenError
	if _, err := configure.Substitutions(t.Context(), rule(`(( read("/etc/passwd") ))`), nil); !errors.As(err, &forbidden) {
		t.Errorf("forbidden function: %v", err)
	}
	big := rule("(( big ))")
	for range 100 {
		big.Rules = append(big.Rules, big.Rules[1])
	}
	if _, err := configure.Substitutions(t.Context(), big, object{"big": strings.Repeat("x", 1<<20)}); !errors.Is(err, expr.ErrLimit) {
		t.Errorf("the limits are not those of all rules together: %v", err)
	}
}

func TestSubstitutionsStopWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := configure.Substitutions(ctx, configuration(t), nil)
	var rule *transform.RuleError
	if !errors.Is(err, context.Canceled) || errors.As(err, &rule) {
		t.Errorf("want context.Canceled, which is not the fault of a rule, got %v", err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ defaults, values, want object }{
		"maps":         {object{"a": object{"b": 1, "c": 2}}, object{"a": object{"c": 3, "d": 4}}, object{"a": object{"b": 1, "c": 3, "d": 4}}},
		"lists":        {object{"a": list{1, 2}}, object{"a": list{3}}, object{"a": list{3}}},
		"null default": {object{"a": nil, "b": nil}, object{"b": 1}, object{"a": nil, "b": 1}},
		"null value":   {object{"a": object{"b": 1}}, object{"a": nil}, object{"a": nil}},
		"kinds":        {object{"a": object{"b": 1}, "c": 1}, object{"a": 1, "c": object{"d": 1}}, object{"a": 1, "c": object{"d": 1}}},
		"none":         {nil, nil, object{}},
	} {
		before := fmt.Sprint(tc.defaults, tc.values)
		if diff := cmp.Diff(tc.want, configure.Merge(tc.defaults, tc.values)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if after := fmt.Sprint(tc.defaults, tc.values); before != after {
			t.Errorf("%s: the arguments became %s", name, after)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const schema = `{"type": "object", "additionalProperties": false, "required": ["message"], "properties": {
		"color": {"type": "string", "enum": ["red", "blue"]}, "message": {"type": "string", "pattern": "^[A-Z]", "maxLength": 9},
		"a/b": {"properties": {"n": {"type": ["integer", "null"], "minimum": 1}}, "additionalProperties": false}, "list": {"items": {"$ref": "#/definitions/port"}}, "off": false, "k": {"const": "v"}},
		"definitions": {"port": {"type": "integer", "maximum": 65535}}}`
	for name, tc := range map[string]struct {
		values object
		want   []string
	}{
		"good":     {object{"message": "Hi", "color": "red", "list": list{int64(1), json.Number("2"), 3.0}, "a/b": object{"n": nil}}, nil},
		"unknown":  {object{"message": "Hi", "colour": "red"}, []string{"/colour: unknown key, allowed: a/b, color, k, list, message, off"}},
		"required": {object{}, []string{"/message: is required"}},
		"type":     {object{"message": int64(5)}, []string{"/message: must be string, is number"}},
		"nested":   {object{"message": "Hi", "a/b": object{"n": "x", "m": 1}}, []string{"/a~1b/m: unknown key, allowed: n", "/a~1b/n: must be null or integer, is string"}},
		"list":     {object{"message": "Hi", "list": list{1, "x"}}, []string{"/list/1: must be integer, is string"}},
		"enum":     {object{"message": "Hi", "color": "pink"}, []string{`/color: must be one of "red", "blue"`}},
		"pattern":  {object{"message": "hi"}, []string{`/message: must match "^[A-Z]"`}},
		"others":   {object{"message": "Hello, world", "off": 1, "k": "w"}, []string{`/k: must be "v"`, "/message: must have at most 9 characters", "/off: is not allowed"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configure.Validate([]byte(schema), tc.values)
			var invalid *configure.ValuesError
			if tc.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &invalid) {
				t.Fatalf("want a ValuesError, got %v", err)
			}
			if diff := cmp.Diff(tc.want, invalid.Problems); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestValidateDrafts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		schema string
		fits   bool
	}{
		"draft 4, exclusive":       {`{"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"a": {"minimum": 1, "exclusiveMinimum": true}}}`, false},
		"draft 6, exclusive":       {`{"$schema": "http://json-schema.org/draft-06/schema#", "properties": {"a": {"exclusiveMinimum": 1}}}`, false},
		"draft 7, list of schemas": {`{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"b": {"items": [{"type": "string"}]}}}`, false},
		"default is draft 7":       {`{"properties": {"b": {"items": [{"type": "string"}]}}}`, false},
		"2019-09":                  {`{"$schema": "https://json-schema.org/draft/2019-09/schema", "dependentRequired": {"a": ["c"]}}`, false},
		"2020-12":                  {`{"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"b": {"prefixItems": [{"type": "integer"}], "items": false}}}`, true},
	} {
		err := configure.Validate([]byte(tc.schema), object{"a": 1, "b": list{1}})
		var invalid *configure.ValuesError
		if tc.fits != (err == nil) || !tc.fits && !errors.As(err, &invalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestValidateRefusesSchema(t *testing.T) {
	t.Parallel()
	var definitions strings.Builder
	for i := range 60 {
		fmt.Fprintf(&definitions, `"d%d": {"allOf": [{"$ref": "#/definitions/d%d"}, {"$ref": "#/definitions/d%d"}]},`, i, i+1, i+1)
	}
	bomb := `{"$ref": "#/definitions/d0", "definitions": {` + definitions.String() + `"d60": {"type": "object"}}}`
	for name, schema := range map[string]string{
		"remote": `{"$ref": "https://example.com/schema.json"}`, "file": `{"$ref": "file:///etc/passwd"}`, "relative": `{"$ref": "other.json"}`, "dialect": `{"$schema": "https://example.com/dialect"}`,
		"type": `{"type": "strnig"}`, "json": `{`, "pattern": `{"pattern": "(?=x)"}`, "exponential": bomb, "circle": `{"$ref": "#"}`,
	} {
		err := configure.Validate([]byte(schema), object{"a": "x"})
		var bad *configure.SchemaError
		var invalid *configure.ValuesError
		if !errors.As(err, &bad) && (name != "circle" || !errors.As(err, &invalid)) {
			t.Errorf("%s: want a SchemaError, got %v", name, err)
		}
	}
}

// TestValidateKeepsValuesSecret lets every keyword fail on a value that must not be in the message.
func TestValidateKeepsValuesSecret(t *testing.T) {
	t.Parallel()
	const secret, number = "s3cr3t, s3cr3t!", 3735928559
	for keyword, tc := range map[string]struct {
		schema string
		value  any
		want   string
	}{
		"type":             {`{"type": "integer"}`, secret, "/a: must be integer, is string"},
		"enum":             {`{"enum": ["x"]}`, secret, `/a: must be one of "x"`},
		"const":            {`{"const": "x"}`, secret, `/a: must be "x"`},
		"pattern":          {`{"pattern": "^x"}`, secret, `/a: must match "^x"`},
		"format":           {`{"format": "email"}`, secret, "/a: must be a valid email"},
		"format regex":     {`{"format": "regex"}`, secret + "(", "/a: must be a valid regex"},
		"minLength":        {`{"minLength": 20}`, secret, "/a: must have at least 20 characters"},
		"maxLength":        {`{"maxLength": 2}`, secret, "/a: must have at most 2 characters"},
		"minimum":          {`{"minimum": 3735928560}`, number, "/a: must be at least 3735928560"},
		"maximum":          {`{"maximum": 1.5}`, number, "/a: must be at most 1.5"},
		"exclusiveMinimum": {`{"exclusiveMinimum": 4e9}`, number, "/a: must be greater than 4000000000"},
		"exclusiveMaximum": {`{"exclusiveMaximum": 1}`, number, "/a: must be less than 1"},
		"multipleOf":       {`{"multipleOf": 2}`, number, "/a: must be a multiple of 2"},
		"not":              {`{"not": {"type": "string"}}`, secret, `/a: does not fit "not"`},
		"oneOf":            {`{"oneOf": [{"type": "string"}, {}]}`, secret, "/a: fits more than one schema of oneOf"},
		"anyOf":            {`{"anyOf": [{"type": "integer"}]}`, secret, "/a: must be integer, is string"},
		"contains":         {`{"contains": {"type": "integer"}}`, list{}, `/a: does not fit "contains"`},
		"items":            {`{"items": {"format": "ipv4"}}`, list{secret}, "/a/0: must be a valid ipv4"},
		"additionalItems":  {`{"items": [{}], "additionalItems": false}`, list{secret, secret}, "/a: has 1 items too many"},
		"uniqueItems":      {`{"uniqueItems": true}`, list{secret, secret}, "/a: the items 0 and 1 are equal"},
		"minItems":         {`{"minItems": 2}`, list{secret}, "/a: must have at least 2 items"},
		"maxItems":         {`{"maxItems": 0}`, list{secret}, "/a: must have at most 0 items"},
		"minProperties":    {`{"minProperties": 2}`, object{"k": secret}, "/a: must have at least 2 keys"},
		"maxProperties":    {`{"maxProperties": 0}`, object{"k": secret}, "/a: must have at most 0 keys"},
		"dependencies":     {`{"dependencies": {"k": ["l"]}}`, object{"k": secret}, "/a/l: is required, as there is k"},
		"propertyNames":    {`{"propertyNames": {"pattern": "^x"}}`, object{"k": secret}, `the key "k" does not fit "propertyNames"`},
		"false":            {`false`, secret, "/a: is not allowed"},
	} {
		t.Run(keyword, func(t *testing.T) {
			t.Parallel()
			err := configure.Validate([]byte(`{"properties": {"a": `+tc.schema+`}}`), object{"a": tc.value})
			var invalid *configure.ValuesError
			if !errors.As(err, &invalid) || !slices.Equal(invalid.Problems, []string{tc.want}) {
				t.Errorf("want %q, got %v", tc.want, err)
			}
		})
	}
}

// TestValidateTime bounds what a schema may cost with long texts and large values.
func TestValidateTime(t *testing.T) {
	t.Parallel()
	all := func(n int, schema string) string {
		var parts []string
		for i := range n {
			parts = append(parts, strings.ReplaceAll(schema, "#", strconv.Itoa(i)))
		}
		return `{"properties": {"a": {"allOf": [` + strings.Join(parts, ", ") + `]}}}`
	}
	long := strings.Repeat("ab ", 60_000)
	keys := object{}
	for i := range 2000 {
		keys[strconv.Itoa(i)+long[:300]] = 1
	}
	var numbers strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&numbers, "%d, ", i)
	}
	for name, tc := range map[string]struct {
		schema string
		value  any
		fits   bool
	}{
		"many patterns":      {all(200, `{"pattern": "(a|b)*[a-z ]+x?#?$"}`), long, false},
		"large pattern":      {all(1, `{"pattern": "(?:(a|b)?[a-z]?){500}"}`), long, false},
		"pattern properties": {all(50, `{"patternProperties": {"(a|b)*[a-z ]+x#$": true}}`), keys, false},
		"property names":     {all(50, `{"propertyNames": {"pattern": "(a|b)*[a-z ]+x?#?$"}}`), keys, false},
		"format regex":       {all(200, `{"format": "regex"}`), long, false},
		"enum":               {all(10, `{"items": {"enum": [`+numbers.String()+`"x"]}}`), slices.Repeat(list{-1}, 10_000), false},
		"unique":             {all(3000, `{"uniqueItems": true}`), make(list, 5000), false},
		"some patterns":      {all(3, `{"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?( |$)"}`), long, true},
		"one long text":      {all(1, `{"pattern": "^[a-z ]+$", "maxLength": 2000000}`), strings.Repeat("x", 1<<20), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configure.Validate([]byte(tc.schema), object{"a": tc.value})
			var bad *configure.SchemaError
			if tc.fits != (err == nil) || !tc.fits && (!errors.As(err, &bad) || !strings.Contains(err.Error(), "too long")) {
				t.Errorf("want fits %t, got %.300v", tc.fits, err)
			}
		})
	}
	if err := configure.Validate([]byte(all(1000, `{"pattern": "(abcdefgh#){999}"}`)), object{}); err == nil || !strings.Contains(err.Error(), "patterns of the schema are too large") {
		t.Errorf("patterns without end were compiled: %v", err)
	}
}

func FuzzValidate(f *testing.F) {
	for _, schema := range []string{
		`{"type": "object", "additionalProperties": false, "properties": {"color": {"type": "string"}}}`, `{"$ref": "#"}`, `{"anyOf": [{"required": ["a"]}, {"minProperties": 2}]}`,
		`{"$schema": "http://json-schema.org/draft-04/schema#", "definitions": {"a": {"enum": [1]}}, "properties": {"a": {"$ref": "#/definitions/a"}}}`, `{"patternProperties": {"^a": {"items": {"$ref": "#"}}}}`, `true`, `{"$id": "http://x/", "$ref": "y"}`,
	} {
		f.Add(schema, `{"a": [1, {"b": null}], "color": "red"}`)
	}
	f.Add(`{"properties": {"a": {"multipleOf": 1e-99999}}}`, `{"a": 1e99999}`)
	f.Fuzz(func(t *testing.T, schema, values string) {
		var v object
		decoder := json.NewDecoder(strings.NewReader(values))
		decoder.UseNumber()
		if decoder.Decode(&v) != nil {
			return
		}
		err := configure.Validate([]byte(schema), v)
		var bad *configure.SchemaError
		var invalid *configure.ValuesError
		if err != nil && !errors.As(err, &bad) && !errors.As(err, &invalid) {
			t.Fatalf("an error of another type: %v", err)
		}
		if invalid != nil && len(invalid.Problems) == 0 {
			t.Fatal("an error without a problem")
		}
	})
}

func BenchmarkSubstitutions(b *testing.B) {
	config, err := configv1.Parse([]byte(document))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := configure.Substitutions(b.Context(), config.Configuration, object{"color": "blue"}); err != nil {
			b.Fatal(err)
		}
	}
}
