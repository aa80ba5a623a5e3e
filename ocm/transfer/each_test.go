package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// TestEach returns the error of what comes first, whatever ends first, and begins
// nothing after an error.
func TestEach(t *testing.T) {
	t.Parallel()
	second := make(chan struct{})
	var begun atomic.Int32
	err := each(t.Context(), 2, 100, func(_ context.Context, i int) error {
		begun.Add(1)
		switch i {
		case 0:
			<-second
			return errors.New("first")
		case 1:
			defer close(second)
			return errors.New("second")
		}
		return nil
	})
	if err == nil || err.Error() != "first" || begun.Load() > 3 {
		t.Errorf("each = %v after %d", err, begun.Load())
	}
	err = each(t.Context(), 4, 4, func(_ context.Context, i int) error {
		if i == 2 {
			panic("foreign bytes")
		}
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "panic: foreign bytes") || !strings.Contains(panics.Stack(err), "each_test.go") {
		t.Errorf("each = %v", err)
	}
}

// TestEachUntil stops the others, whose errors don't count.
func TestEachUntil(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	err := eachUntil(t.Context(), 2, 2, func(ctx context.Context, i int) error {
		if i == 0 {
			close(waiting)
			<-ctx.Done()
			return fmt.Errorf("stopped: %w", ctx.Err())
		}
		<-waiting
		return errors.New("wrong")
	})
	if err == nil || err.Error() != "wrong" {
		t.Errorf("eachUntil = %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shut down")
	cancel(reason)
	if err := eachUntil(ctx, 2, 2, func(context.Context, int) error { return nil }); !errors.Is(err, reason) {
		t.Errorf("eachUntil = %v", err)
	}
	if err := each(ctx, 2, 2, func(context.Context, int) error { return nil }); !errors.Is(err, reason) {
		t.Errorf("each = %v", err)
	}
}
