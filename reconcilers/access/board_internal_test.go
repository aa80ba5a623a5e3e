package access

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/types"
)

// object is the name of one that asks.
func object(i int) name {
	return name{"ComponentVersion", types.NamespacedName{Namespace: "team", Name: strconv.Itoa(i)}}
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// world is a repository with one answer, and objects that ask for it at each interval as the lifecycle lets them.
type world struct {
	board *board[string]
	ctx   context.Context

	mu     sync.Mutex
	answer string
	broken error
	takes  time.Duration
	asked  []time.Time
	// queue wakes each object.
	queue map[name]chan struct{}
	// seen is when each object got the answer of now first.
	seen map[name]time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ctx: t.Context(), answer: "1.0.0", queue: map[name]chan struct{}{}, seen: map[name]time.Time{}}
	w.board = newBoard[string](m.board(aboutVersions), w.wake)
	return w
}

func (w *world) wake(all ...name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, who := range all {
		select {
		case w.queue[who] <- struct{}{}:
		default: // nobody is there, or it waits already
		}
	}
}

// list is the repository.
func (w *world) list(ctx context.Context) (reply[string], error) {
	w.mu.Lock()
	w.asked = append(w.asked, time.Now())
	answer, broken, takes := w.answer, w.broken, w.takes
	w.mu.Unlock()
	select {
	case <-ctx.Done():
		return reply[string]{}, ctx.Err()
	case <-time.After(takes):
	}
	return reply[string]{value: answer, mark: answer, size: len(answer)}, broken
}

func (w *world) publish(answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer, w.seen = answer, map[name]time.Time{}
}

// look is what a reconciliation asks.
func (w *world) look(key string, who name, f Freshness) error {
	got, err := w.board.ask(w.ctx, key, who, f, w.list)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, known := w.seen[who]; !known && got == w.answer {
		w.seen[who] = time.Now()
	}
	return nil
}

// follow lets an object ask at once, at each interval give or take the jitter, and when it is woken.
func (w *world) follow(ctx context.Context, who name, f Freshness, jitter float64) {
	woken := make(chan struct{}, 1)
	w.mu.Lock()
	w.queue[who] = woken
	w.mu.Unlock()
	go func() {
		for {
			_ = w.look("key", who, f)
			wait := time.Duration(float64(f.Interval) * (1 + jitter*(2*rand.Float64()-1)))
			select {
			case <-ctx.Done():
				return
			case <-woken:
			case <-time.After(wait):
			}
		}
	}()
}

// knows returns when an object got the answer of now, zero for never.
func (w *world) knows(i int) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen[object(i)]
}

func (w *world) questions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

// unseen returns the objects that don't have the answer of now.
func (w *world) unseen(n int) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	var missing []int
	for i := range n {
		if _, ok := w.seen[object(i)]; !ok {
			missing = append(missing, i)
		}
	}
	return missing
}

// TestOneQuestionAnInterval: however many objects ask, the repository is asked once an interval.
func TestOneQuestionAnInterval(t *testing.T) {
	t.Parallel()
	const objects, hours = 50, 1
	for name, jitter := range map[string]float64{"at once": 0, "with jitter": 0.05} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for i := range objects {
					w.follow(t.Context(), object(i), Freshness{Since: time.Now(), Interval: time.Minute}, jitter)
					pass(700 * time.Millisecond)
				}
				first := w.questions()
				pass(hours * time.Hour)
				intervals := float64(hours*60) / (1 - jitter)
				if got := w.questions() - first; float64(got) > intervals+2 {
					t.Errorf("the repository was asked %d times in %d minutes by %d objects, want once a minute", got, hours*60, objects)
				}
			})
		})
	}
}

// TestNobodyIsLate: whatever intervals objects have, news is known to each of them after its own interval and a second.
func TestNobodyIsLate(t *testing.T) {
	t.Parallel()
	intervals := []time.Duration{10 * time.Second, time.Minute, time.Minute, 5 * time.Minute, time.Hour}
	for seed := range 5 {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				for i, interval := range intervals {
					w.follow(t.Context(), object(i), Freshness{Since: time.Now(), Interval: interval}, 0)
					pass(rand.N(time.Minute))
				}
				for version := range 5 {
					pass(rand.N(10 * time.Minute))
					published := time.Now()
					w.publish(fmt.Sprintf("2.%d.0", version))
					pass(time.Hour + 2*time.Second)
					for i, interval := range intervals {
						if at := w.knows(i); at.IsZero() || at.Sub(published) > interval+lateness {
							t.Errorf("object with interval %s knew after %s", interval, at.Sub(published))
						}
					}
				}
			})
		})
	}
}

