package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if serving() {
		os.Exit(serve())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout)
	stop()
	os.Exit(code)
}

// options is what a soak is asked to do.
type options struct {
	duration    time.Duration
	concurrency int
	seed        uint64
	// killEvery is the mean time between two kills.
	killEvery time.Duration
	// live bounds how many artifacts there are at a time.
	live int
	// quota bounds what the registry may take of the disk; 0 does not.
	quota int64
	// damage is the mean time between two files that are damaged; 0 damages none.
	damage time.Duration
	dir    string
}

func run(ctx context.Context, args []string, out io.Writer) int {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.DurationVar(&o.duration, "duration", 2*time.Minute, "How long to go on.")
	flags.IntVar(&o.concurrency, "concurrency", 16, "How many clients there are at once.")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64(), "What the random decisions begin with; the times of the machine stay random.")
	flags.DurationVar(&o.killEvery, "kill-every", 4*time.Second, "Mean time between two kills of the registry.")
	flags.IntVar(&o.live, "live", 300, "How many artifacts to keep at a time.")
	flags.Int64Var(&o.quota, "quota", 32<<20, "How many bytes the registry may keep, which is less than the clients want; 0 is no bound.")
	flags.DurationVar(&o.damage, "damage-every", 2*time.Second, "Mean time between two files that are damaged on the disk; 0 damages none.")
	flags.StringVar(&o.dir, "dir", "", "Where the registry keeps its content; a temporary folder when empty.")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	counts, err := soak(ctx, o, out)
	_, _ = fmt.Fprint(out, counts)
	if err != nil {
		_, _ = fmt.Fprintf(out, "FAIL (seed %d): %v\n", o.seed, err)
		return 1
	}
	_, _ = fmt.Fprintln(out, "PASS")
	return 0
}
