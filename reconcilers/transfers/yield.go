package transfers

import (
	"cmp"
	"errors"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

const (
	// slice is how long a job that has just begun keeps its place although others could use it. Those that last longer are few.
	slice = 5 * time.Minute
	// borrowed is how long a job keeps a place that it has only because nobody else could use it.
	borrowed = time.Minute
	// patience is how long a job that lasts keeps its place among its like the first time. It is twice as long each time after that, up
	// to maxPatience: a blob that was cut off is sent from its beginning, and must come through in the end.
	patience    = 2 * slice
	maxPatience = 24 * time.Hour
)

// errYielded is why a job was cancelled that goes on when it is its turn again.
var errYielded = errors.New("the transfer has left its place to another one and goes on later")

// begin notes that the job runs from now on.
func (t *task) begin(now time.Time, at int) {
	t.lot, t.since, t.stalled, t.yields = at, now, false, false
	t.meter.begin(now)
	switch {
	case at == lasting:
		t.due = now.Add(t.patience)
	case t.long:
		t.due = now.Add(borrowed)
	default:
		t.due = now.Add(slice)
	}
}

// yield lets, with the lock held, jobs that have run for long make room for others that wait. In the first lot they move to the second
// one, which costs nothing, as long as that has room. Otherwise they are cancelled and wait for their next turn.
func (p *Pool) yield(now time.Time) {
	due := p.due(now)
	if len(due) == 0 || p.queue.len() == 0 {
		return
	}
	plan := p.queue.clone()
	for _, t := range p.running {
		if p.ends(t) {
			plan.leave(t)
		}
	}
	plan.fill(p.busy) // the places of those that end anyway
	for _, t := range due {
		heir, at := plan.heir(t, p.busy)
		if heir == nil {
			continue
		}
		plan.enter(heir, at)
		// Those that were cancelled have left the plan already, and may not have ended.
		if t.lot == brief && plan.lots[lasting].admits(t, plan.bounds) && p.queue.lots[lasting].admits(t, plan.bounds) {
			plan.lots[lasting].count(t, 1)
			p.move(t, now)
			continue
		}
		p.interrupt(t)
	}
	p.start()
}

// due returns the jobs that had their time, the one that is overdue the most first.
func (p *Pool) due(now time.Time) []*task {
	var due []*task
	for _, t := range p.running {
		if !now.Before(t.due) && !p.ends(t) {
			due = append(due, t)
		}
	}
	slices.SortFunc(due, func(a, b *task) int {
		return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.owner.String(), b.owner.String()))
	})
	return due
}

// ends tells whether a job that runs was cancelled.
func (p *Pool) ends(t *task) bool { return p.tasks[t.owner] != t || t.stalled || t.yields }

func (p *Pool) busy(owner Owner) bool { return p.running[owner] != nil }

// move lets a job go on in the second lot.
func (p *Pool) move(t *task, now time.Time) {
	p.queue.lots[t.lot].count(t, -1)
	p.queue.lots[lasting].count(t, 1)
	t.lot, t.long, t.due = lasting, true, now.Add(t.patience)
}

// interrupt cancels a job, which goes on later.
func (p *Pool) interrupt(t *task) {
	if t.lot == lasting {
		t.patience = min(2*t.patience, maxPatience)
	}
	t.long, t.yields = true, true
	ctrl.LoggerFrom(p.life).Info("A transfer makes room for another one and goes on later", "kind", t.owner.Kind, "namespace", t.owner.Namespace,
		"name", t.owner.Name, "hosts", t.hosts, "after", time.Since(t.since).String())
	t.cancel(errYielded)
}

// requeue lets, with the lock held, a job that was interrupted wait for its next turn. What is overdue then makes room at once: who borrows
// a place again before the next look would not be seen to wait for one.
func (p *Pool) requeue(t *task, result *transfer.Result) {
	t.before = t.total(result)
	t.cancel, t.since = nil, time.Now()
	p.queue.add(t)
	p.queue.took(t) // until now, so that it comes behind those it makes room for
	p.wakers.wake(t.owner)
}

// total returns the result with what was sent before the job was interrupted: that was there when it went on.
func (t *task) total(result *transfer.Result) *transfer.Result {
	if t.before == nil || result == nil {
		return cmp.Or(result, t.before)
	}
	sum := *result
	sum.Copied += t.before.Copied
	sum.Mounted += t.before.Mounted
	sum.CopiedBytes += t.before.CopiedBytes
	sum.Present = max(0, sum.Present-t.before.Copied-t.before.Mounted)
	return &sum
}
