package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Marks around what this program writes into a document.
const (
	beginMark = "<!-- begin of what make bench-pipeline writes -->"
	endMark   = "<!-- end of what make bench-pipeline writes -->"
)

// report writes everything as markdown.
func report(command string, limits []limit, rows []*row, at time.Time) string {
	var out strings.Builder
	fmt.Fprintf(&out, "Measured on %s by `%s`.\n\n", at.UTC().Format("2006-01-02"), command)
	writeLimits(&out, limits)
	writeTable(&out, rows)
	writeAims(&out, rows)
	writeCPU(&out, rows)
	return out.String()
}

func writeLimits(out *strings.Builder, limits []limit) {
	if len(limits) == 0 {
		return
	}
	fmt.Fprint(out, "What the machine can do, measured in the same run:\n\n| | |\n|---|---|\n")
	for _, l := range limits {
		fmt.Fprintf(out, "| %s | %s |\n", l.name, l.value)
	}
	fmt.Fprintln(out)
}

func writeTable(out *strings.Builder, rows []*row) {
	fmt.Fprint(out, "| | first / median / last, s | CPU, s | API requests: "+strings.Join(verbs, " / ")+
		" | writes | events | source requests | snapshot requests | peak / end, MiB | notes |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		if r.err != nil {
			fmt.Fprintf(out, "| %s | failed: %s |\n", r.name, oneLine(r.err.Error()))
			continue
		}
		fmt.Fprintf(out, "| %s | %s | %.2f | %d: %s | %d | %d | %d | %d | %.0f / %.0f | %s |\n", r.name, r.times(), r.cost.CPU.Seconds(),
			r.cost.requests(), r.cost.verbs(), r.cost.writes(), r.cost.Events, total(r.cost.Source), r.cost.Snapshots,
			mebibytes(r.cost.Peak), mebibytes(r.cost.Resident), strings.Join(r.notes, "; "))
	}
	fmt.Fprintln(out)
}

func (r *row) times() string {
	switch len(r.took) {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.2f", r.last().Seconds())
	}
	return fmt.Sprintf("%.2f / %.2f / %.2f", r.first().Seconds(), r.median().Seconds(), r.last().Seconds())
}

func (c cost) verbs() string {
	parts := make([]string, 0, len(verbs))
	for _, verb := range verbs {
		parts = append(parts, strconv.Itoa(c.API[verb]))
	}
	return strings.Join(parts, " / ")
}

func writeAims(out *strings.Builder, rows []*row) {
	fmt.Fprint(out, "| | the upstream project | aims |\n|---|---|---|\n")
	for _, r := range rows {
		aims := make([]string, 0, len(r.aims))
		for _, a := range r.aims {
			aims = append(aims, a.String())
		}
		fmt.Fprintf(out, "| %s | %s | %s |\n", r.name, r.upstream, cmp.Or(strings.Join(aims, "; "), "none"))
	}
	fmt.Fprintln(out)
}

// writeCPU shows who had the cores, which is the usual reason for a time that is longer than wanted.
func writeCPU(out *strings.Builder, rows []*row) {
	names := map[string]bool{}
	for _, r := range rows {
		for name := range r.cost.Others {
			names[name] = true
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	if len(columns) == 0 {
		return
	}
	fmt.Fprintf(out, "CPU seconds of every process, all of which share the cores:\n\n| | operator | %s |\n|---|---|%s\n",
		strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range rows {
		if r.err != nil {
			continue
		}
		fmt.Fprintf(out, "| %s | %.2f |", r.name, r.cost.CPU.Seconds())
		for _, name := range columns {
			fmt.Fprintf(out, " %.2f |", r.cost.Others[name].Seconds())
		}
		fmt.Fprintln(out)
	}
}

// missed lists the aims that were not met, and what failed.
func missed(rows []*row) []string {
	var found []string
	for _, r := range rows {
		if r.err != nil {
			found = append(found, r.name+" failed: "+r.err.Error())
		}
		for _, a := range r.aims {
			if !a.met() {
				found = append(found, fmt.Sprintf("%s: %s %s %s, got %s", r.name, a.what, number(a.most), a.unit, number(a.got)))
			}
		}
	}
	return found
}

// insert puts a report between the marks of a document.
func insert(document, text string) (string, error) {
	before, rest, begin := strings.Cut(document, beginMark)
	_, after, end := strings.Cut(rest, endMark)
	if !begin || !end {
		return "", fmt.Errorf("the document needs the lines %q and %q, between which the measurements are written", beginMark, endMark)
	}
	return before + beginMark + "\n\n" + strings.TrimSpace(text) + "\n\n" + endMark + after, nil
}

func oneLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return strings.ReplaceAll(s, "|", "/")
}
