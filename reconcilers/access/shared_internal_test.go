package access

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crowd asks the same question many times at once.
func crowd(t *testing.T, a *answers[string], n int, since time.Time, ask func(context.Context) (string, int, error)) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			if got, err := a.ask(t.Context(), "key", since, ask); err != nil || got != "answer" {
				t.Errorf("answer is %q, %v", got, err)
			}
		})
	}
	group.Wait()
}

func TestAnswersAreShared(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	ask := func(context.Context) (string, int, error) {
		asked.Add(1)
		return "answer", 6, nil
	}
	var a answers[string]
	crowd(t, &a, 200, time.Now().Add(-time.Minute), ask)
	if got := asked.Load(); got != 1 {
		t.Errorf("200 at the same moment asked %d times, want once", got)
	}
	crowd(t, &a, 1, time.Now(), ask)
	if got := asked.Load(); got != 2 {
		t.Errorf("asked %d times, want once more: the answer is older than what the caller may have published", got-1)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) != 1 || len(a.latest) != 1 || a.size != 6 {
		t.Errorf("%d answers with %d bytes are kept, want the latest alone", len(a.order), a.size)
	}
}

func TestErrorsAndPanicsAreNotKept(t *testing.T) {
	t.Parallel()
	var a answers[string]
	broken := errors.New("unreachable")
	if _, err := a.ask(t.Context(), "key", time.Time{}, func(context.Context) (string, int, error) { return "", 0, broken }); !errors.Is(err, broken) {
		t.Errorf("error is %v, want that of the question", err)
	}
	_, err := a.ask(t.Context(), "panics", time.Time{}, func(context.Context) (string, int, error) { panic("foreign bytes") })
	if err == nil || !strings.Contains(err.Error(), "foreign bytes") {
		t.Errorf("error is %v, want the panic", err)
	}
	crowd(t, &a, 1, time.Time{}, func(context.Context) (string, int, error) { return "answer", 6, nil })
}

func TestCallerMayGiveUp(t *testing.T) {
	t.Parallel()
	var a answers[string]
	release := make(chan struct{})
	ask := func(ctx context.Context) (string, int, error) {
		<-release
		return "answer", 6, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.ask(ctx, "key", time.Time{}, ask); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the caller", err)
	}
	close(release)
	crowd(t, &a, 1, time.Time{}, func(context.Context) (string, int, error) { return "", 0, errors.New("asked twice") })
}

func TestKeptAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var many, large answers[string]
	for i := range 2 * maxAnswers {
		_, _ = many.ask(t.Context(), strconv.Itoa(i), time.Time{}, func(context.Context) (string, int, error) { return "x", 1, nil })
	}
	for i := range 20 {
		_, _ = large.ask(t.Context(), strconv.Itoa(i), time.Time{}, func(context.Context) (string, int, error) { return "x", maxAnswerBytes / 4, nil })
	}
	for name, a := range map[string]*answers[string]{"many": &many, "large": &large} {
		a.mu.Lock()
		if len(a.order) > maxAnswers || len(a.order) != len(a.latest) || a.size > maxAnswerBytes {
			t.Errorf("%s: %d answers with %d bytes are kept", name, len(a.order), a.size)
		}
		a.mu.Unlock()
	}
}
