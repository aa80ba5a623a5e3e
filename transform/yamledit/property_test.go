package yamledit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// decode reads all documents of a file without the code under test.
func decode(content []byte) ([]any, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if trimmed := bytes.TrimSpace(content); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(content) {
		var doc any
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.UseNumber()
		err := decoder.Decode(&doc)
		return []any{doc}, err
	}
	var docs []any
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc any
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}

// assign is the plain model of an edit.
func assign(doc any, path yamledit.Path, value any) (any, bool) {
	if len(path) == 0 {
		return value, true
	}
	step := path[0]
	if step.Index >= 0 {
		items, ok := doc.([]any)
		if !ok && doc != nil {
			return nil, false
		}
		items = append([]any{}, items...)
		for len(items) <= step.Index {
			items = append(items, nil)
		}
		items[step.Index], ok = assign(items[step.Index], path[1:], value)
		return items, ok
	}
	m, ok := doc.(map[string]any)
	if !ok && doc != nil {
		return nil, false
	}
	out := map[string]any{}
	maps.Copy(out, m)
	out[step.Key], ok = assign(out[step.Key], path[1:], value)
	return out, ok
}

// normalise makes numbers of all decoders comparable.
func normalise(v any) any {
	switch v := v.(type) {
	case []any:
		out := []any{}
		for _, item := range v {
			out = append(out, normalise(item))
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k, item := range v {
			out[k] = normalise(item)
		}
		return out
	case map[any]any:
		out := map[string]any{}
		for k, item := range v {
			out[fmt.Sprint(k)] = normalise(item)
		}
		return out
	case int, int64, uint64, float64, json.Number:
		return fmt.Sprint(v)
	default:
		return v
	}
}

// oddKeys tells whether a map has a key that is no text.
func oddKeys(v any) bool {
	switch v := v.(type) {
	case map[any]any:
		return true
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), oddKeys)
	case []any:
		return slices.ContainsFunc(v, oddKeys)
	default:
		return false
	}
}

// checkEdit proves the property of every edit that succeeded: the file says what the model says, and
// the lines around the change are the same bytes.
func checkEdit(t *testing.T, in, out []byte, path yamledit.Path, value any) {
	t.Helper()
	before, err := decode(in)
	if err != nil {
		return // the edited document alone was readable
	}
	after, err := decode(out)
	if err != nil {
		t.Fatalf("the result is broken: %v\n%s", err, out)
	}
	if len(before) == 0 {
		before = []any{nil}
	}
	if slices.ContainsFunc(before, oddKeys) {
		return // the model has no keys but texts
	}
	if len(before) != len(after) {
		t.Fatalf("%d documents became %d:\n%s", len(before), len(after), out)
	}
	changed := 0
	for i := range before {
		if cmp.Equal(normalise(before[i]), normalise(after[i])) {
			continue
		}
		changed++
		want, ok := assign(before[i], path, value)
		if diff := cmp.Diff(normalise(want), normalise(after[i])); !ok || diff != "" {
			t.Fatalf("document %d after setting %s, -want +got:\n%s\nbefore:\n%s\nafter:\n%s", i, path, diff, in, out)
		}
	}
	if changed > 1 {
		t.Fatalf("%d documents changed", changed)
	}
	if changed == 0 && !bytes.Equal(in, out) && !bytes.ContainsAny(in, "!|>'\"{[") {
		var model []string
		for i := range before {
			want, ok := assign(before[i], path, value)
			model = append(model, fmt.Sprint(ok, cmp.Equal(normalise(want), normalise(before[i]))))
		}
		if !strings.Contains(strings.Join(model, ","), "true") {
			t.Fatalf("bytes changed without a change of what they say:\n%s\n%s", in, out)
		}
	}
}

// sourceWriter writes random files in many styles.
type sourceWriter struct {
	*rand.Rand
	strings.Builder
	eol string
	id  int
}

func (w *sourceWriter) pick(options ...string) string { return options[w.IntN(len(options))] }

func (w *sourceWriter) key() string {
	w.id++
	return w.pick(fmt.Sprintf("k%d", w.id), fmt.Sprintf(`"k.%d"`, w.id), fmt.Sprintf("'k %d'", w.id), fmt.Sprintf("app.io/k%d", w.id))
}

