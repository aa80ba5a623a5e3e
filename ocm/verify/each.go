package verify

import (
	"context"
	"errors"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// each calls do for 0 to n-1, in this order and several at a time, until one of
// them fails. It returns after all that were begun have ended, with the first
// refusal by number if there is one, and else the first error. All before a
// refusal were begun before it, so which one is first doesn't depend on time.
func (t *tree) each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	var (
		mu      sync.Mutex
		next    int
		refused = n
		failed  = n
		errs    = map[int]error{}
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= n || len(errs) > 0 || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	done := func(i int, err error) {
		if err == nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		errs[i] = err
		if failed = min(failed, i); errors.Is(err, ErrRefused) {
			refused = min(refused, i)
		}
	}
	var workers sync.WaitGroup
	for range min(n, t.options.Concurrency) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				done(i, guarded(ctx, i, do))
			}
		})
	}
	workers.Wait()
	switch {
	case refused < n:
		return errs[refused]
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed < n:
		return errs[failed]
	}
	return nil
}

// guarded turns a panic into an error. Nothing else recovers on the goroutines of
// each, and what they read is foreign.
func guarded(ctx context.Context, i int, do func(ctx context.Context, i int) error) (err error) {
	defer panics.Recover(&err, "")
	return do(ctx, i)
}
