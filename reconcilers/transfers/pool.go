package transfers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

const (
	// maxWaiting bounds how many jobs wait for their turn.
	maxWaiting = 4096
	// again is when an owner asks anew whose job found no room among those that wait.
	again = 30 * time.Second
	// tick is the time between two looks at what is running: how often owners hear of progress, and how late a stall is noticed.
	tick = 10 * time.Second
	// stalled is how long nothing may move.
	stalled = 2 * time.Minute
	// drain is what jobs have to end when the process is asked to; the manager waits a little longer than that.
	drain = 20 * time.Second
	// keep is how long an outcome waits for its owner.
	keep = time.Hour
)

// Options are what a pool is made with.
type Options struct {
	// Workers is how many jobs run at once, and how many that have run for long may do so besides.
	Workers int
	// PerHost is how many jobs between the same hosts run at once; it holds for those that have run for long by themselves.
	PerHost int
	// Metrics gets the metrics; nil shows them to nobody.
	Metrics prometheus.Registerer
}

// Owner is the object that a job is done for. It has one job at a time.
type Owner struct {
	// Kind is the kind of the object.
	Kind string
	types.NamespacedName
}

// String names the owner in logs.
func (o Owner) String() string { return o.Kind + " " + o.NamespacedName.String() }

// Job is something to do for an owner.
type Job struct {
	// Key tells jobs of an owner apart: the same key is the same job, and another key takes the place of the job of before.
	// It covers everything that the job depends on, with the identity of the object.
	Key string
	// Hosts are those that the job reads from and writes to, with their ports; what is no host, such as a folder, is left out.
	Hosts []string
	// Alone names something that only one job at a time may have, such as an archive that it writes; empty is nothing. Who waits for
	// it holds no worker.
	Alone string
	// Run does it. It ends soon after its context does. What it has done so far is part of the result even if there is an error.
	// Report may be called at any time, from anywhere; a job that reports nothing new for two minutes is cancelled. One that has run for
	// long is cancelled, too, when others wait and there is no other room for them: then it is run again, and goes on from where it was.
	Run func(ctx context.Context, report func(transfer.Progress)) (*transfer.Result, error)
}

// State is how far a job has come: it waits, it runs, or it has ended.
type State struct {
	// Running tells that it runs.
	Running bool
	// Queued is its place among those that wait, from 1; zero is none.
	Queued int
	// Again is when to ask again at the latest; zero is when the owner is woken.
	Again time.Duration
	// Since is when the job began to wait, to run, or has ended, and Asked when it was taken in; zero is that there is no place for it yet.
	Since, Asked time.Time
	// Progress is how far it has come.
	Progress transfer.Progress
	// Result and Err are its outcome, when it has ended.
	Result *transfer.Result
	Err    error
}

// Ended tells whether the state is an outcome.
func (s State) Ended() bool { return !s.Running && s.Queued == 0 }

// Pool runs jobs. It is a part of the manager that only the replica which leads runs.
type Pool struct {
	options Options
	metrics *metrics
	wakers  *wakers

	mu sync.Mutex
	// life is the context of the jobs: nil before the start.
	life context.Context //nolint:containedctx // jobs live as long as the pool, not as long as the question that began them
	over bool
	// tasks has the newest job of each owner, in whatever state.
	tasks map[Owner]*task
	queue queue
	// running are the jobs that run, those included that were cancelled and have not ended yet.
	running map[Owner]*task
	// idle is closed when the last job has ended after the end.
	idle chan struct{}
}

// New returns a pool; it runs nothing before it is started.
func New(o Options) (*Pool, error) {
	if o.Workers < 1 || o.PerHost < 1 {
		return nil, fmt.Errorf("a pool of %d workers, %d of them for a host: both must be at least 1", o.Workers, o.PerHost)
	}
	p := &Pool{
		options: o, wakers: newWakers(), tasks: map[Owner]*task{}, running: map[Owner]*task{}, queue: newQueue(o.Workers, o.PerHost), idle: make(chan struct{}),
	}
	var err error
	p.metrics, err = newMetrics(o.Metrics, p.counts)
	return p, err
}

// task is a job on its way.
type task struct {
	owner Owner
	job   Job
	// route names the hosts of the job.
	route string
	hosts []string
	// since is when it came into its state, and asked when it was asked for first.
	since, asked time.Time
	meter        meter
	// lot is where it is counted while it runs, and due when it makes room for others.
	lot int
	due time.Time
	// long is set when it has run for long, and patience is how long it keeps its place among its like.
	long     bool
	patience time.Duration
	// cancel ends it while it runs.
	cancel context.CancelCauseFunc
	// stalled is set when it was cancelled because nothing moved, and yields when it was to make room.
	stalled, yields bool
	// before is what it had done when it made room.
	before *transfer.Result
	// ended is set with the outcome.
	ended  bool
	result *transfer.Result
	err    error
}

func newTask(owner Owner, job Job) *task {
	hosts := slices.DeleteFunc(slices.Clone(job.Hosts), func(host string) bool { return host == "" })
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	now := time.Now()
	return &task{owner: owner, job: job, hosts: hosts, route: strings.Join(hosts, " "), since: now, asked: now, patience: patience}
}

// Why jobs are cancelled.
var (
	errDropped    = errors.New("nobody wants the transfer any more")
	errSuperseded = errors.New("another transfer takes the place of this one")
	errStopped    = errors.New("the operator is shutting down")
)

// Ask begins a job for its owner, or tells how far it has come. An outcome is told once: the next question begins anew.
// A job of the owner with another key is cancelled, and has ended before this one begins. It never waits.
func (p *Pool) Ask(owner Owner, job Job) State {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.tasks[owner]
	switch {
	case known != nil && known.job.Key == job.Key && known.ended:
		delete(p.tasks, owner)
		return State{Since: known.since, Asked: known.asked, Progress: known.meter.last(), Result: known.result, Err: known.err}
	case known != nil && known.job.Key == job.Key:
		return p.state(known)
	case known != nil:
		p.forget(known, errSuperseded)
	}
	if p.queue.full() {
		return State{Queued: p.queue.len() + 1, Again: again, Since: time.Now()}
	}
	t := newTask(owner, job)
	p.tasks[owner] = t
	p.queue.add(t)
	p.start()
	return p.state(t)
}

// Look tells, without taking an outcome, how far the job of an owner has come and which one that is; there may be none.
func (p *Pool) Look(owner Owner) (key string, s State, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tasks[owner]
	if t == nil {
		return "", State{}, false
	}
	return t.job.Key, p.state(t), true
}

// Drop cancels what is done for an owner, and forgets the outcome.
func (p *Pool) Drop(owner Owner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.tasks[owner]; t != nil {
		p.forget(t, errDropped)
	}
}

// forget cancels a job and leaves nothing of it but what is still running.
func (p *Pool) forget(t *task, why error) {
	delete(p.tasks, t.owner)
	if t.cancel != nil {
		t.cancel(why)
	}
	p.queue.remove(t)
}

func (p *Pool) state(t *task) State {
	s := State{Since: t.since, Asked: t.asked, Progress: t.meter.last()}
	switch {
	case t.ended:
		s.Result, s.Err = t.result, t.err
	case p.running[t.owner] == t:
		s.Running = true
	default:
		s.Queued = p.queue.place(t)
	}
	return s
}

// counts returns how many jobs run and wait.
func (p *Pool) counts() (running, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.running), p.queue.len()
}
