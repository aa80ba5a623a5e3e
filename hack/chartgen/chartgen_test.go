package main

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is generated to testdata/want")

// copyChart returns a copy of the example, so that what is written into it stays out of the repository.
func copyChart(t *testing.T) string {
	t.Helper()
	chart := t.TempDir()
	if err := os.CopyFS(chart, os.DirFS("testdata/chart")); err != nil {
		t.Fatal(err)
	}
	return chart
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func put(t *testing.T, content string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	chart := copyChart(t)
	if err := run(chart, "testdata/crds", "testdata/CHANGELOG.md"); err != nil {
		t.Fatal(err)
	}
	const want = "testdata/want"
	for _, file := range []string{schemaFile, readmeFile, chartFile, crdFolder + "/widgets.yaml"} {
		got := read(t, chart, file)
		if *update {
			put(t, got, want, file)
		}
		if diff := cmp.Diff(read(t, want, file), got); diff != "" {
			t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
		}
	}
}

func TestSecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	chart := copyChart(t)
	put(t, "old\n", chart, crdFolder, "gone.yaml")
	times := func() map[string]string {
		if err := run(chart, "testdata/crds", ""); err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		err := filepath.WalkDir(chart, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			found[path] = info.ModTime().String()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	first := times()
	if _, there := first[filepath.Join(chart, crdFolder, "gone.yaml")]; there {
		t.Error("the template of a definition that is no more is still there")
	}
	if diff := cmp.Diff(first, times()); diff != "" {
		t.Errorf("a second run has written files:\n%s", diff)
	}
}

func TestReleasedChanges(t *testing.T) {
	t.Parallel()
	got, err := readChanges("testdata/CHANGELOG.md", "v0.0.9")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]hubChange{{Kind: "added", Description: "The beginning."}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsOfValues(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason, values string
		want           []string
	}{
		"no description": {
			reason: "a key without a description would be a row without one",
			values: "# -- A.\na:\n  b: 1\n",
			want:   []string{`values.yaml:3: a.b: has no description`},
		},
		"comment apart": {
			reason: "a comment with an empty line below it belongs to no key",
			values: "# -- A.\n\na: 1\n",
			want:   []string{`values.yaml:3: a: has no description`},
		},
		"comment of another key": {
			reason: "a comment that is indented otherwise belongs to the mapping before",
			values: "# -- A.\na:\n  # -- B.\n  b: 1\n  # -- Forgotten.\nc: 1\n",
			want:   []string{`values.yaml:6: c: has no description`},
		},
		"no full stop":      {reason: "descriptions are sentences", values: "# -- A\na: 1\n", want: []string{`values.yaml:2: a: has a description that doesn't end`}},
		"all at once":       {reason: "whoever writes values wants to know all of it", values: "a: 1\nb: 1\n", want: []string{"values.yaml:1: a: ", "values.yaml:2: b: "}},
		"key twice":         {reason: "the first would be lost", values: "# -- A.\na: 1\n# -- A.\na: 2\n", want: []string{"values.yaml:4: a: is in line 2 already"}},
		"alias":             {reason: "what is elsewhere is not read", values: "# -- A.\na: &x 1\n# -- B.\nb: *x\n", want: []string{"values.yaml:2: a: is an anchor", "values.yaml:4: b: is an anchor"}},
		"word in a comment": {reason: "a word with a typo says nothing", values: "# -- A.\n# @scheme {}\na: 1\n", want: []string{"values.yaml:3: a: has @scheme in its comment"}},
		"schema is text":    {reason: "it has to be a mapping", values: "# -- A.\n# @schema string\na: 1\n", want: []string{"values.yaml:3: a: has an @schema that is no mapping"}},
		"keyword":           {reason: "validators ignore words they don't know", values: "# -- A.\n# @schema {minimun: 1}\na: 1\n", want: []string{`values.yaml:3: a: has "minimun" in its @schema`}},
		"keyword inside":    {reason: "also where schemas are nested", values: "# -- A.\n# @schema {items: {typ: string}}\na: []\n", want: []string{`values.yaml:3: a: has "typ" in its @schema`}},
		"empty mapping":     {reason: "a type is not to be guessed", values: "# -- A.\na: {}\n", want: []string{"values.yaml:2: a: is an empty mapping"}},
		"list":              {reason: "a type is not to be guessed", values: "# -- A.\na: [x]\n", want: []string{"values.yaml:2: a: is a list"}},
		"null":              {reason: "a type is not to be guessed", values: "# -- A.\na:\n", want: []string{"values.yaml:2: a: is null"}},
		"time":              {reason: "YAML has types that JSON hasn't", values: "# -- A.\na: 2026-01-01\n", want: []string{"values.yaml:2: a: has a default of the type !!timestamp"}},
		"default is refused": {
			reason: "a chart whose defaults don't pass can't be installed",
			values: "# -- A.\na:\n  # -- B.\n  # @schema {minimum: 2}\n  b: 1\n",
			want:   []string{"values.yaml:5: a.b: its default is not what its schema allows"},
		},
		"no schema": {reason: "words may be right and their meaning wrong", values: "# -- A.\n# @schema {type: strin}\na: x\n", want: []string{"what @schema says is no schema"}},
		"no YAML":   {reason: "the parser names the line", values: "a: [\n", want: []string{"values.yaml: yaml: line "}},
		"a list":    {reason: "values are a mapping", values: "- a\n", want: []string{"values.yaml: must be a mapping"}},
		"empty":     {reason: "values are a mapping", values: "", want: []string{"values.yaml: must be a mapping"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := parseValues("values.yaml", []byte(test.values))
			if err == nil {
				_, err = found.schema()
			}
			wantError(t, err, test.reason, test.want...)
		})
	}
}

func TestErrorsOfFiles(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reason, file, content, want string
	}{
		"values":    {"the others can't be derived", "values.yaml", "a: 1\n", "values.yaml:1: a: "},
		"no marker": {"it is not known what is written by hand", "Chart.yaml", "name: x\nannotations:\n", "Chart.yaml: must end with annotations"},
		"no image":  {"the annotation would name none", "values.yaml", "# -- A.\na: 1\n", "image.registry, image.repository"},
		"template":  {"a field that is not there is a typo", "README.md.gotmpl", "{{ .Chart.Title }}", "README.md.gotmpl"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chart := copyChart(t)
			put(t, test.content, chart, test.file)
			err := run(chart, "testdata/crds", "")
			wantError(t, err, test.reason, test.want)
			if _, err := os.Stat(filepath.Join(chart, schemaFile)); err == nil {
				t.Error("something was written nevertheless")
			}
		})
	}
}

