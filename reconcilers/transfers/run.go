package transfers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

var (
	_ manager.Runnable               = (*Pool)(nil)
	_ manager.LeaderElectionRunnable = (*Pool)(nil)
)

// NeedLeaderElection implements manager.LeaderElectionRunnable: one replica copies.
func (p *Pool) NeedLeaderElection() bool { return true }

// Start runs jobs until the context is over. Then it cancels them, and returns when they have ended, or have had their time for that.
func (p *Pool) Start(ctx context.Context) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(errStopped)
	if err := p.begin(life); err != nil {
		return err
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			p.look(ctx, now)
		case <-ctx.Done():
			end(errStopped)
			p.end(ctx)
			return nil
		}
	}
}

func (p *Pool) begin(life context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil {
		return errors.New("the pool of transfers was started already")
	}
	p.life = life
	p.start() //nolint:contextcheck // it is the context that jobs get
	return nil
}

// end waits for what is running.
func (p *Pool) end(ctx context.Context) {
	p.mu.Lock()
	p.over = true
	p.settle()
	p.mu.Unlock()
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-p.idle:
	case <-timer.C:
		p.mu.Lock()
		defer p.mu.Unlock()
		var names []string
		for owner := range maps.Keys(p.running) {
			names = append(names, owner.String())
		}
		slices.Sort(names)
		ctrl.LoggerFrom(ctx).Info("Transfers did not end in time, they are left behind", "waited", drain.String(), "owners", names)
	}
}

// settle notes, with the lock held, that nothing runs any more after the end.
func (p *Pool) settle() {
	if p.over && len(p.running) == 0 {
		close(p.idle)
	}
}

// start lets, with the lock held, those begin whose turn it is.
func (p *Pool) start() {
	if p.life == nil || p.over || p.life.Err() != nil {
		return
	}
	for t, at := p.queue.next(p.busy); t != nil; t, at = p.queue.next(p.busy) {
		log := ctrl.LoggerFrom(p.life).WithName("transfers").WithValues("kind", t.owner.Kind, "namespace", t.owner.Namespace, "name", t.owner.Name)
		var ctx context.Context
		ctx, t.cancel = context.WithCancelCause(ctrl.LoggerInto(p.life, log))
		t.begin(time.Now(), at)
		p.running[t.owner] = t
		go p.run(ctx, t)
	}
}

// run does a job and keeps its outcome, unless it was interrupted.
func (p *Pool) run(ctx context.Context, t *task) {
	result, err := do(ctx, t)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	t.cancel(nil)
	p.metrics.ended(t, result, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, t.owner)
	p.queue.leave(t)
	again := p.tasks[t.owner] == t && !p.over && errors.Is(err, errYielded)
	if again {
		p.requeue(t, result)
	} else {
		p.keep(t, result, err)
	}
	p.start() //nolint:contextcheck // the next job does not end with this one
	if again {
		p.yield(time.Now()) //nolint:contextcheck // as before
	}
	p.settle()
}

// keep keeps, with the lock held, the outcome of a job if somebody wants it.
func (p *Pool) keep(t *task, result *transfer.Result, err error) {
	t.cancel, t.job.Run = nil, nil // what it was done with may be large, and the outcome may wait for long
	if p.tasks[t.owner] != t {
		return
	}
	t.ended, t.result, t.err, t.since = true, t.total(result), err, time.Now()
	p.wakers.wake(t.owner)
}

// do runs the function of a job. One that panics, here or in a goroutine that it has begun, harms itself only.
func do(ctx context.Context, t *task) (*transfer.Result, error) {
	result, err := guarded(ctx, t)
	stack := panics.Stack(err)
	if stack == "" {
		return result, err
	}
	ctrl.LoggerFrom(ctx).Error(err, "A transfer panicked", "stack", stack)
	// The log has it now.
	return nil, fmt.Errorf("the transfer panicked, which is a fault of the operator: please report it with the log; the cause is %s", err.Error())
}

func guarded(ctx context.Context, t *task) (result *transfer.Result, err error) {
	defer panics.Recover(&err, "")
	return t.job.Run(ctx, t.meter.report)
}

// look wakes the owners of jobs that have come further, cancels those that haven't for too long, lets those that have run for long make
// room, and forgets outcomes that nobody asks for.
func (p *Pool) look(ctx context.Context, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.running {
		if p.tasks[t.owner] != t {
			continue
		}
		if t.meter.still(now) >= stalled && !t.stalled {
			t.stalled = true
			err := &StallError{After: stalled, Hosts: t.hosts, Progress: t.meter.last()}
			ctrl.LoggerFrom(ctx).Info("A transfer has stalled", "kind", t.owner.Kind, "namespace", t.owner.Namespace, "name", t.owner.Name, "cause", err.Error())
			t.cancel(err)
		}
		if t.meter.news() {
			p.wakers.wake(t.owner)
		}
	}
	p.yield(now) //nolint:contextcheck // it is the context that jobs get
	maps.DeleteFunc(p.tasks, func(_ Owner, t *task) bool { return t.ended && now.Sub(t.since) > keep })
}

// StallError says that a transfer was cancelled because nothing moved.
type StallError struct {
	// After is for how long nothing moved.
	After time.Duration
	// Hosts are those between which nothing moved.
	Hosts []string
	// Progress is how far the transfer had come.
	Progress transfer.Progress
}

// Error implements error.
func (e *StallError) Error() string {
	where := ""
	if len(e.Hosts) > 0 {
		where = " of " + strings.Join(e.Hosts, " and ")
	}
	return fmt.Sprintf("the transfer was cancelled because nothing moved for %s; see whether the servers%s answer: it goes on from where it was", e.After, where)
}

// meter has the progress of a job.
type meter struct {
	mu       sync.Mutex
	progress transfer.Progress
	// moved is when that changed last, and fresh is set when its owner has not heard of it.
	moved time.Time
	fresh bool
}

func (m *meter) begin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// That it runs now is news to one who was told that it waits. What is as far as it was before it was interrupted has moved since.
	m.progress, m.moved, m.fresh = transfer.Progress{}, now, true
}

// report notes progress.
func (m *meter) report(p transfer.Progress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p != m.progress {
		m.progress, m.moved, m.fresh = p, time.Now(), true
	}
}

func (m *meter) last() transfer.Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.progress
}

// still tells for how long nothing has moved.
func (m *meter) still(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Sub(m.moved)
}

// news tells, once, that there is something that the owner has not heard of.
func (m *meter) news() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := m.fresh
	m.fresh = false
	return fresh
}
