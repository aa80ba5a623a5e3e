// Command bench measures the operator at work: pipelines from the component to what Flux has applied, in a real cluster
// with real registries, all on this machine. It prints one table, with what is aimed at beside what was measured.
//
// "make bench-pipeline" calls it and keeps the result in docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

const (
	// partTimeout bounds each part, and wholeTimeout all of them; nothing may hang.
	partTimeout  = 5 * time.Minute
	wholeTimeout = 15 * time.Minute
	buildTimeout = 5 * time.Minute
)

// bench is a run of this program.
type bench struct {
	progress   io.Writer
	binary     string
	pipelines  int
	largest    int64
	profileDir string
	pprofAddr  string

	rows []*row
}

// part is a group of measurements that need a cluster of their own.
type part struct {
	name  string
	about string
	run   func(*bench, context.Context, *world) error
}

var parts = []part{
	{"one", "the idle operator, and one pipeline", (*bench).one},
	{"fifty", "50 pipelines at once, their steady state, and a restart", (*bench).fifty},
	{"most", "200 pipelines at once", (*bench).most},
	{"upgrade", "a new version until it is applied", (*bench).upgrade},
	{"large", "large directories and blobs", (*bench).large},
}

func main() {
	ctrl.SetLogger(logr.Discard()) // what a person should know is printed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	b := &bench{progress: os.Stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	only := flags.String("only", strings.Join(names, ","), "parts to run")
	flags.IntVar(&b.pipelines, "pipelines", 0, "at most that many pipelines, for a short run; 0 is no bound")
	flags.Int64Var(&b.largest, "largest", 0, "at most that many MiB of large content; 0 is no bound")
	flags.StringVar(&b.profileDir, "profile", "", "folder for CPU and heap profiles of the operator in the part fifty")
	write := flags.String("write", "", "document to write the result into, between the marks there")
	noLimits := flags.Bool("no-limits", false, "don't measure the limits of the machine")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(strings.Split(*only, ","))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wholeTimeout, fmt.Errorf("all took more than %s", wholeTimeout))
	defer cancel()
	var limits []limit
	if !*noLimits {
		fmt.Fprintln(b.progress, "--- limits of this machine")
		if limits, err = machine(ctx); err != nil {
			return err
		}
	}
	if err := b.runAll(ctx, chosen); err != nil {
		return err
	}
	text := report("go run ./e2e/bench "+strings.Join(args, " "), limits, b.rows, time.Now())
	fmt.Println(text)
	return b.conclude(*write, text)
}

// conclude keeps the result and says what was missed. An aim that is missed is a result; a measurement that failed is an error.
func (b *bench) conclude(path, text string) error {
	if misses := missed(b.rows); len(misses) > 0 {
		fmt.Fprintln(b.progress, "Missed:\n  "+strings.Join(misses, "\n  "))
	}
	for _, r := range b.rows {
		if r.err != nil {
			return fmt.Errorf("%s: %w", r.name, r.err)
		}
	}
	if path == "" {
		return nil
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the document for the result: %w", err)
	}
	changed, err := insert(string(document), text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}

func choose(names []string) ([]part, error) {
	var chosen []part
	for _, p := range parts {
		if slices.Contains(names, p.name) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) != len(names) {
		var known []string
		for _, p := range parts {
			known = append(known, "  "+p.name+"\t"+p.about)
		}
		return nil, fmt.Errorf("-only %s: known parts, each at most once, are\n%s", strings.Join(names, ","), strings.Join(known, "\n"))
	}
	return chosen, nil
}

// runAll builds the programs and runs the parts. A part that fails leaves the others to be measured.
func (b *bench) runAll(ctx context.Context, chosen []part) (err error) {
	dir, err := os.MkdirTemp("", "ocm-operator-bench-")
	if err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Fprintln(b.progress, "--- programs")
	if err := cluster.Build(ctx, cluster.Options{Dir: dir, ControllerManager: true, Flux: true, Progress: b.progress}); err != nil {
		return err
	}
	buildCtx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	// As it is released, because its size and its memory are measured.
	if b.binary, err = operator.Build(buildCtx, dir, "-trimpath", "-ldflags=-s -w"); err != nil {
		return err
	}
	for _, p := range chosen {
		fmt.Fprintf(b.progress, "--- %s: %s\n", p.name, p.about)
		begin := time.Now()
		if err := b.runPart(ctx, filepath.Join(dir, p.name), p); err != nil {
			fmt.Fprintln(b.progress, "  failed:", err)
			b.fail(p.name, err)
		}
		fmt.Fprintf(b.progress, "  %s took %.0f s\n", p.name, time.Since(begin).Seconds())
		if ctx.Err() != nil {
			return nil // what was measured until then is reported, with the part that failed
		}
	}
	return nil
}

func (b *bench) runPart(ctx context.Context, dir string, p part) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, partTimeout, fmt.Errorf("%s took more than %s", p.name, partTimeout))
	defer cancel()
	var args []string
	if b.profileDir != "" {
		if b.pprofAddr, err = freeAddress(ctx); err != nil {
			return err
		}
		args = append(args, "--pprof-addr="+b.pprofAddr)
	}
	w, err := newWorld(ctx, dir, b.binary, b.progress, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close(context.WithoutCancel(ctx))) }()
	return p.run(b, ctx, w)
}

// row begins another row of the table.
func (b *bench) row(name string) *row {
	r := &row{name: name}
	b.rows = append(b.rows, r)
	return r
}

// fail marks the row that was being measured.
func (b *bench) fail(part string, err error) {
	if n := len(b.rows); n > 0 && b.rows[n-1].cost.API == nil {
		b.rows[n-1].err = err
		return
	}
	b.row(part).err = err
}

// count is how many pipelines to run.
func (b *bench) count(nominal int) int {
	if b.pipelines > 0 {
		return min(nominal, b.pipelines)
	}
	return nominal
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
