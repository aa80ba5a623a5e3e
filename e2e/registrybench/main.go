// Command registrybench measures the embedded registry beside what the machine can do at best and beside distribution v3,
// all in one run: each server is a process of its own over the same filesystem, and they take turns, so that whatever else
// the machine does hits all alike. It prints a table of absolutes and ratios, with what is aimed at.
//
// "make bench-registry" calls it; with -write the result is kept in docs/performance.md.
package main

import (
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// size says how much is measured.
type size struct {
	largest   int64         // bytes of a large blob
	pushes    int           // rounds of large pushes
	pulls     int           // rounds of large pulls
	parallel  int           // large transfers at once, for memory
	rounds    int           // rounds of small artifacts
	turn      time.Duration // how long one takes its turn with small artifacts
	workers   int           // clients at once with small artifacts
	snapshots int           // artifacts in a large store
	starts    int           // of that store
}

var (
	full = size{
		largest: 256 << 20, pushes: 6, pulls: 15, parallel: 5, rounds: 5, turn: 2 * time.Second, workers: 16, snapshots: 100_000, starts: 5,
	}
	quick = size{
		largest: 1 << 20, pushes: 1, pulls: 1, parallel: 2, rounds: 1, turn: 50 * time.Millisecond, workers: 2, snapshots: 200, starts: 1,
	}
)

// smallBytes is the layer of a small artifact.
const smallBytes = 4 << 10

// bench is a run of this program.
type bench struct {
	measure.Program
	size
}

func main() { newBench().Main() }

func newBench() *bench {
	b := &bench{size: full}
	columns := []measure.Column{{Name: machine, Title: "the machine"}, {Name: ours, Title: "ours"}, {Name: other, Title: "distribution v3"}}
	b.Program = measure.Program{
		Name: "registrybench", Target: "make bench-registry", Longest: 15 * time.Minute,
		Parts: []measure.Part{{Name: "small", Run: b.small}, {Name: "large", Run: b.large}, {Name: "memory", Run: b.memory}, {Name: "snapshots", Run: b.many}},
		World: func() *measure.World {
			return &measure.World{Log: b.Progress, Namespace: namespace, Idle: 2 * b.workers}
		},
		Report: measure.Report{Columns: columns, Bounded: columns[1:]},
		Quick:  func() { b.size = quick },
	}
	return b
}
