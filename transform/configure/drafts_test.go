package configure_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/transform/configure"
)

// drafts are the dialects by the URL in "$schema". Each has been written with and without a "#", and with both schemes.
var drafts = map[string]string{
	"4": "http://json-schema.org/draft-04/schema#", "6": "http://json-schema.org/draft-06/schema#", "7": "http://json-schema.org/draft-07/schema#",
	"2019-09": "https://json-schema.org/draft/2019-09/schema", "2020-12": "https://json-schema.org/draft/2020-12/schema",
}

// TestDrafts checks the same values by the same schema, and by what is of one draft only. The messages name the value by
// its JSON pointer.
func TestDrafts(t *testing.T) {
	t.Parallel()
	type problems = []string
	for name, tc := range map[string]struct {
		drafts []string // all of them if empty
		schema string   // the keywords beside "$schema"
		values object
		want   problems
	}{
		"types": {
			schema: `"properties": {"a": {"type": "string"}, "b": {"items": {"type": "integer"}}, "x/y~z": {"type": "boolean"}}`,
			values: object{"a": 1, "b": list{1, "x", 2.5}, "x/y~z": 1},
			want:   problems{"/a: must be string, is number", "/b/1: must be integer, is string", "/b/2: must be integer, is number", "/x~1y~0z: must be boolean, is number"},
		},
		"unknown keys": {
			schema: `"properties": {"a": {"properties": {"b": {}}, "additionalProperties": false}}`, values: object{"a": object{"c": 1}},
			want: problems{"/a/c: unknown key, allowed: b"},
		},
		"required": {schema: `"required": ["a"], "properties": {"b": {"required": ["c"]}}`, values: object{"b": object{}}, want: problems{"/a: is required", "/b/c: is required"}},
		"enum":     {schema: `"properties": {"a": {"enum": ["x", 1, null]}}`, values: object{"a": "y"}, want: problems{`/a: must be one of "x", 1, <nil>`}},
		"sizes": {
			schema: `"properties": {"a": {"minLength": 2}, "b": {"maxItems": 1}, "c": {"minimum": 5}, "d": {"pattern": "^x$"}, "e": {"maxProperties": 0}}`,
			values: object{"a": "x", "b": list{1, 2}, "c": 4, "d": "y", "e": object{"k": 1}},
			want:   problems{"/a: must have at least 2 characters", "/b: must have at most 1 items", "/c: must be at least 5", `/d: must match "^x$"`, "/e: must have at most 0 keys"},
		},
		"fits": {schema: `"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"minimum": 1}]}}`, values: object{"a": 2}},
		"definitions": {
			schema: `"definitions": {"port": {"maximum": 65535}}, "properties": {"a": {"$ref": "#/definitions/port"}}`, values: object{"a": 70000},
			want: problems{"/a: must be at most 65535"},
		},

		"4: exclusive is a flag":             {drafts: []string{"4"}, schema: `"properties": {"a": {"maximum": 5, "exclusiveMaximum": true}}`, values: object{"a": 5}, want: problems{"/a: must be less than 5"}},
		"4: the name of a schema is id":      {drafts: []string{"4"}, schema: `"id": "http://x/s", "definitions": {"p": {"id": "#p", "type": "string"}}, "properties": {"a": {"$ref": "#p"}}`, values: object{"a": 5}, want: problems{"/a: must be string, is number"}},
		"4: const is not known":              {drafts: []string{"4"}, schema: `"properties": {"a": {"const": 5}}`, values: object{"a": 6}},
		"6 on: exclusive is a number":        {drafts: []string{"6", "7", "2019-09", "2020-12"}, schema: `"properties": {"a": {"exclusiveMaximum": 5}}`, values: object{"a": 5}, want: problems{"/a: must be less than 5"}},
		"6 on: const":                        {drafts: []string{"6", "7", "2019-09", "2020-12"}, schema: `"properties": {"a": {"const": 5}}`, values: object{"a": 6}, want: problems{"/a: must be 5"}},
		"6 on: a schema is a boolean":        {drafts: []string{"6", "7", "2019-09", "2020-12"}, schema: `"properties": {"a": false}`, values: object{"a": 6}, want: problems{"/a: is not allowed"}},
		"6 on: contains":                     {drafts: []string{"6", "7", "2019-09", "2020-12"}, schema: `"properties": {"a": {"contains": {"const": 1}}}`, values: object{"a": list{2}}, want: problems{"/a/0: must be 1"}},
		"6 on: names of properties":          {drafts: []string{"6", "7", "2019-09", "2020-12"}, schema: `"propertyNames": {"maxLength": 1}`, values: object{"ab": 1}, want: problems{`the key "ab" does not fit "propertyNames"`}},
		"6: if is not known":                 {drafts: []string{"4", "6"}, schema: `"if": {"required": ["a"]}, "then": {"required": ["b"]}`, values: object{"a": 1}},
		"7 on: if":                           {drafts: []string{"7", "2019-09", "2020-12"}, schema: `"if": {"required": ["a"]}, "then": {"required": ["b"]}`, values: object{"a": 1}, want: problems{"/b: is required"}},
		"up to 7: dependencies":              {drafts: []string{"4", "6", "7"}, schema: `"dependencies": {"a": ["b"]}`, values: object{"a": 1}, want: problems{"/b: is required, as there is a"}},
		"up to 7: only $ref counts":          {drafts: []string{"4", "6", "7"}, schema: `"definitions": {"any": {}}, "properties": {"a": {"$ref": "#/definitions/any", "type": "string"}}`, values: object{"a": 1}},
		"2019-09 on: beside $ref":            {drafts: []string{"2019-09", "2020-12"}, schema: `"$defs": {"any": {}}, "properties": {"a": {"$ref": "#/$defs/any", "type": "string"}}`, values: object{"a": 1}, want: problems{"/a: must be string, is number"}},
		"2019-09 on: dependentRequired":      {drafts: []string{"2019-09", "2020-12"}, schema: `"dependentRequired": {"a": ["b"]}`, values: object{"a": 1}, want: problems{"/b: is required, as there is a"}},
		"2019-09 on: dependentSchemas":       {drafts: []string{"2019-09", "2020-12"}, schema: `"dependentSchemas": {"a": {"required": ["b"]}}`, values: object{"a": 1}, want: problems{"/b: is required"}},
		"2019-09 on: unevaluated properties": {drafts: []string{"2019-09", "2020-12"}, schema: `"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": false`, values: object{"a": 1, "b": 2}, want: problems{"/b: is not allowed"}},
		"2019-09 on: at most so many":        {drafts: []string{"2019-09", "2020-12"}, schema: `"properties": {"a": {"contains": {"const": 1}, "maxContains": 1}}`, values: object{"a": list{1, 1}}, want: problems{`/a: does not fit "maxContains"`}},
		"up to 2019-09: list of items":       {drafts: []string{"4", "6", "7", "2019-09"}, schema: `"properties": {"a": {"items": [{"type": "string"}], "additionalItems": false}}`, values: object{"a": list{1}}, want: problems{"/a/0: must be string, is number"}},
		"2019-09: recursion":                 {drafts: []string{"2019-09"}, schema: `"$recursiveAnchor": true, "properties": {"a": {"$recursiveRef": "#"}, "b": {"type": "string"}}`, values: object{"a": object{"b": 1}}, want: problems{"/a/b: must be string, is number"}},
		"2020-12: items in front":            {drafts: []string{"2020-12"}, schema: `"properties": {"a": {"prefixItems": [{"type": "string"}], "items": false}}`, values: object{"a": list{1}}, want: problems{"/a/0: must be string, is number"}},
		"2020-12: items behind":              {drafts: []string{"2020-12"}, schema: `"properties": {"a": {"prefixItems": [{"type": "string"}, {}], "items": {"properties": {"b": {"type": "integer"}}}}}`, values: object{"a": list{"x", 1, 2, object{"b": "y"}}}, want: problems{"/a/3/b: must be integer, is string"}},
		"2020-12: no items behind":           {drafts: []string{"2020-12"}, schema: `"properties": {"a": {"prefixItems": [{}], "items": false}}`, values: object{"a": list{1, 2, 3}}, want: problems{"/a/1: is not allowed", "/a/2: is not allowed"}},
		"up to 2019-09: items behind":        {drafts: []string{"4", "6", "7", "2019-09"}, schema: `"properties": {"a": {"items": [{}], "additionalItems": {"type": "string"}}}`, values: object{"a": list{1, "x", 3}}, want: problems{"/a/2: must be string, is number"}},
		"2020-12: dynamic references":        {drafts: []string{"2020-12"}, schema: `"$dynamicAnchor": "node", "properties": {"a": {"$dynamicRef": "#node"}, "b": {"type": "string"}}`, values: object{"a": object{"b": 1}}, want: problems{"/a/b: must be string, is number"}},
	} {
		for draft, url := range drafts {
			if len(tc.drafts) > 0 && !slices.Contains(tc.drafts, draft) {
				continue
			}
			t.Run(name+", draft "+draft, func(t *testing.T) {
				t.Parallel()
				err := configure.Validate([]byte(`{"$schema": "`+url+`", `+tc.schema+`}`), tc.values)
				invalid := new(configure.ValuesError)
				if errors.As(err, &invalid) != (err != nil) || !slices.Equal(invalid.Problems, tc.want) {
					t.Errorf("got %q, want %q: %v", invalid.Problems, tc.want, err)
				}
				for _, problem := range tc.want {
					if !strings.Contains(err.Error(), problem) {
						t.Errorf("the message lacks %q: %v", problem, err)
					}
				}
			})
		}
	}
}

