package lifecycle

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// turnLease is how long a turn lasts at most. What takes longer waits for something far away rather than for a processor,
	// and must not keep others from work.
	turnLease = time.Second
	// turnPatience is how long something waits at most while others, further along, are let in before it.
	turnPatience = 10 * time.Second
)

// Gate lets the work of all kinds in by turns. When more is to be done than goes on at once, what is further along a
// pipeline goes first: of many that begin together, one after another is finished, rather than all of them at the end. A nil
// *Gate lets everything in.
type Gate struct {
	limit  int
	stages map[string]int

	mu      sync.Mutex
	active  int
	waiting []*turn // in the order in which they came
}

// turn is what waits for its turn.
type turn struct {
	stage int
	since time.Time
	// granted is closed when it may go on.
	granted chan struct{}
}

// NewGate returns a gate that lets a number of objects in at once. The kinds are in the order of a pipeline; those that are
// not named are the first.
func NewGate(limit int, kinds ...string) *Gate {
	g := &Gate{limit: max(limit, 1), stages: map[string]int{}}
	for i, kind := range kinds {
		g.stages[kind] = i + 1
	}
	return g
}

// Enter waits until an object of the kind has its turn. The turn ends with the returned function.
func (g *Gate) Enter(ctx context.Context, kind string) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	t := &turn{stage: g.stages[kind], since: time.Now(), granted: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, t)
	g.admit()
	g.mu.Unlock()
	select {
	case <-t.granted:
		return g.lease(), nil
	case <-ctx.Done():
		g.giveUp(t)
		return func() {}, context.Cause(ctx)
	}
}

// Busy tells whether as much goes on as may go on at once, or something has to wait for what goes on.
func (g *Gate) Busy() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.active >= g.limit || len(g.waiting) > 0
}

// lease returns what ends a turn, at the latest when it has lasted too long.
func (g *Gate) lease() func() {
	end := sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.active--
		g.admit()
	})
	timer := time.AfterFunc(turnLease, end)
	return func() {
		timer.Stop()
		end()
	}
}

// giveUp takes a turn back that is no longer waited for.
func (g *Gate) giveUp(t *turn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, t); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
		return
	}
	g.active-- // it was granted at the same moment
	g.admit()
}

// admit lets in what may go on.
func (g *Gate) admit() {
	for g.active < g.limit && len(g.waiting) > 0 {
		i := g.next()
		t := g.waiting[i]
		g.waiting = slices.Delete(g.waiting, i, i+1)
		g.active++
		close(t.granted)
	}
}

// next is the one that is furthest along, of equals the first, unless the first of all has waited too long.
func (g *Gate) next() int {
	if time.Since(g.waiting[0].since) > turnPatience {
		return 0
	}
	best := 0
	for i, t := range g.waiting {
		if t.stage > g.waiting[best].stage {
			best = i
		}
	}
	return best
}
