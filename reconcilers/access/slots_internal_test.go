package access

import (
	"context"
	"errors"
	"testing"
)

// TestSlots has one namespace read as much from a host as it may. It waits for another slot there, and nobody else does.
func TestSlots(t *testing.T) {
	t.Parallel()
	s := newSlots(1)
	take := func(ctx context.Context, namespace, host string) func() {
		t.Helper()
		release, err := s.take(ctx, namespace, host)
		if err != nil {
			t.Fatalf("a slot of %s at %s: %v", namespace, host, err)
		}
		return release
	}
	release := take(t.Context(), "one", "slow")
	take(t.Context(), "one", "other")()
	take(t.Context(), "two", "slow")()
	why := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := s.take(ctx, "one", "slow"); !errors.Is(err, why) {
		t.Errorf("a slot that is taken: %v, want %v", err, why)
	}
	release()
	take(t.Context(), "one", "slow")()
	if len(s.all) > 0 {
		t.Errorf("%d slots are kept for nobody", len(s.all))
	}
}
