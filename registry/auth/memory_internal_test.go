package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"testing"
	"time"
)

// TestMemory is bounded: what was used last stays. It keeps no errors, and nothing that has ended.
func TestMemory(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	m := newMemory[int](3, time.Minute, func() time.Time { return now })
	asked := 0
	ask := func(n int, life time.Duration, fault error) int {
		t.Helper()
		asked = 0
		got, err := m.ask(t.Context(), memoryKey(sha256.Sum256([]byte(strconv.Itoa(n)))), "", func(context.Context) (answer[int], error) {
			asked++
			return answer[int]{value: n, until: now.Add(life)}, fault
		})
		if !errors.Is(err, fault) || fault == nil && got.value != n {
			t.Errorf("%d: got %d (%v)", n, got.value, err)
		}
		return asked
	}
	fault := errors.New("no answer")
	for i, step := range []struct {
		n      int
		life   time.Duration
		fault  error
		asked  int
		reason string
	}{
		{1, time.Hour, nil, 1, "new"},
		{2, time.Hour, nil, 1, "new"},
		{3, time.Hour, nil, 1, "new"},
		{1, time.Hour, nil, 0, "known, and used"},
		{4, time.Hour, nil, 1, "in place of 2"},
		{1, time.Hour, nil, 0, "used lately"},
		{2, time.Hour, nil, 1, "in place of 3"},
		{3, 0, nil, 1, "it has ended"},
		{3, 0, nil, 1, "and was not kept"},
		{5, time.Hour, fault, 1, "an error"},
		{5, time.Hour, nil, 1, "is not kept"},
	} {
		if got := ask(step.n, step.life, step.fault); got != step.asked {
			t.Errorf("step %d: asked %d times for %d: %s", i, got, step.n, step.reason)
		}
		if len(m.answers.entries) > 3 || m.answers.order.Len() != len(m.answers.entries) {
			t.Errorf("step %d: %d are kept", i, len(m.answers.entries))
		}
	}
}

// TestMemoryGivesUp on questions that take too long.
func TestMemoryGivesUp(t *testing.T) {
	t.Parallel()
	m := newMemory[int](3, time.Millisecond, time.Now)
	_, err := m.ask(t.Context(), memoryKey{}, "", func(ctx context.Context) (answer[int], error) {
		<-ctx.Done()
		return answer[int]{}, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestRefusalsTakeNoPlace of what is allowed, and one takes the place of the allowance before it.
func TestRefusalsTakeNoPlace(t *testing.T) {
	t.Parallel()
	m := newMemory[bool](3, time.Minute, time.Now)
	later := time.Now().Add(time.Hour)
	keyOf := func(n int) memoryKey { return sha256.Sum256([]byte(strconv.Itoa(n))) }
	m.remember(keyOf(0), answer[bool]{value: true, until: later})
	for n := range 100 {
		m.remember(keyOf(n+1), answer[bool]{until: later, refused: true})
	}
	if known, good := m.recall(keyOf(0)); !known.value || !good {
		t.Error("what was allowed is forgotten")
	}
	if _, good := m.recall(keyOf(1)); good || len(m.refusals.entries) != 3 {
		t.Errorf("%d refusals are kept", len(m.refusals.entries))
	}
	for _, refused := range []bool{true, false, true} {
		m.remember(keyOf(0), answer[bool]{value: !refused, until: later, refused: refused})
		if known, good := m.recall(keyOf(0)); known.value == refused || !good {
			t.Errorf("refused is not %t", refused)
		}
	}
}

// TestTurns are for each address by itself, and nothing is kept of an address that waits for nothing.
func TestTurns(t *testing.T) {
	t.Parallel()
	turns := turns{}
	one, other := network("10.0.0.1:1"), network("10.0.0.2:1")
	var done []func()
	for range turnsEach {
		end, err := turns.take(t.Context(), one)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, end)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := turns.take(gone, one); !errors.Is(err, context.Canceled) {
		t.Errorf("one more of the same address: %v", err)
	}
	end, err := turns.take(t.Context(), other)
	if err != nil {
		t.Fatalf("another address: %v", err)
	}
	for _, end := range append(done, end) {
		end()
	}
	if len(turns.busy) > 0 {
		t.Errorf("%d addresses are kept", len(turns.busy))
	}
}
