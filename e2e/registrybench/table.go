package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	beginMark = "<!-- begin of what make bench-registry writes -->"
	endMark   = "<!-- end of what make bench-registry writes -->"
)

// unit says how a number is shown.
type unit string

const (
	megabytes    unit = "MB/s"
	artifacts    unit = "/s"
	mebibytes    unit = "MiB"
	milliseconds unit = "ms"
)

// goal is how many times as fast as a contestant ours shall be.
type goal struct {
	against string
	least   float64
}

// row is one comparison of speeds. The machine may be missing.
type row struct {
	name, about          string
	unit                 unit
	machine, ours, other series
	goals                []goal
}

func (r *row) ratio(against string) float64 {
	if against == machine {
		return ratio(r.ours, r.machine)
	}
	return ratio(r.ours, r.other)
}

// bound is something that shall not be more. The other contestant may be missing.
type bound struct {
	name, about       string
	unit              unit
	ours, other, most int64
}

func (b *bench) add(r *row) {
	b.rows = append(b.rows, r)
	b.say("%s: machine %s; ours %s; distribution %s", r.name, r.unit.series(r.machine), r.unit.series(r.ours), r.unit.series(r.other))
}

// describeMachine says what the measurements ran on.
func describeMachine() string {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		load = []byte("unknown")
	}
	return fmt.Sprintf("%d cores, %s/%s, %s, load %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.Join(strings.Fields(string(load))[:1], ""))
}

// report writes everything as markdown.
func (b *bench) report(command, machine string, at time.Time, took time.Duration) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s by `%s` in %s: %s; seed %d.\n\n", at.UTC().Format("2006-01-02"), command, took.Round(time.Second), machine, b.seed)
	b.writeRows(&out)
	b.writeBounds(&out)
	return out.String()
}

func (b *bench) writeRows(out *strings.Builder) {
	if len(b.rows) == 0 {
		return
	}
	fmt.Fprint(out, "| | the machine | ours | distribution v3 | ours to the machine | ours to distribution | goal |\n|---|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		toMachine := "-"
		if len(r.machine) > 0 {
			toMachine = times(r.ratio(machine))
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", r.name, r.unit.series(r.machine), r.unit.series(r.ours), r.unit.series(r.other),
			toMachine, times(r.ratio(other)), r.verdict())
	}
	fmt.Fprintln(out)
	for _, r := range b.rows {
		fmt.Fprintf(out, "- *%s*: %s. %d rounds.\n", r.name, r.about, len(r.ours))
	}
	fmt.Fprintln(out)
}

func (r *row) verdict() string {
	if len(r.goals) == 0 {
		return "none"
	}
	var verdicts []string
	for _, g := range r.goals {
		verdicts = append(verdicts, fmt.Sprintf("%s of %s: %s", times(g.least), who(g.against), met(r.ratio(g.against) >= g.least)))
	}
	return strings.Join(verdicts, "; ")
}

func who(contestant string) string {
	if contestant == machine {
		return "the machine"
	}
	return contestant
}

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**MISSED**"
}

func (b *bench) writeBounds(out *strings.Builder) {
	if len(b.bounds) == 0 {
		return
	}
	fmt.Fprint(out, "| | ours | distribution v3 | at most |\n|---|---|---|---|\n")
	for _, x := range b.bounds {
		distribution := "not measured"
		if x.other > 0 {
			distribution = x.unit.value(x.other)
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s: %s |\n", x.name, x.unit.value(x.ours), distribution, x.unit.value(x.most), met(x.ours <= x.most))
	}
	fmt.Fprintln(out)
	for _, x := range b.bounds {
		fmt.Fprintf(out, "- *%s*: %s.\n", x.name, x.about)
	}
}

// series shows a speed, how long single operations took, and the CPU time of the server.
func (u unit) series(s series) string {
	if len(s) == 0 {
		return "-"
	}
	if u == megabytes {
		return fmt.Sprintf("%.0f MB/s, %.2f CPU s/GB", s.rate()/1e6, s.cpu()*1e9)
	}
	return fmt.Sprintf("%.0f/s, %s / %s ms, %.2f CPU ms", s.rate(), inMilliseconds(s.quantile(0.5)), inMilliseconds(s.quantile(0.99)), s.cpu()*1e3)
}

func (u unit) value(n int64) string {
	if u == milliseconds {
		return inMilliseconds(time.Duration(n)) + " ms"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

func inMilliseconds(d time.Duration) string {
	precision := 1
	if d >= 10*time.Millisecond {
		precision = 0
	}
	return strconv.FormatFloat(d.Seconds()*1e3, 'f', precision, 64)
}

func times(ratio float64) string { return strconv.FormatFloat(ratio, 'f', 2, 64) + " x" }

// keep puts a report between the marks of a document.
func keep(path, text string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the document for the result: %w", err)
	}
	before, rest, begin := strings.Cut(string(document), beginMark)
	_, after, end := strings.Cut(rest, endMark)
	if !begin || !end {
		return fmt.Errorf("%s needs the lines %q and %q, between which the measurements are written", path, beginMark, endMark)
	}
	changed := before + beginMark + "\n\n" + strings.TrimSpace(text) + "\n\n" + endMark + after
	return os.WriteFile(path, []byte(changed), 0o644)
}