func TestErrorsOfDefinitions(t *testing.T) {
	t.Parallel()
	good := read(t, "testdata/crds/example.com_widgets.yaml")
	unversioned, _, _ := strings.Cut(good, "  versions:")
	tests := map[string]struct{ reason, content, want string }{
		"typo":           {"a field that nobody knows is lost in the cluster", strings.Replace(good, "scope:", "scoop:", 1), "crd.yaml: "},
		"no versions":    {"it would define nothing", unversioned, "crd.yaml: spec.versions: has none"},
		"no annotations": {"there is no place for those of the chart", strings.Replace(good, "  annotations:\n    controller-gen.kubebuilder.io/version: v0.21.0\n", "", 1), "crd.yaml: metadata: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			put(t, test.content, folder, "crd.yaml")
			_, err := readDefinitions(folder)
			wantError(t, err, test.reason, test.want)
		})
	}
	_, err := readDefinitions(t.TempDir())
	wantError(t, err, "a chart without definitions is a mistake", "has no custom resource definitions")
}

func TestErrorsOfChangelog(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"# Changelog\n":                    "has neither a section [1.0.0] nor [Unreleased]",
		"# Changelog\n\n## [Unreleased]\n": "has no entries",
	} {
		folder := t.TempDir()
		put(t, content, folder, "CHANGELOG.md")
		_, err := readChanges(filepath.Join(folder, "CHANGELOG.md"), "v1.0.0")
		wantError(t, err, "an empty annotation helps nobody", want)
	}
}

func wantError(t *testing.T, err error, reason string, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error: %s", reason)
	}
	for _, words := range want {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("got %q, want %q in it: %s", err, words, reason)
		}
	}
}
