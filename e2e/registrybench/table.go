package main

import (
	"fmt"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// contest is what the machine, ours and the other one have done in their turns. Only ours is never missing.
type contest struct{ machine, ours, other measure.Series }

// results shows each as wanted.
func (c contest) results(show func(measure.Series) string) map[string]measure.Result {
	results := map[string]measure.Result{}
	for name, s := range map[string]measure.Series{machine: c.machine, ours: c.ours, other: c.other} {
		if len(s) > 0 {
			results[name] = measure.Result{Series: s, Text: show(s)}
		}
	}
	return results
}

// against are the goals of a row with one.
func against(name string, least float64) []measure.Goal {
	return []measure.Goal{{Against: name, Least: least}}
}

// megabytes shows a speed in bytes, and the CPU time of the server.
func megabytes(s measure.Series) string {
	return fmt.Sprintf("%.0f MB/s, %.2f CPU s/GB", s.Rate()/1e6, s.CPU()*1e9)
}

// artifacts shows how many there were, how long single ones took, and the CPU time of the server.
func artifacts(s measure.Series) string {
	return fmt.Sprintf("%.0f/s, %s / %s ms, %.2f CPU ms", s.Rate(), measure.Milliseconds(s.Quantile(0.5)), measure.Milliseconds(s.Quantile(0.99)), s.CPU()*1e3)
}

func milliseconds(n int64) string { return measure.Milliseconds(time.Duration(n)) + " ms" }
