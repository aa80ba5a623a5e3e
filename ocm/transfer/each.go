package transfer

import (
	"context"
	"fmt"
	"sync"
)

// each calls do for 0 to n-1, in this order and some at a time, until one of them
// fails. It returns when all have ended, with the first error by number that is not
// about the others having been stopped.
func each(ctx context.Context, concurrency, n int, do func(ctx context.Context, i int) error) error {
	stopped, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu     sync.Mutex
		next   int
		failed error
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= n || stopped.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	var workers sync.WaitGroup
	for range min(n, concurrency) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := guarded(stopped, i, do); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					stop()
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return failed
}

// guarded turns a panic into an error: nothing else recovers on these goroutines,
// and what they read is foreign.
func guarded(ctx context.Context, i int, do func(ctx context.Context, i int) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return do(ctx, i)
}
