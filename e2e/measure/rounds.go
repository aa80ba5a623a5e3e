package measure

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Sample is one turn of one contestant.
type Sample struct {
	// Amount is in bytes, or how many there were.
	Amount float64
	// Took is how long it lasted, and CPU the CPU time that it took.
	Took, CPU time.Duration
	// Latencies are those of single operations, if there are several in a turn.
	Latencies []time.Duration
}

// Rate returns the amount for each second.
func (s Sample) Rate() float64 { return s.Amount / s.Took.Seconds() }

// Series are the turns of one contestant, one for each round.
type Series []Sample

// Rate returns the median of the rates.
func (s Series) Rate() float64 {
	rates := make([]float64, len(s))
	for i := range s {
		rates[i] = s[i].Rate()
	}
	return Median(rates)
}

// CPU returns the CPU seconds for each unit of the amount.
func (s Series) CPU() float64 {
	var seconds, amount float64
	for i := range s {
		seconds += s[i].CPU.Seconds()
		amount += s[i].Amount
	}
	return seconds / amount
}

// Quantile is taken over the single operations of all turns.
func (s Series) Quantile(q float64) time.Duration {
	var all []time.Duration
	for i := range s {
		all = append(all, s[i].Latencies...)
	}
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(len(all)-1, int(q*float64(len(all))))]
}

// Spread is what rounds have come to: the median, and how far they are apart, which tells what the median is worth.
type Spread struct{ Median, Least, Most float64 }

// String shows a ratio.
func (s Spread) String() string {
	text := Times(s.Median)
	if s.Least != s.Most {
		text += fmt.Sprintf(" (%.2f to %.2f)", s.Least, s.Most)
	}
	return text
}

// Ratio compares two contestants round by round: what disturbs a machine for seconds has disturbed both. Without rounds it is zero.
func Ratio(a, b Series) Spread {
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i].Rate() / b[i].Rate()
	}
	if len(ratios) == 0 {
		return Spread{}
	}
	return Spread{Median: Median(ratios), Least: slices.Min(ratios), Most: slices.Max(ratios)}
}

// Median returns the value in the middle, or halfway between the two that are there, and zero of none.
func Median[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1] + (sorted[middle]-sorted[middle-1])/2
}

// Turn is what a contestant does in one round.
type Turn func(ctx context.Context, round int) (Sample, error)

// TakeTurns runs rounds. Each begins with another contestant, and every other one goes backwards: none is always the one after the
// disk was busy, or after the same other one.
func TakeTurns(ctx context.Context, rounds int, turns ...Turn) ([]Series, error) {
	results := make([]Series, len(turns))
	for round := range rounds {
		for i := range turns {
			n := (round + i) % len(turns)
			if round%2 == 1 {
				n = (round + len(turns) - i) % len(turns)
			}
			s, err := turns[n](ctx, round)
			if err != nil {
				return nil, err
			}
			results[n] = append(results[n], s)
		}
	}
	return results, nil
}

// Once measures one operation on so many bytes.
func Once(amount int64, work func() error) (Sample, error) {
	begin := time.Now()
	err := work()
	return Sample{Amount: float64(amount), Took: time.Since(begin)}, err
}

// Crowd lets workers do the same again and again for a while.
func Crowd(ctx context.Context, workers int, lasting time.Duration, work func(ctx context.Context) error) (Sample, error) {
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
	return Sample{Amount: float64(len(all)), Took: time.Since(begin), Latencies: all}, err
}

// Counter gives each artifact of a run a number of its own.
type Counter struct{ n atomic.Int64 }

// Next returns the next number, 1 at first.
func (c *Counter) Next() int64 { return c.n.Add(1) }

// Fill makes bytes that don't compress, and are the same for the same seed, owner and number.
func Fill(p []byte, seed uint64, owner string, n int64) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	binary.LittleEndian.PutUint64(key[8:], uint64(n))
	copy(key[16:], owner)
	_, _ = rand.NewChaCha8(key).Read(p) // it returns no error
}
