package cuemap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

func runner(t testing.TB, o cuemap.Options) *cuemap.Runner {
	t.Helper()
	r, err := cuemap.NewRunner(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunner(t *testing.T) {
	t.Parallel()
	r := runner(t, cuemap.Options{})
	for name, tc := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := r.Evaluate(t.Context(), tc.program, component(t))
			if diff := cmp.Diff(decode(t, tc.want), got); err != nil || diff != "" {
				t.Errorf("error %v, -want +got:\n%s", err, diff)
			}
		})
	}
}

// doubling is a program whose value doubles with each line.
func doubling(lines int, first, line string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "_a0: %s\n", first)
	for i := range lines {
		b.WriteString(strings.NewReplacer("NEXT", fmt.Sprint("_a", i+1), "LAST", fmt.Sprint("_a", i)).Replace(line) + "\n")
	}
	fmt.Fprintf(&b, "out: \"\\(_a%d)\"\n", lines)
	return b.String()
}

// TestRunnerEndsHostilePrograms shows that no program can take more than it is given, and none harms us.
func TestRunnerEndsHostilePrograms(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux bounds memory")
		return
	}
	r := runner(t, cuemap.Options{CPU: time.Second, Memory: 96 << 20})
	for name, program := range map[string]string{
		"text":           doubling(60, `"aaaaaaaaaaaaaaaa"`, "NEXT: LAST + LAST"),
		"interpolation":  doubling(60, `"aaaaaaaaaaaaaaaa"`, `NEXT: "\(LAST)\(LAST)"`),
		"lists":          "import (\"list\", \"encoding/json\")\n" + strings.Replace(doubling(40, "[1]", "NEXT: list.Concat([LAST, LAST])"), `"\(_a40)"`, "json.Marshal(_a40)", 1),
		"structs":        "import \"encoding/json\"\n" + strings.Replace(doubling(40, "1", "NEXT: {a: LAST, b: LAST}"), `"\(_a40)"`, "json.Marshal(_a40)", 1),
		"range":          "import (\"list\", \"encoding/json\")\nout: json.Marshal(list.Range(0, 1000000000, 1))",
		"comprehensions": "import (\"list\", \"encoding/json\")\n_r: list.Range(0, 1000, 1)\nout: json.Marshal([for a in _r for b in _r for c in _r for d in _r {a+b+c+d}])",
		"disjunctions":   "import \"encoding/json\"\n" + manyDisjunctions(14) + "out: json.Marshal(x)",
		"nesting":        "out: " + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000),
		"parentheses":    "out: " + strings.Repeat("(", 30_000) + "\"1\"" + strings.Repeat(")", 30_000),
		"unary":          "out: " + strings.Repeat("-", 60_000) + "1",
		"template":       "import \"text/template\"\nout: template.Execute(\"{{define \\\"x\\\"}}{{template \\\"x\\\"}}{{end}}{{template \\\"x\\\"}}\", {})",
		"power":          "import (\"math\", \"encoding/json\")\nout: json.Marshal(math.Pow(9, math.Pow(9, 9)))",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			got, err := r.Evaluate(t.Context(), program, component(t))
			t.Logf("%.120v after %s", err, time.Since(start).Round(time.Millisecond))
			if !errors.As(err, new(*cuemap.ProgramError)) {
				t.Errorf("want a ProgramError, got %v and %v", err, got)
			}
		})
	}
}

// manyDisjunctions unifies n disjunctions of structs, which has two to the n outcomes to try.
func manyDisjunctions(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x: {a%d: 1} | {b%d: 1}\n", i, i)
	}
	return b.String()
}

