package transfer

import (
	"context"
	"errors"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// each calls do for 0 to n-1, in this order and some at a time, until one of them
// fails. What was begun goes on to its end, so which error comes first does not
// depend on time: it is that with the lowest number.
func each(ctx context.Context, concurrency, n int, do func(ctx context.Context, i int) error) error {
	return (&crew{stop: func() {}}).work(ctx, concurrency, n, do)
}

// eachUntil is each for what takes long: an error stops the others.
func eachUntil(ctx context.Context, concurrency, n int, do func(ctx context.Context, i int) error) error {
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	err := (&crew{stop: stop}).work(stopped, concurrency, n, do)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// crew shares numbered work.
type crew struct {
	stop func()

	mu     sync.Mutex
	next   int
	failed int
	err    error
}

func (c *crew) work(ctx context.Context, concurrency, n int, do func(ctx context.Context, i int) error) error {
	var workers sync.WaitGroup
	for range min(n, concurrency) {
		workers.Go(func() {
			for i, ok := c.take(ctx, n); ok; i, ok = c.take(ctx, n) {
				c.done(i, guarded(ctx, i, do))
			}
		})
	}
	workers.Wait()
	if c.err == nil || ctx.Err() != nil && errors.Is(c.err, context.Canceled) {
		return context.Cause(ctx)
	}
	return c.err
}

func (c *crew) take(ctx context.Context, n int) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next >= n || c.err != nil || ctx.Err() != nil {
		return 0, false
	}
	c.next++
	return c.next - 1, true
}

func (c *crew) done(i int, err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// What was stopped because of another error says nothing.
	if c.err == nil || i < c.failed && !errors.Is(err, context.Canceled) {
		c.err, c.failed = err, i
	}
	c.stop()
}

// guarded turns a panic into an error: nothing else recovers on these goroutines,
// and what they read is foreign.
func guarded(ctx context.Context, i int, do func(ctx context.Context, i int) error) (err error) {
	defer panics.Recover(&err, "")
	return do(ctx, i)
}
