package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// contestant is what a copier took, and the servers meanwhile.
type contestant struct{ own, servers measure.Series }

// String shows the speed, and the CPU time of the copier and of both servers.
func (c contestant) String() string {
	if len(c.own) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MB/s, %.2f + %.2f CPU s/GiB", c.own.Rate()/1e6, c.own.CPU()*(1<<30), c.servers.CPU()*(1<<30))
}

// goal is how many times as fast as a contestant ours shall be.
type goal struct {
	against string
	least   float64
}

// row is one comparison. Contestants may be missing.
type row struct {
	name, about string
	contestants map[string]contestant
	goals       []goal
}

func (r *row) ratio(against string) float64 {
	return measure.Ratio(r.contestants[ours].own, r.contestants[against].own)
}

// bound is something that shall not be more.
type bound struct {
	name, about             string
	ours, plain, oras, most int64
}

// columns are the contestants in the order of the table.
var columns = []string{machine, plain, oras, ours}

func (b *bench) add(r *row) {
	b.rows = append(b.rows, r)
	for _, name := range columns {
		b.say("%s: %s: %s", r.name, name, r.contestants[name])
	}
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
	fmt.Fprint(out, "| | the machine | plain copy | oras-go | ours | ours to the machine | ours to plain | ours to oras-go | goal |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		fmt.Fprintf(out, "| %s |", r.name)
		for _, name := range columns {
			fmt.Fprintf(out, " %s |", r.contestants[name])
		}
		for _, name := range columns[:len(columns)-1] {
			ratio := "-"
			if len(r.contestants[name].own) > 0 {
				ratio = measure.Times(r.ratio(name))
			}
			fmt.Fprintf(out, " %s |", ratio)
		}
		fmt.Fprintf(out, " %s |\n", r.verdict())
	}
	fmt.Fprintln(out)
	for _, r := range b.rows {
		fmt.Fprintf(out, "- *%s*: %s. %d rounds.\n", r.name, r.about, len(r.contestants[ours].own))
	}
	fmt.Fprintln(out)
}

func (r *row) verdict() string {
	var verdicts []string
	for _, g := range r.goals {
		verdicts = append(verdicts, fmt.Sprintf("%s of %s: %s", measure.Times(g.least), g.against, measure.Met(r.ratio(g.against) >= g.least)))
	}
	return strings.Join(verdicts, "; ")
}

func (b *bench) writeBounds(out *strings.Builder) {
	if len(b.bounds) == 0 {
		return
	}
	fmt.Fprint(out, "| | plain copy | oras-go | ours | at most |\n|---|---|---|---|---|\n")
	for _, x := range b.bounds {
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s: %s |\n", x.name, measure.Mebibytes(x.plain), measure.Mebibytes(x.oras), measure.Mebibytes(x.ours),
			measure.Mebibytes(x.most), measure.Met(x.ours <= x.most))
	}
	fmt.Fprintln(out)
	for _, x := range b.bounds {
		fmt.Fprintf(out, "- *%s*: %s.\n", x.name, x.about)
	}
}