// TestNewsWakesAll: who shares an answer learns of another one at once.
func TestNewsWakesAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const objects = 50
		w := newWorld(t)
		for i := range objects {
			w.follow(t.Context(), object(i), Freshness{Since: time.Now(), Interval: time.Minute}, 0)
		}
		synctest.Wait()
		w.publish("2.0.0")
		pass(time.Second)
		// Somebody asks for a reconciliation.
		if err := w.look("key", object(0), Freshness{Since: time.Now(), Interval: time.Minute}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if missing := w.unseen(objects); len(missing) > 0 {
			t.Errorf("%d objects don't know of it at once: %v", len(missing), missing)
		}
		if got := w.questions(); got != 2 {
			t.Errorf("the repository was asked %d times, want once at first and once again", got)
		}
		if got := testutil.ToFloat64(w.board.metrics.news); got != objects-1 {
			t.Errorf("%v objects were woken, want all but the one that asked", got)
		}
	})
}

// TestWhoAskedIsGone: the object whose question it was is deleted, and another one asks in its place, in time; so do others if
// that one is gone, too.
func TestWhoAskedIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if err := w.look("key", object(0), Freshness{Interval: time.Minute}); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		w.publish("2.0.0")
		pass(50 * time.Second)
		if err := w.look("key", object(1), Freshness{Interval: time.Minute}); err != nil {
			t.Fatal(err)
		}
		for i := 2; i <= 3; i++ {
			pass(time.Second)
			w.follow(t.Context(), object(i), Freshness{Interval: time.Minute}, 0)
		}
		pass(time.Minute)
		for i := 2; i <= 3; i++ {
			if at := w.knows(i); at.IsZero() || at.Sub(asked) > time.Minute+2*lateness {
				t.Errorf("object %d knew %s after the question whose answer it had", i, at.Sub(asked))
			}
		}
		if got := testutil.ToFloat64(w.board.metrics.due); got != 2 {
			t.Errorf("%v objects were woken to ask, want the one that is gone and another", got)
		}
	})
}

// TestWhoHasChangedAsksAnew: an answer from before a change is none for the object that has changed.
func TestWhoHasChangedAsksAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, step := range []struct {
			after time.Duration
			who   int
			fresh Freshness
			want  int
			why   string
		}{
			{0, 0, Freshness{Since: time.Now(), Interval: time.Minute}, 1, "there is no answer yet"},
			{20 * time.Second, 1, Freshness{Interval: time.Minute}, 1, "another object may use the answer"},
			{0, 0, Freshness{Interval: time.Minute}, 1, "the same object, before its time"},
			{0, 2, Freshness{Since: time.Now().Add(20 * time.Second), Interval: time.Minute}, 2, "it was created since"},
			{10 * time.Second, 3, Freshness{Interval: 10 * time.Second}, 3, "its interval is shorter than the answer is old"},
			{0, 3, Freshness{Since: time.Now().Add(30 * time.Second)}, 3, "the answer is just as new as it must be"},
			{50 * time.Second, 0, Freshness{Interval: time.Minute}, 3, "the answer is one that it doesn't have"},
			{5 * time.Second, 0, Freshness{Interval: time.Minute}, 4, "it is time, and it has the answer"},
		} {
			pass(step.after)
			if err := w.look("key", object(step.who), step.fresh); err != nil {
				t.Fatal(err)
			}
			if got := w.questions(); got != step.want {
				t.Errorf("%s: the repository was asked %d times so far, want %d", step.why, got, step.want)
			}
		}
	})
}

// TestErrorsAndPanicsAreNotShared: they are for those only who wait for the same answer.
func TestErrorsAndPanicsAreNotShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.broken, w.takes = errors.New("unreachable"), time.Second
		var waiting sync.WaitGroup
		for i := range 5 {
			waiting.Go(func() {
				if err := w.look("key", object(i), Freshness{Interval: time.Minute}); !errors.Is(err, w.broken) {
					t.Errorf("error is %v, want that of the question", err)
				}
			})
		}
		waiting.Wait()
		w.broken = nil
		if err := w.look("key", object(9), Freshness{Interval: time.Minute}); err != nil {
			t.Errorf("who came later got %v", err)
		}
		if got := w.questions(); got != 2 {
			t.Errorf("the repository was asked %d times, want once by those who wait together and once again", got)
		}
		_, err := w.board.ask(t.Context(), "panics", object(0), Freshness{}, func(context.Context) (reply[string], error) { panic("foreign bytes") })
		if err == nil || !strings.Contains(err.Error(), "foreign bytes") {
			t.Errorf("error is %v, want the panic", err)
		}
	})
}