// TestDraftsStayWithinTheSchema refuses every way out of a schema, in every draft.
func TestDraftsStayWithinTheSchema(t *testing.T) {
	t.Parallel()
	for draft, url := range drafts {
		for name, schema := range map[string]string{
			"web":            `"$ref": "https://example.com/schema.json"`,
			"file":           `"$ref": "file:///etc/passwd"`,
			"relative":       `"properties": {"a": {"$ref": "../schema.json#/definitions/x"}}`,
			"in definitions": `"definitions": {"x": {"$ref": "http://169.254.169.254/latest/meta-data"}}, "properties": {"a": {"$ref": "#/definitions/x"}}`,
			"other name":     `"$id": "https://example.com/a", "id": "https://example.com/a", "properties": {"a": {"$ref": "b.json"}}`,
			"nothing there":  `"properties": {"a": {"$ref": "#/definitions/nope"}}`,
			"other dialect":  `"definitions": {"x": {"$schema": "https://example.com/dialect", "$id": "https://example.com/x", "id": "https://example.com/x"}}, "properties": {"a": {"$ref": "https://example.com/x"}}`,
		} {
			t.Run(name+", draft "+draft, func(t *testing.T) {
				t.Parallel()
				err := configure.Validate([]byte(`{"$schema": "`+url+`", `+schema+`}`), object{"a": 1})
				if bad := new(configure.SchemaError); !errors.As(err, &bad) || bad.Unwrap() == nil || !strings.HasPrefix(err.Error(), "schema of the configuration: ") {
					t.Errorf("want a SchemaError, got %v", err)
				}
			})
		}
	}
}

