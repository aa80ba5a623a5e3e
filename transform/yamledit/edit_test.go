package yamledit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

func at[T any](v T) *T { return &v }

type (
	list   = []any
	object = map[string]any
)

func TestApply(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in, path string
		value    any
		want     string
	}{
		"plain":                   {"a: 1 # c\nb: 2\n", "a", int64(5), "a: 5 # c\nb: 2\n"},
		"plain text":              {"a:   x\t# c\nb: 2\n", "a", "y z", "a:   y z\t# c\nb: 2\n"},
		"double stays":            {"a: \"x\"\n", "a", "y", "a: \"y\"\n"},
		"single stays":            {"a: 'x'\n", "a", "it's", "a: 'it''s'\n"},
		"single cannot":           {"a: 'x'\n", "a", "y\nz", "a: \"y\\nz\"\n"},
		"number as text":          {"a: x\n", "a", "123", "a: \"123\"\n"},
		"version as text":         {"a: x\n", "a", "6.3.6", "a: 6.3.6\n"},
		"float as text":           {"a: x\n", "a", "1.10", "a: \"1.10\"\n"},
		"boolean as text":         {"a: x\n", "a", "true", "a: \"true\"\n"},
		"yes as text":             {"a: x\n", "a", "yes", "a: \"yes\"\n"},
		"null as text":            {"a: x\n", "a", "null", "a: \"null\"\n"},
		"date as text":            {"a: x\n", "a", "2024-01-02", "a: \"2024-01-02\"\n"},
		"empty text":              {"a: x\n", "a", "", "a: \"\"\n"},
		"colon":                   {"a: x\n", "a", "b: c", "a: \"b: c\"\n"},
		"image":                   {"a: x\n", "a", "ghcr.io/a/b:1@sha256:00", "a: ghcr.io/a/b:1@sha256:00\n"},
		"quoted to integer":       {"a: \"3\"\n", "a", int64(4), "a: 4\n"},
		"float":                   {"a: 1\n", "a", 0.5, "a: 0.5\n"},
		"whole float":             {"a: 1\n", "a", 3.0, "a: 3\n"},
		"null":                    {"a: 1\n", "a", nil, "a: null\n"},
		"nested":                  {"a:\n  b:\n    - c: 1\n      d: 2\n", "a.b[0].d", true, "a:\n  b:\n    - c: 1\n      d: true\n"},
		"quoted key":              {"a:\n  x.y: 1\n", `a."x.y"`, int64(2), "a:\n  x.y: 2\n"},
		"bracket key":             {"a:\n  \"x.y\": 1\n", `a['x.y']`, int64(2), "a:\n  \"x.y\": 2\n"},
		"empty value":             {"a:\nb: 1\n", "a", "x", "a: x\nb: 1\n"},
		"empty value, comment":    {"a: # c\nb: 1\n", "a", "x", "a: x # c\nb: 1\n"},
		"crlf":                    {"a: 1\r\nb:\r\n  c: 2\r\n", "b.d", "x", "a: 1\r\nb:\r\n  c: 2\r\n  d: x\r\n"},
		"bom":                     {"\ufeffa: 1\n", "a", int64(2), "\ufeffa: 2\n"},
		"no newline":              {"a: 1", "b", int64(2), "a: 1\nb: 2"},
		"new key":                 {"a:\n  b: 1 # c\n\n# about z\nz: 1\n", "a.c", "x", "a:\n  b: 1 # c\n  c: x\n\n# about z\nz: 1\n"},
		"new nested":              {"a:\n    b: 1\n", "c.d[1].e", "x", "a:\n    b: 1\nc:\n    d:\n    - null\n    - e: x\n"},
		"new nested, deep lists":  {"a:\n  - b: 1\n", "c.d[0].e", "x", "a:\n  - b: 1\nc:\n  d:\n    - e: x\n"},
		"pad":                     {"a:\n- 1\n", "a[3]", int64(4), "a:\n- 1\n- null\n- null\n- 4\n"},
		"append map":              {"a:\n  - b: 1\nz: 1\n", "a[1]", object{"b": 2, "c": list{3}}, "a:\n  - b: 1\n  - b: 2\n    c:\n      - 3\nz: 1\n"},
		"map for scalar":          {"a: x # c\nb: 1\n", "a", object{"k": "v"}, "a: # c\n  k: v\nb: 1\n"},
		"list for scalar":         {"a: x\nb: 1\n", "a", list{"k", int64(1)}, "a:\n- k\n- 1\nb: 1\n"},
		"scalar for map":          {"a: # c\n  k: v\n  l: w\nb: 1\n", "a", "x", "a: x # c\nb: 1\n"},
		"scalar for list":         {"a:\n- 1\n- 2\nb: 1\n", "a", int64(3), "a: 3\nb: 1\n"},
		"map for list":            {"a:\n- 1\n- 2\nb: 1\n", "a", object{"k": "v"}, "a:\n  k: v\nb: 1\n"},
		"list for map":            {"a:\n  k: v\nb: 1\n", "a", list{"x"}, "a:\n  - x\nb: 1\n"},
		"map for map":             {"a:\n  k: v\n  l: w\nb: 1\n", "a", object{"z": object{"w": 1}}, "a:\n  z:\n    w: 1\nb: 1\n"},
		"empty map":               {"a:\n  k: v\nb: 1\n", "a", object{}, "a: {}\nb: 1\n"},
		"into empty map":          {"a: {} # c\nb: 1\n", "a.k", "v", "a: # c\n  k: v\nb: 1\n"},
		"into empty list":         {"a: []\nb: 1\n", "a[1]", "v", "a:\n- null\n- v\nb: 1\n"},
		"into null":               {"a:\n  k:\nb: 1\n", "a.k.l", "v", "a:\n  k:\n    l: v\nb: 1\n"},
		"into written null":       {"a: ~ # c\nb: 1\n", "a.k.l", "v", "a: # c\n  k:\n    l: v\nb: 1\n"},
		"item for map":            {"a:\n- b: 1\n  c: 2\n- d\n", "a[0]", "x", "a:\n- x\n- d\n"},
		"item, map for scalar":    {"a:\n- b # c\n- d\n", "a[0]", object{"k": "v"}, "a:\n- k: v # c\n- d\n"},
		"item, two keys":          {"a:\n- b\n- d\n", "a[0]", object{"k": "v", "l": list{"w"}}, "a:\n- k: v\n  l:\n  - w\n- d\n"},
		"empty item":              {"a:\n-\n- d\n", "a[0]", "x", "a:\n- x\n- d\n"},
		"empty item, map":         {"a:\n-\n- d\n", "a[0].k", "x", "a:\n- k: x\n- d\n"},
		"flow map":                {"a: {b: 1, c: 2} # c\n", "a.b", "x", "a: {b: x, c: 2} # c\n"},
		"flow map, new":           {"a: {b: 1}\n", "a.c.d", "x, y", "a: {b: 1, c: {d: \"x, y\"}}\n"},
		"flow list, new":          {"a: [1, 2]\n", "a[3]", int64(3), "a: [1, 2, null, 3]\n"},
		"flow, trailing comma":    {"a: [1, 2, ]\n", "a[2]", int64(3), "a: [1, 2, 3 ]\n"},
		"flow, lines":             {"a: {\n  b: 1, # one\n  c: 2 # two\n}\n", "a.d", int64(3), "a: {\n  b: 1, # one\n  c: 2, # two\n  d: 3\n}\n"},
		"flow for flow":           {"a: [1, 2]\n", "a", object{"k": list{"v"}}, "a: {k: [v]}\n"},
		"literal to literal":      {"a: | # c\n  one\n  two\nb: 1\n", "a", "x\ny\n", "a: | # c\n  x\n  y\nb: 1\n"},
		"literal to plain":        {"a: |- # c\n  one\n  two\n\nb: 1\n", "a", "x", "a: x # c\n\nb: 1\n"},
		"literal to map":          {"a: |-\n  one\n\n  two\nb: 1\n", "a", object{"k": "v"}, "a:\n  k: v\nb: 1\n"},
		"plain to literal":        {"a: x\nb: 1\n", "a", "x\ny\n", "a: |\n  x\n  y\nb: 1\n"},
		"plain to literal, c":     {"a: x # c\nb: 1\n", "a", "x\ny", "a: \"x\\ny\" # c\nb: 1\n"},
		"folded":                  {"a: >\n  one\n  two\nb: 1\n", "b", int64(2), "a: >\n  one\n  two\nb: 2\n"},
		"behind literal":          {"a:\n  k: |\n    one\n\n\nb: 1\n", "a.l", "x", "a:\n  k: |\n    one\n  l: x\n\n\nb: 1\n"},
		"behind keep":             {"a:\n  k: |+\n    one\n\n\nb: 1\n", "a.l", "x", "a:\n  k: |+\n    one\n\n\n  l: x\nb: 1\n"},
		"behind literal at end":   {"a: 1\nk: |\n  one", "l", "x", "l: x\na: 1\nk: |\n  one"},
		"plain of lines":          {"a: one\n  two\n\n  three # c\nb: 1\n", "a", "x", "a: x # c\nb: 1\n"},
		"double of lines":         {"a: \"one\n  two\"\nb: 1\n", "a", "x", "a: \"x\"\nb: 1\n"},
		"value on its own line":   {"a:\n  x\nb: 1\n", "a", "z", "a:\n  z\nb: 1\n"},
		"anchor stays":            {"a: &x 1\nb: *x\n", "a", int64(2), "a: &x 2\nb: *x\n"},
		"anchor of map stays":     {"a: &x\n  k: 1\nb: *x\n", "a.k", int64(2), "a: &x\n  k: 2\nb: *x\n"},
		"anchor of map, replaced": {"a: &x\n  k: 1\nb: *x\n", "a", object{"l": 2}, "a: &x\n  l: 2\nb: *x\n"},
		"alias replaced":          {"a: &x 1\nb: *x # c\n", "b", int64(2), "a: &x 1\nb: 2 # c\n"},
		"tag goes":                {"a: !!str 1\nb: 1\n", "a", int64(2), "a: 2\nb: 1\n"},
		"merge key, own":          {"x: &x {k: 1}\na:\n  <<: *x\n  l: 2\n", "a.k", int64(3), "x: &x {k: 1}\na:\n  <<: *x\n  l: 2\n  k: 3\n"},
		"markers":                 {"%YAML 1.1\n# c\n---\na: 1\n...\n# end\n", "a", int64(2), "%YAML 1.1\n# c\n---\na: 2\n...\n# end\n"},
		"document on marker":      {"--- {a: 1}\n", "a", int64(2), "--- {a: 2}\n"},
		"second document":         {"a: 1\n---\nb:\n  c: 1\n---\nb:\n  c: 1\n", "b.c", int64(2), "a: 1\n---\nb:\n  c: 2\n---\nb:\n  c: 1\n"},
		"no document fits":        {"---\n# nothing\n---\na: 1\n---\nb: 1\n", "c.d", int64(2), "---\n# nothing\n---\na: 1\nc:\n  d: 2\n---\nb: 1\n"},
		"others may be anything":  {"a: 1\n---\n\"x\"\n---\n- 1\n", "a", int64(2), "a: 2\n---\n\"x\"\n---\n- 1\n"},
		"empty file":              {"", "a.b", "x", "a:\n  b: x\n"},
		"only comments":           {"# c", "a[0]", "x", "# c\na:\n- x\n"},
		"same value":              {"a:   'x'  # c\n", "a", "x", "a:   'x'  # c\n"},
		"explicit key":            {"? a\n: b\n? c\n", "a", "x", "? a\n: x\n? c\n"},
		"compact nested":          {"- - a: 1\n    b: 2\n  - c\n", "[0][0].b", int64(3), "- - a: 1\n    b: 3\n  - c\n"},
		"wide characters":         {"é: ü # ö\nb: 1\n", "é", "ä", "é: ä # ö\nb: 1\n"},
		"hash in text":            {"a: b#c # d\n", "a", "e#f", "a: e#f # d\n"},
		"trailing blanks":         {"a: 1   \nb: 2\t\n", "b", int64(3), "a: 1   \nb: 3\t\n"},
		"json":                    {"{\n\t\"a\": 1,\n\t\"b\": [1, 2]\n}\n", "a", "x", "{\n\t\"a\": \"x\",\n\t\"b\": [1, 2]\n}\n"},
		"json, new":               {"{\n  \"a\": 1\n}\n", "b.c", "x", "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": \"x\"\n  }\n}\n"},
		"json, one line":          {`{"a":1,"b":{"c":true}}`, "b.d", list{"x", nil}, `{"a":1,"b":{"c":true,"d":["x",null]}}`},
		"json, into empty":        {"{\n    \"a\": {}\n}", "a.b", int64(1), "{\n    \"a\": {\n        \"b\": 1\n    }\n}"},
		"json, escapes":           {`{"a": "\ud83d\ude00\/", "b": "1"}`, "b", "<\n", `{"a": "\ud83d\ude00\/", "b": "<\n"}`},
		"json, list":              {"[\n  1,\n  2\n]\n", "[2].a", int64(3), "[\n  1,\n  2,\n  {\n    \"a\": 3\n  }\n]\n"},
		"json, big numbers":       {`{"a": 12345678901234567890123, "b": 1.50}`, "c", int64(1), `{"a": 12345678901234567890123, "b": 1.50, "c": 1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := yamledit.Apply([]byte(tc.in), []yamledit.Edit{{Path: tc.path, Value: tc.value}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.SplitAfter(tc.want, "\n"), strings.SplitAfter(string(got), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
