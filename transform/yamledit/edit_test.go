package yamledit_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

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
		"anchor, map to list":     {"a: &x # why\n  b: 1\nc: *x\n", "a", list{}, "a: &x [] # why\nc: *x\n"},
		"alias replaced":          {"a: &x 1\nb: *x # c\n", "b", int64(2), "a: &x 1\nb: 2 # c\n"},
		"tag goes":                {"a: !!str 1\nb: 1\n", "a", int64(2), "a: 2\nb: 1\n"},
		"merge key, own":          {"x: &x {k: 1}\na:\n  <<: *x\n  l: 2\n", "a.k", int64(3), "x: &x {k: 1}\na:\n  <<: *x\n  l: 2\n  k: 3\n"},
		"markers":                 {"%YAML 1.1\n# c\n---\na: 1\n...\n# end\n", "a", int64(2), "%YAML 1.1\n# c\n---\na: 2\n...\n# end\n"},
		"YAML 1.2":                {"%YAML 1.2\n---\na: 1\n", "a", int64(2), "%YAML 1.2\n---\na: 2\n"},
		"YAML 1.2, twice":         {"# c\r\n%YAML 1.2 # d\r\n--- # e\r\na: 1\r\n...\r\n%YAML 1.2\r\n---\r\nb: |\r\n  %YAML 1.2\r\n", "c", int64(2), "# c\r\n%YAML 1.2 # d\r\n--- # e\r\na: 1\r\nc: 2\r\n...\r\n%YAML 1.2\r\n---\r\nb: |\r\n  %YAML 1.2\r\n"},
		"YAML 1.2 and tags":       {"%TAG ! tag:a.b,2000:\n%YAML 1.2\n---\na: !x 1\nb: 1\n", "b", int64(2), "%TAG ! tag:a.b,2000:\n%YAML 1.2\n---\na: !x 1\nb: 2\n"},
		"document on marker":      {"--- {a: 1}\n", "a", int64(2), "--- {a: 2}\n"},
		"second document":         {"a: 1\n---\nb:\n  c: 1\n---\nb:\n  c: 1\n", "b.c", int64(2), "a: 1\n---\nb:\n  c: 2\n---\nb:\n  c: 1\n"},
		"last document has it":    {"a: 1\n---\nb: 1\n---\nc: 1\n", "c", int64(2), "a: 1\n---\nb: 1\n---\nc: 2\n"},
		"second has all of it":    {"kind: Service\nspec:\n  type: X\n---\nkind: Deployment\nspec:\n  replicas: 1\n", "spec.replicas", int64(2), "kind: Service\nspec:\n  type: X\n---\nkind: Deployment\nspec:\n  replicas: 2\n"},
		"second has it empty":     {"spec: {}\n---\nspec:\n  replicas:\n", "spec.replicas", int64(2), "spec: {}\n---\nspec:\n  replicas: 2\n"},
		"second has the parent":   {"a: 1\n---\nspec:\n  b: 1\n---\nspec:\n  b: 1\n", "spec.c", int64(2), "a: 1\n---\nspec:\n  b: 1\n  c: 2\n---\nspec:\n  b: 1\n"},
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
			got, err := yamledit.Apply(t.Context(), []byte(tc.in), []yamledit.Edit{{Path: tc.path, Value: tc.value}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.SplitAfter(tc.want, "\n"), strings.SplitAfter(string(got), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestApplyRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for name, tc := range map[string]struct {
		in   string
		edit yamledit.Edit
		want string
	}{
		"alias":               {"a: &x {b: 1}\nc: *x\n", yamledit.Edit{Path: "c.b", Value: 1}, `c is an alias of the anchor "x" (line 2)`},
		"second document":     {"a: 1\n---\na: &x {b: 1}\nc: *x\n", yamledit.Edit{Path: "c.b", Value: 1}, "document 1, whose line 1 is line 2 of the file: c is an alias"},
		"merge key":           {"x: &x {k: {l: 1}}\na:\n  <<: *x\n", yamledit.Edit{Path: "a.k.l", Value: 1}, `a has no key "k" of its own`},
		"lost anchor":         {"a:\n  b: &x 1\nc: *x\n", yamledit.Edit{Path: "a", Value: 1}, `the value holds the anchor "x", which is used in line 3`},
		"duplicate":           {"a: 1\nb: 2\na: 3\n", yamledit.Edit{Path: "b", Value: 1}, `the key "a" is there twice, in lines 1 and 3`},
		"duplicate, json":     {`{"a": 1, "a": 2}`, yamledit.Edit{Path: "a", Value: 1}, `the key "a" is there twice`},
		"key of a list":       {"a:\n- 1\n", yamledit.Edit{Path: "a.b", Value: 1}, "a is a list, an element of it is written like a[0]"},
		"index of a map":      {"a:\n  b: 1\n", yamledit.Edit{Path: "a[0]", Value: 1}, "a is a map, [0] is an element of a list"},
		"below a scalar":      {"a: text\n", yamledit.Edit{Path: "a.b", Value: 1}, `a is a text, it has nothing inside`},
		"below the root":      {"- a\n", yamledit.Edit{Path: "a", Value: 1}, "the document is a list"},
		"path":                {"a: 1\n", yamledit.Edit{Path: "a | b", Value: 1}, `path "a | b", column 2`},
		"document":            {"a: 1\n", yamledit.Edit{Path: "a", Value: 1, Document: new(1)}, "document 1 is not in the file, which has 1"},
		"negative document":   {"a: 1\n", yamledit.Edit{Path: "a", Value: 1, Document: new(-1)}, "document -1 is not in the file"},
		"selector":            {"kind: A\nmetadata: {name: x}\n---\nkind: B\n", yamledit.Edit{Path: "a", Selector: &yamledit.Selector{Kind: "C", Name: "x"}}, `no document has kind "C" and name "x", there are: A "x", B ""`},
		"ambiguous selector":  {"kind: A\n---\nkind: A\n", yamledit.Edit{Path: "a", Selector: &yamledit.Selector{Kind: "A"}}, "fits more than one document"},
		"document and select": {"kind: A\n", yamledit.Edit{Path: "a", Document: new(0), Selector: &yamledit.Selector{Kind: "A"}}, "cannot be given both"},
		"no yaml":             {"a: {{ .Values.x }}\n  b", yamledit.Edit{Path: "a", Value: 1}, "yaml:"},
		"YAML 2.0":            {"%YAML 2.0\n---\na: 1\n", yamledit.Edit{Path: "a", Value: 1}, "incompatible YAML document"},
		"utf-16":              {"\xff\xfea\x00", yamledit.Edit{Path: "a", Value: 1}, "UTF-16"},
		"deep":                {"a: " + deep, yamledit.Edit{Path: "b", Value: 1}, "nested deeper"},
		"deep json":           {deep, yamledit.Edit{Path: "[1]", Value: 1}, "nested deeper"},
		"unknown type":        {"a: 1\n", yamledit.Edit{Path: "a", Value: struct{}{}}, "cannot be written"},
		"comment would go":    {"a:\n  # why\n  text\n", yamledit.Edit{Path: "a", Value: list{1}}, "comment within the value that would be lost"},
		"too large":           {strings.Repeat("#", yamledit.MaxBytes+1), yamledit.Edit{Path: "a", Value: 1}, "larger than 16 MiB"},
		"too many":            {"[" + strings.Repeat("1,", 500_001) + "1]", yamledit.Edit{Path: "[0]", Value: 1}, "more values than can be edited"},
		"result too large":    {"a: 1\n", yamledit.Edit{Path: "a", Value: strings.Repeat("x", yamledit.MaxBytes)}, "without changing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := yamledit.Apply(t.Context(), []byte(tc.in), []yamledit.Edit{tc.edit})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q, got %v and:\n%s", tc.want, err, out)
			}
		})
	}
}

