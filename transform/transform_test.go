package transform_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

const manifest = "# settings\nkind: ConfigMap\ndata:\n  COLOR: \"red\"\n---\nkind: Deployment\nspec: {}\n"

func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, content := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o644}
	}
	var b bytes.Buffer
	if err := archive.Pack(&b, fsys); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(t testing.TB, content []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	for f, err := range archive.Files(bytes.NewReader(content), archive.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		if !f.Mode.IsRegular() {
			continue
		}
		data, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Path] = string(data)
	}
	return files
}

func TestApply(t *testing.T) {
	t.Parallel()
	src := pack(t, map[string]string{"deploy/a.yaml": manifest, "b.json": `{"a": 1}`, "README.md": "((! not YAML: - [ ))"})
	subs := []transform.Substitution{
		{Rule: "rule 1", File: "deploy/a.yaml", Path: "data.COLOR", Value: "blue"},
		{Rule: "rule 2", File: "./b.json", Path: "b[0]", Value: int64(2)},
		{Rule: "rule 3", File: "/deploy/a.yaml", Path: "spec.replicas", Value: int64(3), Selector: &yamledit.Selector{Kind: "Deployment"}},
		{Rule: "rule 4", File: "deploy/a.yaml", Path: "data.COLOR", Value: "green"},
	}
	var dst bytes.Buffer
	stats, err := transform.Apply(t.Context(), &dst, bytes.NewReader(src), subs, transform.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"deploy/a.yaml": "# settings\nkind: ConfigMap\ndata:\n  COLOR: \"green\"\n---\nkind: Deployment\nspec:\n  replicas: 3\n",
		"b.json":        `{"a": 1, "b": [2]}`, "README.md": "((! not YAML: - [ ))",
	}
	if diff := cmp.Diff(want, unpack(t, dst.Bytes())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if stats.Edited != 2 {
		t.Errorf("want 2 edited files, got %d", stats.Edited)
	}
	var again bytes.Buffer
	if _, err := transform.Apply(t.Context(), &again, bytes.NewReader(dst.Bytes()), nil, transform.Limits{}); err != nil || !bytes.Equal(again.Bytes(), dst.Bytes()) {
		t.Errorf("without substitutions the archive changed, error %v", err)
	}
}

func TestApplyFails(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 30 {
		many[fmt.Sprintf("f%02d.yaml", i)] = "a: 1\n"
	}
	for name, tc := range map[string]struct {
		files map[string]string
		sub   transform.Substitution
		is    error
		want  string
	}{
		"missing": {
			map[string]string{"a.yaml": "", "b.yaml": ""},
			transform.Substitution{Rule: "localization rule 2", File: "deploy.yaml", Path: "spec.image"},
			transform.ErrNoFile,
			`localization rule 2: file "deploy.yaml", path "spec.image": not a regular file in the source; it holds: a.yaml, b.yaml`,
		},
		"many":      {many, transform.Substitution{Rule: "rule 1", File: "x", Path: "a"}, transform.ErrNoFile, "f19.yaml, ..."},
		"empty":     {nil, transform.Substitution{Rule: "rule 1", File: "x", Path: "a"}, transform.ErrNoFile, "it holds: nothing"},
		"directory": {map[string]string{"d/a": ""}, transform.Substitution{Rule: "rule 1", File: "d", Path: "a"}, transform.ErrNoFile, "it holds: d/a"},
		"outside":   {nil, transform.Substitution{Rule: "rule 1", File: "../x", Path: "a"}, nil, "must be a path within the source"},
		"no name":   {nil, transform.Substitution{Rule: "rule 1", File: "", Path: "a"}, nil, "must be a path within the source"},
		"path":      {nil, transform.Substitution{Rule: "rule 1", File: "x", Path: "load(1)"}, nil, `rule 1: file "x", path "load(1)": path "load(1)", column 5`},
		"cannot":    {map[string]string{"x": "a: text\n"}, transform.Substitution{Rule: "rule 1", File: "x", Path: "a.b"}, nil, `rule 1: file "x", path "a.b": a is a text`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := transform.Apply(t.Context(), io.Discard, bytes.NewReader(pack(t, tc.files)), []transform.Substitution{tc.sub}, transform.Limits{})
			var rule *transform.RuleError
			if !errors.As(err, &rule) || rule.File != tc.sub.File || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("want a RuleError with %q, got %v", tc.want, err)
			}
		})
	}
}

func TestApplyRefusesLinks(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"real.yaml": {Data: []byte("a: 1\n")}, "link.yaml": {Data: []byte("real.yaml"), Mode: 0o777 | 1<<27}}
	var src bytes.Buffer
	if err := archive.Pack(&src, fsys); err != nil {
		t.Fatal(err)
	}
	_, err := transform.Apply(t.Context(), io.Discard, &src, []transform.Substitution{{Rule: "rule 1", File: "link.yaml", Path: "a", Value: 2}}, transform.Limits{})
	if !errors.Is(err, transform.ErrNoFile) || !strings.Contains(err.Error(), "it holds: real.yaml") {
		t.Errorf("want ErrNoFile, got %v", err)
	}
}

func TestApplyNoArchive(t *testing.T) {
	t.Parallel()
	_, err := transform.Apply(t.Context(), io.Discard, strings.NewReader("a: 1\n"), nil, transform.Limits{})
	if !errors.Is(err, archive.ErrNotArchive) {
		t.Errorf("want ErrNotArchive, got %v", err)
	}
}

func TestApplyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src := pack(t, map[string]string{"a.yaml": manifest})
	_, err := transform.Apply(ctx, io.Discard, bytes.NewReader(src), []transform.Substitution{{Rule: "rule 1", File: "a.yaml", Path: "kind", Value: "X"}}, transform.Limits{})
	var rule *transform.RuleError
	if !errors.Is(err, context.Canceled) || errors.As(err, &rule) {
		t.Errorf("want context.Canceled, which is not the fault of a rule, got %v", err)
	}
}

func BenchmarkApply(b *testing.B) {
	files := map[string]string{}
	var subs []transform.Substitution
	for i := range 100 {
		name := fmt.Sprintf("f%02d.yaml", i)
		files[name] = manifest
		if i%10 == 0 {
			subs = append(subs, transform.Substitution{Rule: "rule", File: name, Path: "data.COLOR", Value: "blue"})
		}
	}
	src := pack(b, files)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transform.Apply(b.Context(), io.Discard, bytes.NewReader(src), subs, transform.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