// TestHugeSchemas bounds schemas that are large, deep or wide: they are refused, or checked within the bound.
func TestHugeSchemas(t *testing.T) {
	t.Parallel()
	repeat := func(n int, form string) string {
		var parts []string
		for i := range n {
			parts = append(parts, strings.ReplaceAll(form, "#", strconv.Itoa(i)))
		}
		return strings.Join(parts, ",")
	}
	deep := func(n int, open, shut string) string { return strings.Repeat(open, n) + `{}` + strings.Repeat(shut, n) }
	for name, tc := range map[string]struct {
		schema, problem string
	}{
		"too many":           {`{"properties": {` + repeat(20_000, `"k#": {"type": "string"}`) + `}}`, "it has 20002 objects and booleans, more than 10000"},
		"too many booleans":  {`{"properties": {` + repeat(20_000, `"k#": true`) + `}}`, "it has 20002 objects and booleans, more than 10000"},
		"many properties":    {`{"properties": {` + repeat(5_000, `"k#": {"type": "string"}`) + `}}`, ""},
		"many bytes":         {`{"description": "` + strings.Repeat("x", 5<<20) + `"}`, "it has 5242899 bytes, more than 4194304"},
		"deep properties":    {deep(50_000, `{"properties": {"a": `, `}}`), "exceeded max depth"},
		"deep alternatives":  {deep(50_000, `{"anyOf": [`, `]}`), "exceeded max depth"},
		"deep default":       {`{"default": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "exceeded max depth"},
		"wide alternatives":  {`{"properties": {"a": {"anyOf": [` + repeat(3000, `{"const": #}`) + `, {}]}}}`, ""},
		"regex of stars":     {`{"properties": {"a": {"pattern": "^(a+)+$"}}}`, "/a: must match"},
		"regex of choices":   {`{"properties": {"a": {"pattern": "^(a|a|aa)*$"}}}`, "/a: must match"},
		"regex of groups":    {`{"properties": {"a": {"pattern": "^((((a*)*)*)*)*b$"}}}`, "/a: must match"},
		"regex of numbers":   {`{"properties": {"a": {"pattern": "((a{1,100}){1,100}){1,100}"}}}`, "schema of the configuration: "},
		"regex looks back":   {`{"properties": {"a": {"pattern": "(a)\\1"}}}`, "schema of the configuration: "},
		"regex of names":     {`{"patternProperties": {"^(a+)+$": {"type": "number"}}}`, "/a: must be number"},
		"enum of everything": {`{"properties": {"a": {"enum": [` + repeat(50_000, `"v#"`) + `]}}}`, `/a: must be one of "v0", "v1"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configure.Validate([]byte(tc.schema), object{"a": strings.Repeat("a", 30_000) + "!"})
			if (err == nil) != (tc.problem == "") || err != nil && !strings.Contains(err.Error(), tc.problem) || err != nil && len(err.Error()) > 2000 {
				t.Errorf("want %q, got %.300v", tc.problem, err)
			}
		})
	}
}

// TestNumbers offers numbers that take a long time to calculate with, or none at all: the library compares them exactly.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		schema, value, problem string
	}{
		"exponent":               {`{"multipleOf": 3e-999999}`, "7", "schema of the configuration: /properties/a/multipleOf: is a number with too many digits"},
		"greater exponent":       {`{"minimum": 1e9999999999999999999}`, "7", "/properties/a/minimum: is a number"},
		"in a list":              {`{"enum": [1, {"k": [1E+1000]}]}`, "7", "/properties/a/enum/1/k/0: is a number"},
		"digits":                 {`{"const": 1.` + strings.Repeat("1", 2000) + `}`, "7", "/properties/a/const: is a number"},
		"value":                  {`{"multipleOf": 2}`, "7e999999", "values do not fit the schema: /a: is a number with too many digits, or too large an exponent"},
		"value beyond the range": {`{"multipleOf": 2}`, "7e-9999999", "/a: is a number"},
		"value of many digits":   {`{"maximum": 2}`, strings.Repeat("7", 5000), "/a: is a number"},
		"large, and fits":        {`{"maximum": 1e300, "multipleOf": 1e-9}`, "7e299", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configure.Validate([]byte(`{"properties": {"a": `+tc.schema+`}}`), object{"a": json.Number(tc.value)})
			if (err == nil) != (tc.problem == "") || err != nil && (!strings.Contains(err.Error(), tc.problem) || strings.Contains(err.Error(), tc.value) && tc.value != "7") {
				t.Errorf("want %q, got %.300v", tc.problem, err)
			}
		})
	}
}