func TestRunnerLimits(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux bounds memory")
		return
	}
	_, err := runner(t, cuemap.Options{Memory: 64 << 20}).Evaluate(t.Context(), doubling(40, `"aaaaaaaaaaaaaaaa"`, "NEXT: LAST + LAST"), nil)
	if !errors.Is(err, cuemap.ErrMemory) || !strings.Contains(err.Error(), "67108864 bytes") {
		t.Errorf("want ErrMemory, got %v", err)
	}
	slow := "import (\"list\", \"encoding/json\")\n_r: list.Range(0, 300, 1)\n_s: list.Sum([for a in _r for b in _r for c in _r if a+b+c < 0 {a}])\nout: json.Marshal(_s)"
	_, err = runner(t, cuemap.Options{CPU: time.Second, Memory: 1 << 30}).Evaluate(t.Context(), slow, nil)
	if !errors.Is(err, cuemap.ErrTime) || !strings.Contains(err.Error(), "more than 1s") {
		t.Errorf("want ErrTime, got %v", err)
	}
	_, err = runner(t, cuemap.Options{Timeout: 100 * time.Millisecond, Memory: 1 << 30}).Evaluate(t.Context(), slow, nil)
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*cuemap.ProgramError)) {
		t.Errorf("want a deadline, which may be the fault of a busy machine, got %v", err)
	}
	_, err = runner(t, cuemap.Options{}).Evaluate(t.Context(), strings.Repeat(" ", cuemap.MaxProgram+1), nil)
	if !errors.Is(err, cuemap.ErrTooLarge) {
		t.Errorf("want ErrTooLarge, got %v", err)
	}
	_, err = runner(t, cuemap.Options{}).Evaluate(t.Context(), "_a: \"xxxxxxxxxxxxxxxxxxxx\"*60000\nout: \"\\\"\\(_a)\\\"\"", nil)
	if !errors.Is(err, cuemap.ErrOutput) || !errors.Is(err, cuemap.ErrTooLarge) || !errors.As(err, new(*cuemap.ProgramError)) {
		t.Errorf("want ErrTooLarge from the other process, got %v", err)
	}
	_, err = runner(t, cuemap.Options{}).Evaluate(t.Context(), "out: \"1\"", map[string]any{"x": make(chan int)})
	if err == nil || errors.As(err, new(*cuemap.ProgramError)) {
		t.Errorf("want an error that is not the fault of the program, got %v", err)
	}
}

func TestRunnerStops(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := runner(t, cuemap.Options{}).Evaluate(ctx, "out: \"1\"", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

// TestRunnerWithoutProgram shows that what is not the fault of the program is no ProgramError.
func TestRunnerWithoutProgram(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	for name, tc := range map[string]struct{ content, want string }{
		"missing":   {"", "no such file"},
		"fails":     {"#!/bin/sh\necho no such thing >&2\nexit 3\n", "exit status 3: no such thing"},
		"no answer": {"#!/bin/sh\necho hello\n", "read the answer of the evaluation"},
		"noise":     {"#!/bin/sh\nyes | head -c 20000 >&2\nexit 1\n", "exit status 1: y"},
		"broken":    {"#!/bin/sh\necho '{\"broken\": \"lost\"}'\n", "lost"},
	} {
		t.Run(name, func(t *testing.T) {
			program := script + name
			if tc.content != "" {
				if err := os.WriteFile(program, []byte(tc.content), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := runner(t, cuemap.Options{Program: program}).Evaluate(t.Context(), "out: \"1\"", nil)
			if err == nil || !strings.Contains(err.Error(), tc.want) || errors.As(err, new(*cuemap.ProgramError)) {
				t.Errorf("want an error with %q, got %v", tc.want, err)
			}
		})
	}
}

// TestServe serves in this process, with limits so high that it can go on.
func TestServe(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		`out: \"1\"`: `{"out":"MQ=="}`,
		`a: 1`:       `{"failed":"it has no field out`,
		`out: \"` + strings.Repeat("x", cuemap.MaxProgram) + `\"`: `"large":true`,
	} {
		var out bytes.Buffer
		q := `{"program": "` + program + `", "component": {}, "cpu": 1000000000, "memory": 1000000000000, "output": 1000000}`
		if err := cuemap.Serve(strings.NewReader(q), &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%.20s: want %s, got %s, error %v", program, want, out.String(), err)
		}
	}
	var out bytes.Buffer
	if err := cuemap.Serve(strings.NewReader(`{"program": "out: \"1\"", "cpu": 1000000000, "memory": 1000000000000, "output": 1000000}`), &out); err != nil || !strings.Contains(out.String(), "broken") {
		t.Errorf("want a broken request, got %s, error %v", out.String(), err)
	}
}

func TestServeRefusesOtherInput(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := cuemap.Serve(strings.NewReader("hello"), &out); err == nil || out.Len() > 0 {
		t.Errorf("want an error, got %q", out.String())
	}
	if cuemap.Requested(nil) || cuemap.Requested([]string{"--help"}) {
		t.Error("nobody asked")
	}
}

func BenchmarkRunner(b *testing.B) {
	r, c := runner(b, cuemap.Options{}), component(b)
	for b.Loop() {
		if _, err := r.Evaluate(b.Context(), programs["containers"].program, c); err != nil {
			b.Fatal(err)
		}
	}
}