func (w *sourceWriter) comment() string {
	return w.pick("", "", "", "  ", " # note", "  # it's \"here\": [x")
}

func (w *sourceWriter) inline() string {
	return w.pick("1", "-2.50", "true", "null", "~", "plain", "two words", "a#b", "http://x:80/y?z=1", "'single ''q'''", `"double \"q\" \\ \u00e9"`, "ü", "{}", "[]",
		"{a: 1, b: [x, 'y']}", "[1, {c: d}, \"e\"]", "{ a: 1 , }", "!!str 5", `""`, "a, b", "x-{y}")
}

// value writes what stands behind a key or dash, with its line break.
func (w *sourceWriter) value(indent, depth int) {
	pad := strings.Repeat(" ", indent)
	switch n := w.IntN(12); {
	case n < 3 && depth > 0:
		w.WriteString(w.comment() + w.eol)
		w.block(indent+w.IntN(3)+1, depth-1)
	case n == 3:
		w.WriteString(w.pick(" |", " |-", " >", " |+ # c") + w.eol + pad + "    text # no comment" + w.eol + w.pick("", w.eol, pad+"      more"+w.eol) + pad + "    end: x" + w.eol)
	case n == 4:
		w.WriteString(w.comment() + w.eol)
	case n == 5:
		w.WriteString(" {" + w.eol + pad + "   x: 1," + w.comment() + w.eol + pad + "   y: [2]" + w.eol + pad + "  }" + w.comment() + w.eol)
	case n == 6:
		w.WriteString(" some" + w.eol + pad + "    more words" + w.comment() + w.eol)
	case n == 7:
		w.WriteString(" \"some" + w.eol + pad + "    more # words\"" + w.comment() + w.eol)
	default:
		w.WriteString(w.pick(" ", "  ", " ") + w.inline() + w.pick("", "\t") + w.comment() + w.eol)
	}
	if w.IntN(8) == 0 {
		w.WriteString(w.pick("", pad+"# about the next"+w.eol, w.eol))
	}
}

func (w *sourceWriter) block(indent, depth int) {
	pad := strings.Repeat(" ", indent)
	list := depth >= 0 && w.IntN(3) == 0
	for range w.IntN(4) + 1 {
		switch {
		case list && w.IntN(3) == 0 && depth > 0:
			w.WriteString(pad + "- " + w.key() + ":")
			w.value(indent+2, depth-1)
			w.WriteString(pad + "  " + w.key() + ":")
			w.value(indent+2, depth-1)
		case list:
			w.WriteString(pad + "-")
			w.value(indent, depth-1)
		default:
			w.WriteString(pad + w.key() + ":")
			w.value(indent, depth-1)
		}
	}
}

// paths collects paths of a value and some that are next to them.
func paths(v any, at yamledit.Path) []yamledit.Path {
	extend := func(s yamledit.Step) yamledit.Path { return append(append(yamledit.Path{}, at...), s) }
	var out []yamledit.Path
	if len(at) > 0 {
		out = append(out, at)
	}
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			out = append(out, paths(item, extend(yamledit.Step{Key: key, Index: -1}))...)
		}
		out = append(out, extend(yamledit.Step{Key: "new", Index: -1}), append(extend(yamledit.Step{Key: "deep", Index: -1}), yamledit.Step{Index: 1}, yamledit.Step{Key: "x.y", Index: -1}))
	case []any:
		for i, item := range v {
			out = append(out, paths(item, extend(yamledit.Step{Index: i}))...)
		}
		out = append(out, extend(yamledit.Step{Index: len(v)}), extend(yamledit.Step{Index: len(v) + 2}))
	case nil:
		out = append(out, extend(yamledit.Step{Key: "below", Index: -1}), extend(yamledit.Step{Index: 0}))
	}
	return out
}

var values = []any{
	"text", "6.3.6", "123", "true", "", " padded ", "a: b # c", "two\nlines\n", "two\nlines", "\n\nodd\n\n", "it's", `say "x"`, "ü\u2028\x01", "- x", "{x}", "y", int64(42), -1.5, true, nil,
	list{},
	object{},
	list{"a", int64(1), list{nil}},
	object{"k": "v", "l": object{"m": list{"x", object{"n": "o\np\n"}}}},
}