// TestCallerMayGiveUp: the question goes on for others.
func TestCallerMayGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.takes = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.board.ask(ctx, "key", object(0), Freshness{}, w.list); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v, want that of the caller", err)
		}
		if err := w.look("key", object(1), Freshness{}); err != nil {
			t.Error(err)
		}
		if got := w.questions(); got != 1 {
			t.Errorf("the repository was asked %d times, want once", got)
		}
	})
}

// kept is how much a board keeps.
type kept struct{ topics, listeners, bytes int }

func (w *world) kept(t *testing.T) kept {
	t.Helper()
	b := w.board
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.order.Len() != len(b.topics) {
		t.Errorf("%d topics have an order of %d", len(b.topics), b.order.Len())
	}
	return kept{len(b.topics), b.listeners, b.size}
}

// TestBoardIsBounded: topics, listeners and bytes are bounded, who is forgotten that relied on being woken is woken, and what
// nobody asks for any more is forgotten.
func TestBoardIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.board
		most := kept{8, 10, 1000}
		b.maxTopics, b.maxListeners, b.maxBytes = most.topics, most.listeners, most.bytes
		late := make(chan struct{}, 1)
		w.queue[object(1)] = late
		f := Freshness{Interval: time.Hour}
		ask := func(key string, who, size int) {
			t.Helper()
			_, err := b.ask(t.Context(), key, object(who), f, func(context.Context) (reply[string], error) { return reply[string]{size: size}, nil })
			if err != nil {
				t.Fatal(err)
			}
			if got := w.kept(t); got.topics > most.topics || got.listeners > most.listeners || got.bytes > most.bytes {
				t.Fatalf("kept are %+v, want at most %+v", got, most)
			}
		}
		for _, who := range []int{0, 1} {
			ask("first", who, 1)
			pass(time.Minute)
		}
		for i := range 100 {
			ask(strconv.Itoa(i), i, 1)
		}
		if len(late) != 1 {
			t.Error("who had an old answer was forgotten and not woken")
		}
		for i := range 20 {
			ask("full", i, 1)
		}
		for i := range 5 {
			ask("large"+strconv.Itoa(i), i, 400)
		}
		pass(24 * time.Hour)
		if got := w.kept(t); got != (kept{}) {
			t.Errorf("kept are %+v when nobody asks any more", got)
		}
	})
}

// TestNobodyWaitsForever: objects come, change, go and give up while answers change and fail; in the end all know the last one.
func TestNobodyWaitsForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const objects = 20
		w := newWorld(t)
		w.takes = 300 * time.Millisecond
		ctx, end := context.WithCancel(t.Context())
		for i := range objects {
			w.follow(ctx, object(i), Freshness{Interval: time.Duration(1+i%4) * 10 * time.Second}, 0.2)
		}
		for round := range 100 {
			pass(rand.N(5 * time.Second))
			w.mu.Lock()
			w.broken = nil
			if round%5 == 0 {
				w.broken = errors.New("unreachable")
			}
			w.mu.Unlock()
			w.publish(strconv.Itoa(round))
		}
		w.mu.Lock()
		w.broken = nil
		w.mu.Unlock()
		w.publish("last")
		pass(2 * time.Minute)
		if missing := w.unseen(objects); len(missing) > 0 {
			t.Errorf("%v don't know the last answer", missing)
		}
		end()
		pass(time.Hour)
		if got := w.kept(t); got != (kept{}) {
			t.Errorf("kept are %+v when all are gone", got)
		}
	})
}

// TestListingsAreEqual: the mark of a listing tells two apart.
func TestListingsAreEqual(t *testing.T) {
	t.Parallel()
	a, b := listing([]string{"1.0.0", "2.0.0"}), listing([]string{"1.0.02.0.0"})
	if a.mark == b.mark || a.mark != listing(slices.Clone(a.value)).mark || a.size <= len("1.0.02.0.0") {
		t.Errorf("marks are %x and %x, size is %d", a.mark, b.mark, a.size)
	}
}

// BenchmarkAsk is what an object pays that shares an answer with many others.
func BenchmarkAsk(b *testing.B) {
	m, err := newMetrics(nil)
	if err != nil {
		b.Fatal(err)
	}
	shared := newBoard[string](m.board(aboutVersions), func(...name) {})
	f := Freshness{Interval: time.Hour}
	for i := 0; b.Loop(); i++ {
		_, err := shared.ask(b.Context(), "key", object(i%5000), f, func(context.Context) (reply[string], error) { return reply[string]{}, nil })
		if err != nil {
			b.Fatal(err)
		}
	}
}
