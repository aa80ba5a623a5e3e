package cuemap_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// TestMain makes the test program one that a Runner can start.
func TestMain(m *testing.M) {
	if cuemap.Requested(os.Args[1:]) {
		if err := cuemap.Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if program := os.Getenv(asOperator); program != "" {
		fmt.Fprintln(os.Stderr, operate(program))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// component is one with a reference, filled in.
func component(t testing.TB) map[string]any {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(`{
		"version": "1.2.3+build",
		"resources": [
			{"name": "web", "type": "ociImage", "version": "6.3.5", "extraIdentity": {"role": "main"},
				"labels": [{"name": "port", "value": 8080}], "access": {"type": "ociArtifact", "imageReference": "ghcr.io/acme/web:6.3.5"}},
			{"name": "init", "type": "ociImage", "version": "1.0.0", "extraIdentity": {"role": "init"},
				"access": {"type": "ociArtifact", "imageReference": "ghcr.io/acme/init:1.0.0"}},
			{"name": "config", "type": "yaml", "version": "1.0.0", "access": {"type": "localBlob"}}
		],
		"sources": [],
		"references": [{"name": "db", "componentName": "acme.org/db", "version": "2.0.0", "component": {
			"version": "2.0.0", "resources": [{"name": "postgres", "access": {"imageReference": "ghcr.io/acme/postgres:16"}}]
		}}]
	}`), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// programs are programs with the value that they compute, as JSON.
var programs = map[string]struct{ program, want string }{
	"version":       {`out: "\"\(component.version)\""`, `"1.2.3+build"`},
	"bytes":         {`out: '1'`, `1`},
	"package":       {"package main\nimport \"encoding/json\"\nout: json.Marshal({a: component.version})", `{"a": "1.2.3+build"}`},
	"renamed":       {"import j \"encoding/json\"\nout: j.Marshal(null)", `null`},
	"large numbers": {"import \"encoding/json\"\nout: json.Marshal([9007199254740993, 1.50])", `[9007199254740993, 1.50]`},
	"label":         {"import \"encoding/json\"\nout: json.Marshal([for l in component.resources[0].labels if l.name == \"port\" {l.value}][0])", `8080`},
	"images": {
		"import \"encoding/json\"\nout: json.Marshal([for r in component.resources if r.type == \"ociImage\" {r.access.imageReference}])",
		`["ghcr.io/acme/web:6.3.5", "ghcr.io/acme/init:1.0.0"]`,
	},
	"containers": {
		`package main

import "encoding/json"

_images: [for r in component.resources if r.type == "ociImage" {r}]
_role: {for role in ["main", "init"] {(role): [for r in _images if r.extraIdentity.role == role {
	name:  r.name
	image: r.access.imageReference
	for l in *r.labels | [] if l.name == "port" {ports: [{containerPort: l.value}]}
}]}}
out: json.Marshal({containers: _role.main, initContainers: _role.init})
`,
		`{"containers": [{"name": "web", "image": "ghcr.io/acme/web:6.3.5", "ports": [{"containerPort": 8080}]}], "initContainers": [{"name": "init", "image": "ghcr.io/acme/init:1.0.0"}]}`,
	},
	"chart repository": {
		"import (\n\"encoding/json\"\n\"path\"\n)\nout: json.Marshal(\"oci://\" + path.Dir(component.resources[0].access.imageReference, path.Unix))",
		`"oci://ghcr.io/acme"`,
	},
	"nested": {
		"import \"encoding/json\"\nout: json.Marshal({for r in component.references {(r.name): r.component.resources[0].access.imageReference}})",
		`{"db": "ghcr.io/acme/postgres:16"}`,
	},
	"libraries": {
		`import ("encoding/json", "encoding/base64", "list", "math", "regexp", "strconv", "strings")
out: json.Marshal([base64.Encode(null, "a"), list.Sum([1, 2]), math.Floor(2.5), regexp.FindSubmatch("(.*):", component.resources[0].access.imageReference)[1], strconv.Atoi("7"), strings.ToUpper("x")])`,
		`["YQ==", 3, 2, "ghcr.io/acme/web", 7, "X"]`,
	},
}

func decode(t testing.TB, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	for name, tc := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := cuemap.Evaluate(tc.program, component(t))
			if diff := cmp.Diff(decode(t, tc.want), got); err != nil || diff != "" {
				t.Errorf("error %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

func TestEvaluateFails(t *testing.T) {
	t.Parallel()
	refused := func(name string) string { return fmt.Sprintf("line 1: the package %q can't be imported here", name) }
	for name, tc := range map[string]struct {
		program string
		is      error
		want    string
	}{
		"syntax":         {"out: [", nil, "CUE program: line 1: "},
		"no out":         {"a: 1", nil, "it has no field out"},
		"number":         {"out: 1", nil, "the field out must be the value as JSON"},
		"incomplete":     {"out: string", nil, "the field out must be the value as JSON"},
		"not JSON":       {`out: "a"`, nil, "the field out is no JSON"},
		"two values":     {`out: "1 2"`, nil, "more than one JSON value"},
		"no component":   {"\nout: components.version", nil, `line 2: `},
		"no field":       {"\n\nimport \"encoding/json\"\nout: json.Marshal(component.nope)", nil, `nope`},
		"conflict":       {"out: \"1\"\nout: \"2\"", nil, "conflicting values"},
		"cycle":          {"a: {b: a}\nout: \"1\"", nil, "structural cycle"},
		"file":           {`import "tool/file"`, nil, refused("tool/file")},
		"http":           {`import "tool/http"`, nil, refused("tool/http")},
		"exec":           {`import "tool/exec"`, nil, refused("tool/exec")},
		"environment":    {`import "tool/os"`, nil, refused("tool/os")},
		"qualified":      {`import "encoding/json:json"`, nil, refused("encoding/json:json")},
		"network":        {`import "net"`, nil, refused("net")},
		"time":           {`import "time"`, nil, refused("time")},
		"command line":   {`import "tool/cli"`, nil, refused("tool/cli")},
		"second import":  {"import \"strings\"\nimport \"tool/exec\"", nil, `line 2: the package "tool/exec" can't be imported here`},
		"module":         {`import "example.com/x"`, nil, refused("example.com/x")},
		"embed":          {"@extern(embed)\npackage main\nout: _ @embed(file=\"/etc/hostname\",type=text)", nil, "line 1: attributes such as"},
		"embedded field": {"out: _ @embed(file=\"x\",type=text)", nil, "attributes such as"},
		"too long":       {"out: \"" + strings.Repeat("x", cuemap.MaxProgram) + "\"", cuemap.ErrTooLarge, "the program: too large"},
		"much":           {"_a: \"xxxxxxxxxxxxxxxxxxxx\"*60000\nout: \"\\\"\\(_a)\\\"\"", cuemap.ErrTooLarge, "the field out: too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := cuemap.Evaluate(tc.program, component(t))
			var failed *cuemap.ProgramError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tc.want) || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("want a ProgramError with %q, got %v and %v", tc.want, err, got)
			}
		})
	}
	_, err := cuemap.Evaluate("out: \"1\"", map[string]any{"x": strings.Repeat("x", cuemap.MaxComponent)})
	if !errors.Is(err, cuemap.ErrTooLarge) || errors.As(err, new(*cuemap.ProgramError)) {
		t.Errorf("want ErrTooLarge, which is not the fault of the program, got %v", err)
	}
	if _, err = cuemap.Evaluate("out: \"1\"", map[string]any{"x": make(chan int)}); err == nil {
		t.Error("a channel is no JSON")
	}
}

func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	var program strings.Builder
	for i := range 100 {
		fmt.Fprintf(&program, "a%d: %q & %q\n", i, strings.Repeat("é", 200), strings.Repeat("b", 200))
	}
	_, err := cuemap.Evaluate(program.String(), component(t))
	if err == nil || len(err.Error()) > 3000 || !strings.Contains(err.Error(), "line 1: ") || !strings.HasSuffix(err.Error(), "...") {
		t.Errorf("want the first errors only, got %v", err)
	}
}

func FuzzEvaluate(f *testing.F) {
	for _, tc := range programs {
		f.Add(tc.program)
	}
	f.Add("@extern(embed)\nout: _ @embed(file=\"x\")")
	f.Add("import \"tool/exec\"\nx: exec.Run & {cmd: \"x\"}\nout: \"1\"")
	c := component(f)
	runner, err := cuemap.NewRunner(cuemap.Options{CPU: 1e9, Memory: 64 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, program string) {
		value, err := runner.Evaluate(t.Context(), program, c)
		if err != nil {
			if !errors.As(err, new(*cuemap.ProgramError)) {
				t.Fatalf("not the fault of the program: %v", err)
			}
			return
		}
		if _, err := json.Marshal(value); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	c := component(b)
	for b.Loop() {
		if _, err := cuemap.Evaluate(programs["containers"].program, c); err != nil {
			b.Fatal(err)
		}
	}
}
