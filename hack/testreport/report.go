package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	modulePrefix = "github.com/ocm-operator/ocm-operator"
	// A test this slow gets a line of its own, so that nobody wonders whether a long package hangs.
	slow = 5 * time.Second
	// Output of one test is kept up to this size; a test that prints without end should not fill the memory.
	maxOutput = 1 << 20
	// measured marks what a passing test has to tell: t.Logf("measured: ready after %s", elapsed).
	measured = "measured: "
)

// logged is a line of t.Log, or its first one: testing puts the file and the line before it.
var logged = regexp.MustCompile(`^\s+\S+\.go:\d+: (.*)$`)

// event is one line of `go test -json`; the fields are documented by `go doc test2json` and `go help buildjson`.
type event struct {
	Action      string  `json:"Action"`
	Package     string  `json:"Package"`
	ImportPath  string  `json:"ImportPath"`
	Test        string  `json:"Test"`
	Elapsed     float64 `json:"Elapsed"`
	Output      string  `json:"Output"`
	FailedBuild string  `json:"FailedBuild"`
}

type key struct{ pkg, test string }

type report struct {
	out     io.Writer
	now     func() time.Time
	started time.Time

	output map[key]*strings.Builder
	build  map[string]*strings.Builder

	passed, failed, skipped, packages, empty int
	failures                                 []string
	slowest                                  []string
	measurements                             []string
	// skips are the tests that were skipped, by the reason they gave.
	skips map[string][]string
}

func newReport(out io.Writer, now func() time.Time) *report {
	return &report{
		out: out, now: now, started: now(),
		output: map[key]*strings.Builder{}, build: map[string]*strings.Builder{}, skips: map[string][]string{},
	}
}

// read consumes the stream. Lines that are no JSON come from tools around the tests and are printed as they are.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read test events: %w", err)
		}
	}
}

func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprint(r.out, string(line))
		return
	}
	switch e.Action {
	case "output":
		appendTo(r.output, key{e.Package, e.Test}, e.Output)
	case "build-output":
		appendTo(r.build, e.ImportPath, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageDone(e)
		} else {
			r.testDone(e)
		}
	}
}

func (r *report) testDone(e event) {
	elapsed := time.Duration(e.Elapsed * float64(time.Second))
	name := short(e.Package) + " " + e.Test
	switch e.Action {
	case "pass":
		r.passed++
		for _, text := range logs(r.taken(key{e.Package, e.Test})) {
			if result, ok := strings.CutPrefix(text, measured); ok {
				r.measurements = append(r.measurements, name+": "+result)
			}
		}
	case "skip":
		r.skipped++
		reason := "no reason given"
		if texts := logs(r.taken(key{e.Package, e.Test})); len(texts) > 0 {
			reason = texts[len(texts)-1] // t.Skip is the last that such a test says
		}
		r.skips[reason] = append(r.skips[reason], name)
	case "fail":
		r.failed++
		r.failures = append(r.failures, name)
		fmt.Fprintf(r.out, "FAIL  %s (%s)\n%s", name, round(elapsed), indent(r.taken(key{e.Package, e.Test})))
	}
	if elapsed >= slow && !strings.Contains(e.Test, "/") {
		r.slowest = append(r.slowest, fmt.Sprintf("%8s  %s", round(elapsed), name))
		fmt.Fprintf(r.out, "      %s %s\n", name, round(elapsed))
	}
	delete(r.output, key{e.Package, e.Test})
}

func (r *report) packageDone(e event) {
	elapsed := round(time.Duration(e.Elapsed * float64(time.Second)))
	output := r.taken(key{e.Package, ""})
	switch {
	case e.Action == "fail":
		r.packages++
		fmt.Fprintf(r.out, "FAIL  %s %s\n", short(e.Package), elapsed)
		if e.FailedBuild != "" && r.build[e.FailedBuild] != nil {
			output = r.build[e.FailedBuild].String() + output
		}
		fmt.Fprint(r.out, indent(output))
		r.failures = append(r.failures, short(e.Package))
		// A process that died leaves tests without an end; what they said explains it.
		for k, text := range r.output {
			if k.pkg == e.Package {
				fmt.Fprintf(r.out, "      unfinished: %s\n%s", k.test, indent(text.String()))
			}
		}
	case e.Action == "skip" || strings.Contains(output, "[no test files]"):
		r.empty++
	default:
		r.packages++
		fmt.Fprintf(r.out, "ok    %s %s\n", short(e.Package), elapsed)
	}
	for k := range r.output {
		if k.pkg == e.Package {
			delete(r.output, k)
		}
	}
}

func (r *report) summary() {
	verdict := "PASS"
	if !r.ok() {
		verdict = "FAIL"
	}
	if len(r.slowest) > 0 {
		slices.Sort(r.slowest)
		slices.Reverse(r.slowest)
		fmt.Fprintf(r.out, "\nslowest tests\n%s\n", strings.Join(r.slowest[:min(5, len(r.slowest))], "\n"))
	}
	if len(r.measurements) > 0 {
		fmt.Fprintf(r.out, "\nmeasured\n  %s\n", strings.Join(r.measurements, "\n  "))
	}
	if len(r.skips) > 0 {
		fmt.Fprintf(r.out, "\nskipped\n")
	}
	for _, reason := range slices.Sorted(maps.Keys(r.skips)) {
		fmt.Fprintf(r.out, "  %s:\n    %s\n", reason, strings.Join(r.skips[reason], "\n    "))
	}
	if len(r.failures) > 0 {
		fmt.Fprintf(r.out, "\nfailed\n  %s\n", strings.Join(r.failures, "\n  "))
	}
	fmt.Fprintf(r.out, "\n%d packages (%d without tests) in %s\n", r.packages, r.empty, round(r.now().Sub(r.started)))
	fmt.Fprintf(r.out, "%s: %d passed, %d failed, %d skipped\n", verdict, r.passed, r.failed, r.skipped)
}

// ok says whether tests ran and none failed; packages that do not compile count as failures too.
func (r *report) ok() bool {
	return len(r.failures) == 0 && r.passed > 0
}

func (r *report) taken(k key) string {
	text := r.output[k]
	delete(r.output, k)
	if text == nil {
		return ""
	}
	return text.String()
}

// logs returns what a test has logged, without the places in the sources. A text of several lines, of which testing indents all
// but the first further, becomes one line.
func logs(output string) []string {
	var texts []string
	continued := false
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		switch match := logged.FindStringSubmatch(line); {
		case match != nil:
			texts, continued = append(texts, match[1]), true
		case continued && strings.HasPrefix(line, "        "):
			texts[len(texts)-1] += " " + strings.TrimSpace(line)
		default:
			continued = false
		}
	}
	return texts
}

func appendTo[K comparable](m map[K]*strings.Builder, k K, text string) {
	b := m[k]
	if b == nil {
		b = &strings.Builder{}
		m[k] = b
	}
	if b.Len() < maxOutput {
		b.WriteString(text)
	}
}

func short(pkg string) string {
	if pkg == modulePrefix {
		return "."
	}
	return strings.TrimPrefix(pkg, modulePrefix+"/")
}

func indent(text string) string {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return ""
	}
	return "      " + strings.ReplaceAll(text, "\n", "\n      ") + "\n"
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