// TestApplyKeepsValuesSecret makes sure that an edit that fails does not quote what an earlier one wrote.
func TestApplyKeepsValuesSecret(t *testing.T) {
	t.Parallel()
	const in = "kind: A\nmetadata:\n  name: x\n---\nkind: B\nmetadata:\n  name: y\n"
	for name, edits := range map[string][]yamledit.Edit{
		"text":     {{Path: "a", Value: "s3cr3t"}, {Path: "a.b", Value: 1}},
		"number":   {{Path: "a", Value: 5318008}, {Path: "a.b", Value: 1}},
		"selector": {{Path: "metadata.name", Value: "s3cr3t"}, {Path: "a", Value: 1, Selector: &yamledit.Selector{Kind: "C"}}},
		"infinite": {{Path: "a", Value: math.Inf(-1)}},
	} {
		_, err := yamledit.Apply(t.Context(), []byte(in), edits)
		if err == nil || strings.Contains(err.Error(), "s3cr3t") || strings.Contains(err.Error(), "5318008") || strings.Contains(err.Error(), "-Inf") {
			t.Errorf("%s: want an error without the value, got %v", name, err)
		}
	}
}

func TestParsePath(t *testing.T) {
	t.Parallel()
	key := func(s string) yamledit.Step { return yamledit.Step{Key: s, Index: -1} }
	index := func(i int) yamledit.Step { return yamledit.Step{Index: i} }
	for in, want := range map[string]yamledit.Path{
		"a": {key("a")}, ".a": {key("a")}, "a.b[0].c": {key("a"), key("b"), index(0), key("c")}, `a."dotted.key"`: {key("a"), key("dotted.key")}, "a['x']": {key("a"), key("x")},
		`a["x\"y\\"].z`: {key("a"), key(`x"y\`), key("z")}, "[0][1]": {index(0), index(1)}, "a.'b c'": {key("a"), key("b c")}, `"a"`: {key("a")}, "data.KEY_1": {key("data"), key("KEY_1")},
		"labels['app.io/name']": {key("labels"), key("app.io/name")}, "a.0": {key("a"), key("0")}, "ü.ä": {key("ü"), key("ä")}, "a['']": {key("a"), key("")}, "env": {key("env")},
	} {
		got, err := yamledit.ParsePath(in)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got:\n%s", in, err, diff)
		}
		if again, err := yamledit.ParsePath(got.String()); err != nil || !cmp.Equal(again, got) {
			t.Errorf("%s became %s, which is %v, %v", in, got, again, err)
		}
	}
}

func TestParsePathRefuses(t *testing.T) {
	t.Parallel()
	for in, column := range map[string]int{
		"": 1, ".": 2, "a.": 3, "a..b": 3, "a b": 2, "a | b": 2, "x = load(\"/etc/passwd\") | .a": 2, "load(\"x\")": 5, "strenv(HOME)": 7, "a[": 3, "a[]": 3, "a[*]": 3, "a[-1]": 3, "a[1": 4,
		"a[0:1]": 4, "a.*": 3, "..a": 2, "a[0]b": 5, "a[\"x\"": 6, "a.\"x": 3, "a['x": 3, "a[99999999999999999999]": 3, "a[10001]": 3, "a+b": 2, "a,b": 2, "a//b": 2, "a/b": 2, "a;b": 2, "$x": 1, "a.(b)": 3,
		"a[.b]": 3, "a\nb": 2, "a == b": 2, "a?": 2, "a[0] ": 5, " a": 1, "a{b}": 2, "\xff": 1, "a.b!": 4, "a\"b\"": 2, "del(.a)": 4, "@json": 1, "ä|": 2,
	} {
		_, err := yamledit.ParsePath(in)
		var bad *yamledit.PathError
		if !errors.As(err, &bad) || bad.Column != column || !strings.Contains(err.Error(), `a.b[0].c`) {
			t.Errorf("%q: want a PathError at column %d that says what is allowed, got %v", in, column, err)
		}
	}
	for _, in := range []string{strings.Repeat("a.", 100) + "a", strings.Repeat("a", 5000)} {
		if _, err := yamledit.ParsePath(in); err == nil {
			t.Errorf("a path of %d bytes was accepted", len(in))
		}
	}
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"a.b[0].c", `a."dotted.key"`, "a['x']", `["\""]`, "a | b", ".", "[0]", "ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		path, err := yamledit.ParsePath(in)
		if err != nil {
			return
		}
		again, err := yamledit.ParsePath(path.String())
		if err != nil || !cmp.Equal(path, again) {
			t.Fatalf("%q is %v, written %q, which is %v, %v", in, path, path, again, err)
		}
	})
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden edits real manifests. Each directory has the file in, the edits and the file want.
func TestGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/golden/*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			var edits []yamledit.Edit
			if err := yaml.Unmarshal(read(t, dir, "edits.yaml"), &edits); err != nil {
				t.Fatal(err)
			}
			got, err := yamledit.Apply(t.Context(), read(t, dir, "in"), edits)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(filepath.Join(dir, "want"), got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(strings.SplitAfter(string(read(t, dir, "want")), "\n"), strings.SplitAfter(string(got), "\n")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestEditErrorNamesTheEdit(t *testing.T) {
	t.Parallel()
	_, err := yamledit.Apply(t.Context(), []byte("a: 1\n"), []yamledit.Edit{{Path: "a", Value: 2}, {Path: "a.b", Value: 3}})
	var failed *yamledit.EditError
	if !errors.As(err, &failed) || failed.Index != 1 || failed.Path != "a.b" {
		t.Errorf("want the EditError of edit 1, got %v", err)
	}
}

// TestApplyAliasBomb makes sure that aliases are never expanded.
func TestApplyAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x]\n")
	for i := range 60 {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	got, err := yamledit.Apply(t.Context(), []byte(b.String()), []yamledit.Edit{{Path: "z", Value: 1}})
	if err != nil || string(got) != b.String()+"z: 1\n" {
		t.Errorf("got %v and %s", err, got)
	}
}

func TestApplyBoundsItsWork(t *testing.T) {
	t.Parallel()
	content := []byte(strings.Repeat("a: 1\n---\n", 10_000) + "kind: X\n")
	edits := slices.Repeat([]yamledit.Edit{{Path: "kind", Value: "X", Selector: &yamledit.Selector{Kind: "X"}}}, 1000)
	_, err := yamledit.Apply(t.Context(), content, edits)
	var failed *yamledit.EditError
	if !errors.Is(err, yamledit.ErrWork) || !errors.As(err, &failed) || failed.Index < 10 {
		t.Errorf("want ErrWork after some edits, got %v", err)
	}
}

func TestApplyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := yamledit.Apply(ctx, []byte("a: 1\n"), []yamledit.Edit{{Path: "a", Value: 2}}); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	late, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	content := []byte("a: 0\n" + strings.Repeat("# comment\n", 10_000))
	edits := make([]yamledit.Edit, 100_000)
	for i := range edits {
		edits[i] = yamledit.Edit{Path: "a", Value: i + 1}
	}
	if _, err := yamledit.Apply(late, content, edits); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want context.DeadlineExceeded, got %v", err)
	}
}

func BenchmarkApply(b *testing.B) {
	deployment, err := os.ReadFile("testdata/golden/manifests/in")
	if err != nil {
		b.Fatal(err)
	}
	edits := []yamledit.Edit{{Path: "spec.template.spec.containers[0].image", Value: "ghcr.io/a/b:2"}, {Path: "data.NEW", Value: "x"}}
	for _, copies := range []int{1, 100} {
		content := bytes.Repeat(append(deployment, "---\n"...), copies)
		b.Run(fmt.Sprintf("%d documents", 3*copies), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := yamledit.Apply(b.Context(), content, edits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
