package lifecycle_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// queue enters kinds into a gate one after the other, and notes in which order they are let in.
type queue struct {
	t     *testing.T
	gate  *lifecycle.Gate
	mu    sync.Mutex
	order []string
}

// enter waits for its turn in the background, and ends it at once.
func (q *queue) enter(kind string) {
	go func() {
		leave, err := q.gate.Enter(q.t.Context(), kind)
		if err != nil {
			q.t.Error(err)
		}
		q.mu.Lock()
		q.order = append(q.order, kind)
		q.mu.Unlock()
		leave()
	}()
	synctest.Wait()
}

// entered returns what was let in so far.
func (q *queue) entered() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.order)
}

func TestTheFurthestAlongGoesFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{t: t, gate: lifecycle.NewGate(1, "first", "middle", "last")}
		leave, err := q.gate.Enter(t.Context(), "last")
		if err != nil || !q.gate.Busy() {
			t.Fatalf("gate is busy: %t, %v", q.gate.Busy(), err)
		}
		for _, kind := range []string{"unknown", "first", "last", "middle", "first", "last"} {
			q.enter(kind)
		}
		leave()
		leave() // a second time ends nobody else's turn
		synctest.Wait()
		want := []string{"last", "last", "middle", "first", "first", "unknown"}
		if diff := cmp.Diff(want, q.entered()); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		if q.gate.Busy() {
			t.Error("the gate is busy with nobody in it")
		}
	})
}

func TestNobodyWaitsForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{t: t, gate: lifecycle.NewGate(1, "first", "last")}
		leave, err := q.gate.Enter(t.Context(), "last")
		if err != nil {
			t.Fatal(err)
		}
		q.enter("first")
		for range 30 { // what is further along never ends
			next := make(chan func(), 1)
			go func() {
				leave, err := q.gate.Enter(t.Context(), "last")
				if err != nil {
					t.Error(err)
				}
				next <- leave
			}()
			synctest.Wait()
			<-time.After(500 * time.Millisecond)
			leave()
			synctest.Wait()
			leave = <-next
			if len(q.entered()) > 0 {
				break
			}
		}
		leave()
		if len(q.entered()) == 0 {
			t.Error("what is at the beginning was never let in")
		}
	})
}

func TestSlowWorkGivesItsTurnAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &queue{t: t, gate: lifecycle.NewGate(2, "kind")}
		var leaves []func()
		for range 2 { // both hang at a registry that doesn't answer
			leave, err := q.gate.Enter(t.Context(), "kind")
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		q.enter("kind")
		if len(q.entered()) > 0 {
			t.Error("three were let in at once")
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		if len(q.entered()) != 1 {
			t.Error("work that hangs keeps others from theirs")
		}
		for _, leave := range leaves {
			leave()
		}
		if q.gate.Busy() {
			t.Error("turns were ended twice or not at all")
		}
	})
}

func TestGateMayBeLeftBeforeItsTurn(t *testing.T) {
	t.Parallel()
	gate := lifecycle.NewGate(0) // at least one
	leave, err := gate.Enter(t.Context(), "kind")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := gate.Enter(ctx, "kind"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that of the context", err)
	}
	leave()
	leave, err = gate.Enter(t.Context(), "kind")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	var none *lifecycle.Gate
	if leave, err := none.Enter(t.Context(), "kind"); err != nil || none.Busy() {
		t.Errorf("no gate is shut: %v", err)
	} else {
		leave()
	}
}
