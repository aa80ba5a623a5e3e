package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

// ErrInUse says that a cluster already runs in a folder.
var ErrInUse = errors.New("a cluster already runs in this folder; stop it first (testcluster down)")

const (
	// stopGrace is how long a process may take to end before it is killed.
	stopGrace = 10 * time.Second
	// lockGrace is how long a lock may outlive its holder: a process that was killed counts as ended as soon as its first thread has, and the
	// others still have its files open for a moment.
	lockGrace = 2 * time.Second
	// portAttempts is how often a process is started with new ports when somebody else was faster.
	portAttempts = 5
	readyPoll    = 25 * time.Millisecond
)

// Cluster is a running cluster whose processes are children of this process.
type Cluster struct {
	files    layout
	progress io.Writer
	binaries *binaries.Cache
	apiArgs  []string
	// kustomizeArgs are further arguments of kustomize-controller.
	kustomizeArgs []string
	// address is where the API server listens.
	address   string
	extension Extension
	keys      *keys
	config    *rest.Config
	lock      *filelock.Lock
	ports     *process.Ports
	spawner   *process.Spawner
	died      chan error    // holds the first process that ended by itself
	stopping  chan struct{} // closed by Stop
	started   time.Time
	mu        sync.Mutex // guards what follows
	processes []*process.Process
	state     State
	stopped   bool
}

// Start starts a cluster and returns when it is ready. ctx bounds the start only; the cluster runs until Stop is
// called or this process ends.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	return start(ctx, o, nil)
}

func start(ctx context.Context, o Options, supervisor *RecordedProcess) (*Cluster, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	paths, err := o.programs(ctx)
	if err != nil {
		return nil, err
	}
	c, err := prepare(o, paths, supervisor)
	if err != nil {
		return nil, err
	}
	if err := c.run(ctx, o, paths); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster in %s: %w", o.Dir, err), c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// prepare takes possession of the folder and makes the keys.
func prepare(o Options, paths *programs, supervisor *RecordedProcess) (*Cluster, error) {
	files := layout(o.Dir)
	if err := files.create(); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(files.lock())
	if errors.Is(err, filelock.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", o.Dir, ErrInUse)
	}
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		files: files, progress: o.Progress, binaries: o.Binaries, apiArgs: o.APIServerArgs, kustomizeArgs: o.KustomizeArgs, lock: lock,
		address: cmp.Or(o.Address, loopback), extension: o.Extension,
		ports: process.NewPorts(), died: make(chan error, 1), stopping: make(chan struct{}), started: time.Now(),
		state: State{Kubeconfig: files.kubeconfig(), Kubectl: siblingKubectl(paths), Supervisor: supervisor},
	}
	if err := errors.Join(endLeftovers(files), statefile.Write(files.state(), c.state)); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	if c.keys, err = makeKeys(files, c.address); err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	c.spawner = process.NewSpawner()
	return c, nil
}

// endLeftovers ends processes of a cluster whose parent was killed where children outlive their parent.
func endLeftovers(files layout) error {
	old, err := ReadState(string(files))
	if errors.Is(err, ErrNoCluster) {
		return nil
	}
	if err != nil {
		return err
	}
	old.Supervisor = nil // it would hold the lock
	return old.endAll(stopGrace)
}

func (c *Cluster) run(ctx context.Context, o Options, paths *programs) error {
	etcdPort, err := c.startEtcd(ctx, paths)
	if err != nil {
		return err
	}
	if err := c.startAPIServer(ctx, paths, etcdPort, o.ControllerManager); err != nil {
		return err
	}
	if o.ControllerManager {
		if err := c.startControllerManager(ctx, paths); err != nil {
			return err
		}
	}
	if o.Scheduler {
		if err := c.startScheduler(ctx, paths); err != nil {
			return err
		}
	}
	if o.Flux {
		if err := c.InstallFlux(ctx); err != nil {
			return err
		}
	}
	if o.ControllerManager {
		if err := c.waitForServiceAccount(ctx); err != nil {
			return err
		}
	}
	if c.extension != nil {
		if err := c.extension.Start(ctx, c); err != nil {
			return err
		}
	}
	return c.update(func(s *State) { s.Ready = true })
}

// Dir returns the cluster's folder.
func (c *Cluster) Dir() string { return string(c.files) }

// Kubeconfig returns the path of a kubeconfig file with all rights.
func (c *Cluster) Kubeconfig() string { return c.files.kubeconfig() }

// Config returns a client configuration with all rights and no rate limit.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// State returns what is recorded of the cluster.
func (c *Cluster) State() *State {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state
	state.Processes = slices.Clone(state.Processes)
	return &state
}

// Wait returns nil when ctx ends or the cluster is stopped, and an error when one of its processes ends by itself.
func (c *Cluster) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-c.stopping:
		return nil
	case err := <-c.died:
		c.died <- err // for the next one who asks
		return err
	}
}

