// Command registrybench measures the embedded registry beside what the machine can do at best and beside distribution v3,
// all in one run: each server is a process of its own over the same filesystem, and they take turns, so that whatever else
// the machine does hits all alike. It prints a table of absolutes and ratios, with what is aimed at.
//
// "make bench-registry" calls it; with -write the result is kept in docs/performance.md.
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
const wholeTimeout = 15 * time.Minute

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
	size
	progress io.Writer
	dir      string
	seed     uint64

	rows   []*row
	bounds []*bound
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "registrybench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == measure.ServeCommand {
		return measure.Serve(ctx, args[1:])
	}
	b := &bench{progress: os.Stderr, size: full}
	flags := flag.NewFlagSet("registrybench", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder on the filesystem to measure; default is the one for temporary files")
	only := flags.String("only", strings.Join(partNames(), ","), "parts to run")
	flags.Uint64Var(&b.seed, "seed", 1, "what the content is made of")
	small := flags.Bool("quick", false, "tiny sizes: shows that everything works, and measures nothing")
	write := flags.String("write", "", "document to write the result into, between the marks there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *small {
		b.size = quick
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wholeTimeout, fmt.Errorf("all took more than %s", wholeTimeout))
	defer cancel()
	chosen, err := choose(strings.Split(*only, ","))
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := b.runAll(ctx, *dir, chosen); err != nil {
		return err
	}
	command := strings.TrimSpace("go run ./e2e/registrybench " + strings.Join(args, " "))
	text := b.report(command, measure.DescribeMachine(), begin, time.Since(begin))
	fmt.Println(text)
	if *write == "" {
		return nil
	}
	return measure.Keep(*write, program, text)
}

// part is a group of measurements over the same servers.
type part struct {
	name string
	run  func(*bench, context.Context, *measure.World) error
}

var parts = []part{
	{"small", (*bench).small},
	{"large", (*bench).large},
	{"memory", (*bench).memory},
	{"snapshots", (*bench).many},
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
	b.dir, err = os.MkdirTemp(dir, "registrybench-")
	if err != nil {
		return fmt.Errorf("create a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	for _, p := range chosen {
		fmt.Fprintln(b.progress, "--- "+p.name)
		w := &measure.World{Progress: b.progress, Log: b.progress, Namespace: namespace, Idle: 2 * b.workers}
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
