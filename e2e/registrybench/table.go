package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// program is how the user calls this, in the document.
const program = "make bench-registry"

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
	machine, ours, other measure.Series
	goals                []goal
}

func (r *row) ratio(against string) float64 {
	if against == machine {
		return measure.Ratio(r.ours, r.machine)
	}
	return measure.Ratio(r.ours, r.other)
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

// report writes everything as markdown.
func (b *bench) report(command, machine string, at time.Time, took time.Duration) string {
	var out strings.Builder
	out.WriteString(measure.Head(command, machine, at, took, b.seed))
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
			toMachine = measure.Times(r.ratio(machine))
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", r.name, r.unit.series(r.machine), r.unit.series(r.ours), r.unit.series(r.other),
			toMachine, measure.Times(r.ratio(other)), r.verdict())
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
		verdicts = append(verdicts, fmt.Sprintf("%s of %s: %s", measure.Times(g.least), who(g.against), measure.Met(r.ratio(g.against) >= g.least)))
	}
	return strings.Join(verdicts, "; ")
}

func who(contestant string) string {
	if contestant == machine {
		return "the machine"
	}
	return contestant
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
		fmt.Fprintf(out, "| %s | %s | %s | %s: %s |\n", x.name, x.unit.value(x.ours), distribution, x.unit.value(x.most), measure.Met(x.ours <= x.most))
	}
	fmt.Fprintln(out)
	for _, x := range b.bounds {
		fmt.Fprintf(out, "- *%s*: %s.\n", x.name, x.about)
	}
}

// measure.Series shows a speed, how long single operations took, and the CPU time of the server.
func (u unit) series(s measure.Series) string {
	if len(s) == 0 {
		return "-"
	}
	if u == megabytes {
		return fmt.Sprintf("%.0f MB/s, %.2f CPU s/GB", s.Rate()/1e6, s.CPU()*1e9)
	}
	return fmt.Sprintf("%.0f/s, %s / %s ms, %.2f CPU ms", s.Rate(), measure.Milliseconds(s.Quantile(0.5)), measure.Milliseconds(s.Quantile(0.99)), s.CPU()*1e3)
}

func (u unit) value(n int64) string {
	if u == milliseconds {
		return measure.Milliseconds(time.Duration(n)) + " ms"
	}
	return measure.Mebibytes(n)
}
