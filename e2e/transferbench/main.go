// Command transferbench measures how a component version is copied from one registry to another: by package transfer, by
// oras-go, and by the least that HTTP needs, all in one run between the same two registries, ours and distribution v3, in both
// directions. Each registry and each copier is a process of its own; they take turns, so that whatever else the machine
// does hits all alike. It prints a table of absolutes and ratios, with what is aimed at.
//
// "make bench-transfer" calls it and keeps the result in docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// wholeTimeout bounds a run; nothing may hang.
const wholeTimeout = 45 * time.Minute

// program is how the user calls this, in the document.
const program = "make bench-transfer"

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
	size
	progress io.Writer
	dir      string
	seed     uint64
	cargo    *cargo

	rows   []*row
	bounds []*bound
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "transferbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == measure.ServeCommand {
		return measure.Serve(ctx, args[1:])
	}
	if len(args) > 0 && args[0] == copyCommand {
		return serveCopies(ctx)
	}
	b := &bench{progress: os.Stderr, size: full}
	flags := flag.NewFlagSet("transferbench", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder on the filesystem to measure; default is the one for temporary files")
	only := flags.String("only", strings.Join(partNames(), ","), "parts to run")
	rounds := flags.Int("rounds", 0, "how often everything takes its turn")
	flags.Uint64Var(&b.seed, "seed", 1, "what the content is made of")
	small := flags.Bool("quick", false, "tiny sizes: shows that everything works, and measures nothing")
	write := flags.String("write", "", "document to write the result into, between the marks there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *small {
		b.size = quick
	}
	if *rounds > 0 {
		b.rounds = *rounds
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wholeTimeout, fmt.Errorf("all took more than %s", wholeTimeout))
	defer cancel()
	chosen, err := choose(strings.Split(*only, ","))
	if err != nil {
		return err
	}
	machine, begin := measure.DescribeMachine(), time.Now()
	if err := b.runAll(ctx, *dir, chosen); err != nil {
		return err
	}
	command := strings.TrimSpace("go run ./e2e/transferbench " + strings.Join(args, " "))
	text := b.report(command, machine, begin, time.Since(begin))
	fmt.Println(text)
	if *write == "" {
		return nil
	}
	return measure.Keep(*write, program, text)
}

// part is a group of measurements over the same source.
type part struct {
	name string
	run  func(*bench, context.Context, *measure.World) error
}

var parts = []part{
	{"in", func(b *bench, ctx context.Context, w *measure.World) error {
		return b.direction(ctx, w, measure.Distribution, measure.Ours)
	}},
	{"out", func(b *bench, ctx context.Context, w *measure.World) error {
		return b.direction(ctx, w, measure.Ours, measure.Distribution)
	}},
	{"memory", (*bench).memory},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func choose(names []string) ([]part, error) {
	var chosen []part
	for _, name := range names {
		found := false
		for _, p := range parts {
			if p.name == name {
				chosen, found = append(chosen, p), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(partNames(), ", "))
		}
	}
	return chosen, nil
}

// runAll runs parts, each over a folder and servers of its own: what one part has left to the disk shall not weigh on the next.
func (b *bench) runAll(ctx context.Context, dir string, chosen []part) (err error) {
	b.dir, err = os.MkdirTemp(dir, "transferbench-")
	if err != nil {
		return fmt.Errorf("create a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.cargo, err = newCargo(b.size, b.seed); err != nil {
		return err
	}
	for _, p := range chosen {
		fmt.Fprintln(b.progress, "--- "+p.name)
		w := &measure.World{Progress: b.progress, Namespace: namespace, Idle: 2 * b.concurrency}
		err := w.Prepare(b.dir)
		if err == nil {
			err = p.run(b, ctx, w)
		}
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintln(b.progress, "   ", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
