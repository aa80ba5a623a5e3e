package transfers

import (
	"maps"
	"slices"
)

// The lots. A job begins in the first one. What has been there for long, and was in the way of others, is in the second one from then
// on, which has as many places again: so it is in the way of its like only.
const (
	brief = iota
	lasting
	lots
)

// queue has the jobs that wait, and chooses the one that runs next.
type queue struct {
	bounds  bounds
	waiting []*task
	// These count the jobs that run, and what they have alone.
	lots  [lots]*lot
	alone map[string]int
	// spaces and lines tell in which order namespaces, and those who wait in the same line, had their last turn.
	spaces map[string]int
	lines  map[line]int
	turn   int
}

func newQueue(workers, perRoute int) queue {
	return queue{
		bounds: newBounds(workers, perRoute), lots: [lots]*lot{newLot(), newLot()},
		alone: map[string]int{}, spaces: map[string]int{}, lines: map[line]int{},
	}
}

// clone returns a queue to try with what would be.
func (q *queue) clone() *queue {
	return &queue{
		bounds: q.bounds, waiting: slices.Clone(q.waiting), lots: [lots]*lot{q.lots[brief].clone(), q.lots[lasting].clone()},
		alone: maps.Clone(q.alone), spaces: maps.Clone(q.spaces), lines: maps.Clone(q.lines), turn: q.turn,
	}
}

func (q *queue) len() int   { return len(q.waiting) }
func (q *queue) full() bool { return len(q.waiting) >= maxWaiting }

// add lets a job wait. A namespace, or a line, that had no turn yet comes behind those that wait already, and only before the one that
// had the last turn: new names must be no way to the front.
func (q *queue) add(t *task) {
	q.waiting = append(q.waiting, t)
	if len(q.lines) >= 2*maxWaiting || len(q.spaces) >= 2*maxWaiting {
		q.tidy()
	}
	if _, known := q.spaces[t.owner.Namespace]; !known {
		q.spaces[t.owner.Namespace] = q.turn - 1
	}
	if _, known := q.lines[t.line()]; !known {
		q.lines[t.line()] = q.turn - 1
	}
}

// tidy forgets the turns of those who don't wait.
func (q *queue) tidy() {
	spaces, lines := map[string]int{}, map[line]int{}
	for _, t := range q.waiting {
		if at, known := q.spaces[t.owner.Namespace]; known {
			spaces[t.owner.Namespace] = at
		}
		if at, known := q.lines[t.line()]; known {
			lines[t.line()] = at
		}
	}
	q.spaces, q.lines = spaces, lines
}

func (q *queue) remove(t *task) {
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// place returns the place of a job among those that wait, from 1.
func (q *queue) place(t *task) int { return slices.Index(q.waiting, t) + 1 }

// next takes the job that runs next, and tells in which lot; it returns nil when none may run. Owners that are busy have an earlier job
// that still ends.
func (q *queue) next(busy func(Owner) bool) (*task, int) {
	t, at := q.choose(func(t *task) bool { return busy(t.owner) })
	if t != nil {
		q.enter(t, at)
	}
	return t, at
}

// fill lets all begin that may.
func (q *queue) fill(busy func(Owner) bool) {
	for t, _ := q.next(busy); t != nil; {
		t, _ = q.next(busy)
	}
}

// choose returns the job that runs next, of those that may.
func (q *queue) choose(not func(*task) bool) (chosen *task, in int) {
	var best rank
	for _, t := range q.waiting {
		at, admitted := q.seat(t)
		if !admitted || not(t) {
			continue
		}
		if r := q.rank(t, at); chosen == nil || slices.Compare(r[:], best[:]) < 0 {
			chosen, in, best = t, at, r
		}
	}
	return chosen, in
}

// rank orders those that wait; the least comes first.
type rank [4]int

// rank puts those first for whose namespace the least runs, and of those the one whose namespace, and in it whose line, has waited for its
// turn the longest. Those that last take turns only: what has made room must not have its place back before others had it. Those who
// would only borrow a place come behind all others.
func (q *queue) rank(t *task, at int) rank {
	r := rank{2: q.spaces[t.owner.Namespace], 3: q.lines[t.line()]}
	if at == brief {
		r[1] = q.lots[at].namespaces[t.owner.Namespace]
	}
	if t.borrows(at) {
		r[0] = 1
	}
	return r
}

// seat returns the lot that has room for a job.
func (q *queue) seat(t *task) (int, bool) {
	if t.job.Alone != "" && q.alone[t.job.Alone] > 0 {
		return 0, false
	}
	if t.long && q.lots[lasting].admits(t, q.bounds) {
		return lasting, true
	}
	return brief, q.lots[brief].admits(t, q.bounds)
}

// borrows tells whether a job would only borrow a place in a lot.
func (t *task) borrows(at int) bool { return t.long && at == brief }

// heir returns a job that could begin if another one were not in its lot, and in which lot; nil is none. One that would only borrow the
// place is none, and neither is one of the same line as a job that is in nobody else's way: much to copy between two hosts is done one
// after the other. If there is an heir, the other is not in its lot any more.
func (q *queue) heir(of *task, busy func(Owner) bool) (*task, int) {
	q.lots[of.lot].count(of, -1)
	t, at := q.choose(func(t *task) bool { return busy(t.owner) || !of.long && t.line() == of.line() })
	if t == nil || t.borrows(at) {
		q.lots[of.lot].count(of, 1)
		return nil, 0
	}
	return t, at
}

// took notes that a job had its turn.
func (q *queue) took(t *task) {
	q.turn += 2 // so that there is room between two turns
	q.spaces[t.owner.Namespace], q.lines[t.line()] = q.turn, q.turn
}

// enter counts a job that begins.
func (q *queue) enter(t *task, at int) {
	q.remove(t)
	q.took(t)
	add(q.alone, t.job.Alone, 1)
	q.lots[at].count(t, 1)
}

// leave counts a job that has ended.
func (q *queue) leave(t *task) {
	add(q.alone, t.job.Alone, -1)
	q.lots[t.lot].count(t, -1)
}
