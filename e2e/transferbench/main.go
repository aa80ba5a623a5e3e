// Command transferbench measures how a component version is copied from one registry to another: by package transfer, by
// oras-go, and by the least that HTTP needs, all in one run between the same two registries, ours and distribution v3, in both
// directions. Each registry and each copier is a process of its own; they take turns, so that whatever else the machine
// does hits all alike. It prints a table of absolutes and ratios, with what is aimed at.
//
// "make bench-transfer" calls it and keeps the result in docs/performance.md.
package main

import (
	"context"
	"flag"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// size says how much is measured.
type size struct {
	bytes       int64 // of everything that is copied once
	blobs       int   // that it is split into
	images      int   // that have most of them
	rounds      int
	concurrency int // blobs at once
}

var (
	full  = size{bytes: 1 << 30, blobs: 200, images: 8, rounds: 5, concurrency: 4}
	quick = size{bytes: 1 << 20, blobs: 20, images: 2, rounds: 1, concurrency: 2}
)

// bench is a run of this program.
type bench struct {
	measure.Program
	size

	cargo *cargo
}

func main() { newBench().Main() }

func newBench() *bench {
	b := &bench{size: full}
	columns := []measure.Column{{Name: machine, Title: "the machine"}, {Name: plain, Title: "plain copy"}, {Name: oras, Title: "oras-go"}, {Name: ours, Title: "ours"}}
	rounds := 0
	b.Program = measure.Program{
		Name: "transferbench", Target: "make bench-transfer", Longest: 45 * time.Minute,
		Parts: []measure.Part{
			{Name: "in", Run: func(ctx context.Context, w *measure.World) error {
				return b.direction(ctx, w, measure.Distribution, measure.Ours)
			}},
			{Name: "out", Run: func(ctx context.Context, w *measure.World) error {
				return b.direction(ctx, w, measure.Ours, measure.Distribution)
			}},
			{Name: "memory", Run: b.memory},
		},
		World:  func() *measure.World { return &measure.World{Namespace: namespace, Idle: 2 * b.concurrency} },
		Report: measure.Report{Columns: columns, Bounded: columns[1:]},
		Quick:  func() { b.size = quick },
		Flags:  func(flags *flag.FlagSet) { flags.IntVar(&rounds, "rounds", 0, "how often everything takes its turn") },
		Begin: func() (err error) {
			if rounds > 0 {
				b.rounds = rounds
			}
			b.cargo, err = newCargo(b.size, b.Seed)
			return err
		},
		Children: map[string]func(context.Context) error{copyCommand: serveCopies},
	}
	return b
}