var thorough = flag.Bool("thorough", false, "try more random files")

// TestApplyProperty edits many random files at every path and counts how many edits are refused: a
// refusal is allowed where a comment would be lost, and rare.
func TestApplyProperty(t *testing.T) {
	t.Parallel()
	seeds := uint64(40)
	if *thorough {
		seeds = 3000
	}
	edits, refused := 0, map[string]int{}
	for seed := range seeds {
		w := &sourceWriter{Rand: rand.New(rand.NewPCG(seed, 1)), eol: "\n"}
		if seed%5 == 0 {
			w.eol = "\r\n"
		}
		for range w.IntN(3) + 1 {
			w.WriteString(w.pick("---", "--- # doc", "---\n# comment") + w.eol)
			w.block(0, 4)
		}
		in := []byte(w.String())
		if seed%7 == 0 {
			in = bytes.TrimSuffix(in, []byte(w.eol))
		}
		docs, err := decode(in)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, in)
		}
		for i, doc := range docs {
			for _, path := range paths(doc, nil) {
				value := values[w.IntN(len(values))]
				out, err := yamledit.Apply(t.Context(), in, []yamledit.Edit{{Path: path.String(), Value: value, Document: &i}})
				edits++
				if err != nil {
					refused[err.Error()[strings.LastIndex(err.Error(), ": ")+2:]]++
					if strings.Contains(err.Error(), "other parts") || strings.Contains(err.Error(), "unusual") {
						t.Errorf("seed %d: set %s to %#v: %v\n%s", seed, path, value, err, in)
					}
					continue
				}
				checkEdit(t, in, out, path, value)
				checkLines(t, in, out, doc, path, value)
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d edits, refused: %v", edits, refused)
	for reason, n := range refused {
		if n > edits/50 {
			t.Errorf("%d of %d edits were refused: %s", n, edits, reason)
		}
	}
}

// literally reads all documents of a file with aliases, anchors and merge keys as they are written, as an edit must change
// one of the places that are written and no other.
func literally(content []byte) ([]any, error) {
	var docs []any
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, written(&doc))
	}
}

func written(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return written(n.Content[0])
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			m[n.Content[i].Value] = written(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		items := []any{}
		for _, item := range n.Content {
			items = append(items, written(item))
		}
		return items
	case yaml.AliasNode:
		return "*" + n.Value
	default:
		var v any
		if n.Decode(&v) != nil || n.ShortTag() == "!!binary" || n.ShortTag() == "!!timestamp" {
			return n.Value
		}
		return v
	}
}

// checkWritten is checkEdit for files with anchors.
func checkWritten(t *testing.T, in, out []byte, path yamledit.Path, value any) {
	t.Helper()
	before, err := literally(in)
	if err != nil {
		return
	}
	if len(before) == 0 {
		before = []any{nil}
	}
	after, err := literally(out)
	if err != nil || len(before) != len(after) {
		t.Fatalf("%d documents became %d: %v\n%s", len(before), len(after), err, out)
	}
	changed := 0
	for i := range before {
		if cmp.Equal(normalise(before[i]), normalise(after[i])) {
			continue
		}
		changed++
		want, ok := assign(before[i], path, value)
		if diff := cmp.Diff(normalise(want), normalise(after[i])); !ok || diff != "" {
			t.Fatalf("another place than %s was changed, -want +got:\n%s\nbefore:\n%s\nafter:\n%s", path, diff, in, out)
		}
	}
	if changed > 1 {
		t.Fatalf("%d documents changed", changed)
	}
}

