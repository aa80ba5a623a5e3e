package yamledit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// corpusEdit is one line of an .edits file: an edit, and what it does to the bytes.
type corpusEdit struct {
	yamledit.Edit `yaml:",inline"`

	// Old is a text that is once in the file, and New is what stands there afterwards. No other byte may change.
	Old, New string
	// Error is in the message of an edit that is refused.
	Error string
}

// TestCorpus edits files as operators meet them, each edit on its own: every byte outside the edited value stays, and
// the file says what its model says.
func TestCorpus(t *testing.T) {
	t.Parallel()
	lists, err := filepath.Glob("testdata/corpus/*.edits")
	if err != nil || len(lists) < 60 {
		t.Fatalf("want at least 60 files, got %d, %v", len(lists), err)
	}
	for _, list := range lists {
		name := strings.TrimSuffix(filepath.Base(list), ".edits")
		in := read(t, "testdata/corpus", name)
		var edits []corpusEdit
		if err := yaml.Unmarshal(read(t, "testdata/corpus", name+".edits"), &edits); err != nil || len(edits) == 0 {
			t.Fatalf("%s: %d edits, %v", list, len(edits), err)
		}
		for i, e := range edits {
			t.Run(fmt.Sprintf("%s/%d %s", name, i, e.Path), func(t *testing.T) {
				t.Parallel()
				checkCorpus(t, in, e)
			})
		}
	}
	files, err := os.ReadDir("testdata/corpus")
	if err != nil || len(files) != 2*len(lists) {
		t.Errorf("%d files have %d lists of edits, %v", len(files)-len(lists), len(lists), err)
	}
}

func checkCorpus(t *testing.T, in []byte, e corpusEdit) {
	t.Helper()
	before := bytes.Clone(in)
	out, err := yamledit.Apply(t.Context(), in, []yamledit.Edit{e.Edit})
	if !bytes.Equal(in, before) {
		t.Fatal("the input was changed")
	}
	if e.Error != "" {
		if err == nil || !strings.Contains(err.Error(), e.Error) || out != nil {
			t.Fatalf("want an error with %q and no result, got %v and %q", e.Error, err, out)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(in, []byte(e.Old)); n != 1 && len(in) > 0 {
		t.Fatalf("the old text is in the file %d times", n)
	}
	want := bytes.Replace(in, []byte(e.Old), []byte(e.New), 1)
	if diff := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(out), "\n")); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	path, err := yamledit.ParsePath(e.Path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.ContainsAny(in, "&*") {
		checkEdit(t, in, out, path, e.Value)
	} else {
		checkWritten(t, in, out, path, e.Value)
	}
	again, err := yamledit.Apply(t.Context(), out, []yamledit.Edit{e.Edit})
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("the same edit once more: %v\n%s", err, again)
	}
}

// TestLargeFiles edits files of 5 MB and files of many documents at their beginning, in the middle and at their end.
func TestLargeFiles(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	fill := func(head, tail string, line func(i int) string) []byte {
		var b strings.Builder
		b.WriteString(head)
		for i := 0; b.Len() < size; i++ {
			b.WriteString(line(i))
		}
		b.WriteString(tail)
		return []byte(b.String())
	}
	for name, tc := range map[string]struct {
		in    []byte
		edits []corpusEdit
	}{
		"values": {
			fill("first: {a: 1} # head\n", "last:\n  - z # tail\n", func(i int) string {
				return fmt.Sprintf("## @param key%d Some text about it\nkey%d:\n  image: registry.example.com/team/app-%d:1.0.%d # pinned\n  args: ['--name=%d', \"--verbose\"]\n", i, i, i, i, i)
			}),
			[]corpusEdit{
				{Edit: yamledit.Edit{Path: "first.a", Value: 2}, Old: "{a: 1}", New: "{a: 2}"},
				{Edit: yamledit.Edit{Path: "last[0]", Value: "x"}, Old: "- z #", New: "- x #"},
				{Edit: yamledit.Edit{Path: "key10000.args[1]", Value: "-q"}, Old: "'--name=10000', \"--verbose\"", New: "'--name=10000', \"-q\""},
			},
		},
		"literal": {
			fill("a: 1\ndata:\n  big: |\n", "  after: x\n", func(i int) string { return fmt.Sprintf("    line %d with \ttabs, # no comments and '\"quotes: \n", i) }),
			[]corpusEdit{{Edit: yamledit.Edit{Path: "a", Value: 2}, Old: "a: 1\n", New: "a: 2\n"}, {Edit: yamledit.Edit{Path: "data.after", Value: "w"}, Old: "after: x", New: "after: w"}},
		},
		"JSON": {
			fill("{\n  \"first\": 1,\n", "  \"last\": [null]\n}", func(i int) string {
				return fmt.Sprintf("  \"key%d\": {\n    \"title\": \"Panel \\u00e9 <%d> of the requests\",\n    \"size\": 12.50,\n    \"on\": true\n  },\n", i, i)
			}),
			[]corpusEdit{
				{Edit: yamledit.Edit{Path: "first", Value: 2}, Old: "\"first\": 1", New: "\"first\": 2"},
				{Edit: yamledit.Edit{Path: "last[1]", Value: 3}, Old: "[null]", New: "[null, 3]"},
				{Edit: yamledit.Edit{Path: "key20000.on", Value: false}, Old: "<20000> of the requests\",\n    \"size\": 12.50,\n    \"on\": true", New: "<20000> of the requests\",\n    \"size\": 12.50,\n    \"on\": false"},
			},
		},
		"documents": {
			fill("# head\n", "", func(i int) string {
				return fmt.Sprintf("---\n# document %d\nkind: ConfigMap\nmetadata:\n  name: map-%d\ndata:\n  text: |\n    %s\n", i, i, strings.Repeat("words ", 200))
			}),
			[]corpusEdit{
				{Edit: yamledit.Edit{Path: "metadata.name", Value: "x"}, Old: "name: map-0\n", New: "name: x\n"},
				{Edit: yamledit.Edit{Path: "metadata.name", Value: "x", Selector: &yamledit.Selector{Name: "map-3000"}}, Old: "name: map-3000\n", New: "name: x\n"},
				{Edit: yamledit.Edit{Path: "kind", Value: "Secret", Document: new(2000)}, Old: "# document 2000\nkind: ConfigMap", New: "# document 2000\nkind: Secret"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, e := range tc.edits {
				want := bytes.Replace(tc.in, []byte(e.Old), []byte(e.New), 1)
				if got, err := yamledit.Apply(t.Context(), tc.in, []yamledit.Edit{e.Edit}); err != nil || !bytes.Equal(want, got) || bytes.Equal(want, tc.in) {
					t.Errorf("%s: the result is not the file with %q for %q: %v", e.Path, e.New, e.Old, err)
				}
			}
		})
	}
}
