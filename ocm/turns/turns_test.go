package turns_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/turns"
)

// TestTake has a key taken as often as it may be. Who wants another turn of it waits, and who wants something else does not.
func TestTake(t *testing.T) {
	t.Parallel()
	s := turns.New[string](2)
	take := func(key string) func() {
		t.Helper()
		end, err := s.Take(t.Context(), key)
		if err != nil {
			t.Fatalf("a turn of %s: %v", key, err)
		}
		return end
	}
	first, second := take("slow"), take("slow")
	take("other")()
	why := errors.New("given up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := s.Take(ctx, "slow"); !errors.Is(err, why) {
		t.Errorf("a turn that is taken: %v, want %v", err, why)
	}
	first()
	first() // once is enough, and twice does no harm
	third := take("slow")
	if _, err := s.Take(ctx, "slow"); !errors.Is(err, why) {
		t.Errorf("a turn that is taken again: %v, want %v", err, why)
	}
	second()
	third()
	if n := s.Len(); n != 0 {
		t.Errorf("%d keys are kept for nobody", n)
	}
}