// checkLines proves that one line at most differs when a number takes the place of a word.
func checkLines(t *testing.T, in, out []byte, doc any, path yamledit.Path, value any) {
	t.Helper()
	a, b := bytes.SplitAfter(in, []byte("\n")), bytes.SplitAfter(out, []byte("\n"))
	head := 0
	for head < len(a) && head < len(b) && bytes.Equal(a[head], b[head]) {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && bytes.Equal(a[len(a)-1-tail], b[len(b)-1-tail]) {
		tail++
	}
	for _, line := range a[head : len(a)-tail] {
		if i := bytes.Index(line, []byte(" # note")); i >= 0 && !bytes.Contains(bytes.Join(b[head:len(b)-tail], nil), line[i:]) {
			if _, isScalar := lookup(doc, path).(map[string]any); !isScalar {
				if _, isList := lookup(doc, path).([]any); !isList {
					t.Fatalf("a comment was lost by setting %s to %#v:\n%s\n%s", path, value, in, out)
				}
			}
		}
	}
}

func lookup(doc any, path yamledit.Path) any {
	for _, step := range path {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step.Key]
		case []any:
			if step.Index < 0 || step.Index >= len(v) {
				return nil
			}
			doc = v[step.Index]
		default:
			return nil
		}
	}
	return doc
}

func FuzzApply(f *testing.F) {
	for _, in := range []string{
		"a: 1\nb:\n  - c: x # y\n    d: |\n      z\n", "---\na: {b: [1, 'c']}\n---\nd: \"e\\n\"\n...\n", `{"a": [1, {"b": "\ud83d\ude00"}], "c": null}`, "? a\n: - b\n- c\n", "a: &x b\nc: *x\n<<: {d: 1}\n",
		"- - a\n  -\n", "a: >-\n\n  b\n\n   c\n\nd:\n", "\ufeffa: b\r\nc:\r\n- d\r\n", "a: b\n  c\n\n  d\ne: 'f\n  g'\n", "%YAML 1.1\n--- !!map\na: !t b\n", "%YAML 1.2\n# c\n---\na: b\n", "a: {\n  b: 1, # c\n}\n", "{a, b: , ? c : d}", "[a: b, c]",
		"a: |2-\n    x\n  y\nb: c", "key: -1\n", "", "# only\n", "a:\n- b\n-   c: d\n    e: f\n",
	} {
		for i, path := range []string{"a", "b[0].c", "c", "[0][1]", "new.list[2]", `"d"`} {
			f.Add([]byte(in), path, uint8(i*5))
		}
	}
	corpus, err := filepath.Glob("testdata/corpus/*.edits")
	if err != nil || len(corpus) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for i, list := range corpus {
		in, err := os.ReadFile(strings.TrimSuffix(list, ".edits"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(in, []string{"a", "spec.replicas", "data.a", "image", "[0]"}[i%5], uint8(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, path string, choice uint8) {
		value := values[int(choice)%len(values)]
		parsed, err := yamledit.ParsePath(path)
		if err != nil {
			return
		}
		for _, step := range parsed {
			if step.Index > 50 {
				return
			}
		}
		before := bytes.Clone(in)
		out, err := yamledit.Apply(t.Context(), in, []yamledit.Edit{{Path: path, Value: value}})
		if !bytes.Equal(before, in) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			return
		}
		if bytes.ContainsAny(in, "&*") || bytes.Contains(in, []byte("<<")) {
			checkWritten(t, in, out, parsed, value) // as one edit may show in several places
			return
		}
		checkEdit(t, in, out, parsed, value)
		again, err := yamledit.Apply(t.Context(), out, []yamledit.Edit{{Path: path, Value: value}})
		if err != nil || len(again) > 2*len(out)+100 {
			t.Fatalf("the result cannot be edited again: %v\n%s", err, out)
		}
	})
}

// FuzzDocuments checks that a file is its documents and nothing else.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{"a: 1\n---\nb: 2\n...\n# c\n", "%YAML 1.2\n---\na\n---\n", `{"a": [1]}`, "\ufeffa: 1", "--- |\n  a\n--- b", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		docs, err := yamledit.Documents(in)
		if err != nil {
			return
		}
		var texts []byte
		line := 1
		for i, d := range docs {
			if d.Line != line || d.Node == nil || d.JSON && len(docs) > 1 {
				t.Fatalf("document %d: %+v, want line %d", i, d, line)
			}
			line += bytes.Count(d.Text, []byte("\n"))
			texts = append(texts, d.Text...)
		}
		if !bytes.Equal(texts, bytes.TrimPrefix(in, []byte("\ufeff"))) {
			t.Fatalf("the documents of %q are %q", in, texts)
		}
	})
}
