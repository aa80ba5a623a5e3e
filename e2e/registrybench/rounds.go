package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// sample is one turn of one contestant.
type sample struct {
	amount    float64 // bytes, or how many
	took, cpu time.Duration
	latencies []time.Duration
}

func (s sample) rate() float64 { return s.amount / s.took.Seconds() }

// series are the turns of one contestant, one for each round.
type series []sample

func (s series) rate() float64 {
	rates := make([]float64, len(s))
	for i := range s {
		rates[i] = s[i].rate()
	}
	return median(rates)
}

// cpu returns the CPU seconds for each unit of the amount.
func (s series) cpu() float64 {
	var seconds, amount float64
	for i := range s {
		seconds += s[i].cpu.Seconds()
		amount += s[i].amount
	}
	return seconds / amount
}

// quantile is taken over the single operations of all turns.
func (s series) quantile(q float64) time.Duration {
	var all []time.Duration
	for i := range s {
		all = append(all, s[i].latencies...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

// ratio compares two contestants round by round: what disturbs a machine for seconds has disturbed both.
func ratio(a, b series) float64 {
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i].rate() / b[i].rate()
	}
	return median(ratios)
}

func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// turn is what a contestant does in one round.
type turn func(ctx context.Context, round int) (sample, error)

// takeTurns runs rounds. Each begins with another contestant, so that none is always the one after the disk was busy.
func takeTurns(ctx context.Context, rounds int, turns ...turn) ([]series, error) {
	results := make([]series, len(turns))
	for round := range rounds {
		for i := range turns {
			n := (i + round) % len(turns)
			s, err := turns[n](ctx, round)
			if err != nil {
				return nil, err
			}
			results[n] = append(results[n], s)
		}
	}
	return results, nil
}

// account adds the CPU time that a contestant takes for some work.
func (c *contestant) account(work func() (sample, error)) (sample, error) {
	before, err := operator.UsageOf(c.process.PID())
	if err != nil {
		return sample{}, err
	}
	s, err := work()
	if err != nil {
		return sample{}, err
	}
	after, err := operator.UsageOf(c.process.PID())
	s.cpu = after.CPU - before.CPU
	return s, err
}

// once measures one operation on so many bytes.
func once(amount int64, work func() error) (sample, error) {
	begin := time.Now()
	err := work()
	return sample{amount: float64(amount), took: time.Since(begin)}, err
}

// crowd lets workers do the same again and again for a while.
func crowd(ctx context.Context, workers int, lasting time.Duration, work func(ctx context.Context) error) (sample, error) {
	var (
		mu  sync.Mutex
		all []time.Duration
	)
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for range workers {
		group.Go(func() error {
			var own []time.Duration
			for time.Since(begin) < lasting {
				from := time.Now()
				if err := work(ctx); err != nil {
					return err
				}
				own = append(own, time.Since(from))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
			return nil
		})
	}
	err := group.Wait()
	return sample{amount: float64(len(all)), took: time.Since(begin), latencies: all}, err
}

// counter gives each artifact of a run a number of its own.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }

// fill makes bytes that don't compress, and are the same for the same seed, owner and number.
func fill(p []byte, seed uint64, owner string, n int64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	copy(key[16:], owner)
	_, _ = rand.NewChaCha8(key).Read(p) // it returns no error
}

func (b *bench) say(format string, args ...any) {
	fmt.Fprintln(b.progress, "   ", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