// Stop ends all processes, the last started first, and returns when they are gone. Only the end of ctx makes it
// impatient: then they are killed at once. The folder stays. A second Stop does nothing.
func (c *Cluster) Stop(ctx context.Context) error {
	c.mu.Lock()
	if c.stopped {
		c.mu.Unlock()
		return nil
	}
	c.stopped = true
	close(c.stopping)
	processes := c.processes
	c.mu.Unlock()

	var errs []error
	if c.extension != nil {
		errs = append(errs, c.extension.Stop(ctx))
	}
	for _, p := range slices.Backward(processes) {
		grace := stopGrace
		if ctx.Err() != nil {
			grace = 0
		}
		errs = append(errs, p.Stop(grace))
	}
	c.spawner.Close()
	errs = append(errs, removeState(c.files), c.ports.Release(), c.lock.Release())
	c.say("cluster stopped")
	return errors.Join(errs...)
}

// component is a process and how it is known to be ready.
type component struct {
	name  string
	path  string
	ports []string // their names
	args  func(ports map[string]int) []string
	env   []string
	ready func(ctx context.Context, ports map[string]int) bool
}

// startComponent starts a process on free ports and waits until it is ready. If somebody else takes one of the ports
// in the meantime, it tries again with others.
func (c *Cluster) startComponent(ctx context.Context, comp component) (map[string]int, error) {
	for attempt := 1; ; attempt++ {
		ports, err := c.leasePorts(comp.ports)
		if err != nil {
			return nil, err
		}
		err = c.startOn(ctx, comp, ports)
		if err == nil {
			return ports, nil
		}
		var exit *process.ExitError
		if attempt == portAttempts || !errors.As(err, &exit) || !exit.PortTaken() {
			return nil, err
		}
		c.say("%s: a port was taken by somebody else, trying others", comp.name)
	}
}

func (c *Cluster) leasePorts(names []string) (map[string]int, error) {
	ports := make(map[string]int, len(names))
	for _, name := range names {
		port, err := c.ports.Lease()
		if err != nil {
			return nil, err
		}
		ports[name] = port
	}
	return ports, nil
}

func (c *Cluster) startOn(ctx context.Context, comp component, ports map[string]int) error {
	p, err := c.spawn(comp, ports)
	if err != nil {
		return err
	}
	if err := c.waitUntil(ctx, comp.name+" is ready", p, func(ctx context.Context) bool { return comp.ready(ctx, ports) }); err != nil {
		c.forget(p)
		return err
	}
	go c.watch(p)
	c.say("%-24s ready after %s", comp.name, time.Since(c.started).Round(10*time.Millisecond))
	return nil
}

// spawn starts the process and records it at once, so that Down finds it whatever happens next.
func (c *Cluster) spawn(comp component, ports map[string]int) (*process.Process, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, fmt.Errorf("start %s: the cluster is stopped", comp.name)
	}
	p, err := c.spawner.Start(process.Command{
		Name: comp.name, Path: comp.path, Args: comp.args(ports), LogFile: c.files.log(comp.name),
		Env: append([]string{"TMPDIR=" + c.files.path("tmp")}, comp.env...),
	})
	if err != nil {
		return nil, err
	}
	c.processes = append(c.processes, p)
	c.state.Processes = append(c.state.Processes, RecordedProcess{
		Identity: p.Identity, Name: comp.name, Ports: maps.Clone(ports), Log: c.files.log(comp.name),
	})
	return p, statefile.Write(c.files.state(), c.state)
}

// forget drops a process that has ended before it was ready. One that still runs is left to Stop.
func (c *Cluster) forget(p *process.Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.Err() == nil {
		return
	}
	c.processes = slices.DeleteFunc(c.processes, func(other *process.Process) bool { return other == p })
	c.state.Processes = slices.DeleteFunc(c.state.Processes, func(r RecordedProcess) bool { return r.Identity == p.Identity })
}

// watch tells Wait when the process ends by itself.
func (c *Cluster) watch(p *process.Process) {
	select {
	case <-c.stopping:
		return
	case <-p.Exited():
	}
	select {
	case <-c.stopping: // both at once: it was told to end
	case c.died <- p.Err():
	default: // another one was first
	}
}

// waitUntil polls until the condition holds, the process ends (p may be nil), or ctx ends.
func (c *Cluster) waitUntil(ctx context.Context, what string, p *process.Process, condition func(context.Context) bool) error {
	var exited <-chan struct{}
	if p != nil {
		exited = p.Exited()
	}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if condition(ctx) {
			return nil
		}
		select {
		case <-exited:
			return p.Err()
		case <-c.stopping:
			return fmt.Errorf("wait until %s: the cluster is stopped", what)
		case <-ctx.Done():
			return fmt.Errorf("wait until %s (see %s): %w", what, c.files.path("logs"), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

func (c *Cluster) update(change func(*State)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.state)
	return statefile.Write(c.files.state(), c.state)
}

func (c *Cluster) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.progress, format+"\n", args...) // progress is for people; losing a line harms nothing
}
