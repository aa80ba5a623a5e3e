package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
)

const (
	// machineLock is held by whoever has nodes: their addresses, links and control groups have the same names everywhere.
	machineLock = "/run/ocm-operator-nodes.lock"
	// cleanTimeout bounds the removal of what a dead cluster has left.
	cleanTimeout = 30 * time.Second
)

// Cluster is a running cluster with nodes.
type Cluster struct {
	*cluster.Cluster

	options  Options
	files    files
	programs *programs
	lock     *filelock.Lock
	spawner  *process.Spawner
	cgroups  *cgroups
	network  *network
	nodes    []*Node
	client   client.Client
	images   []string // archives that every node needs

	mu sync.Mutex // guards the file with the state
}

// Start starts a cluster and returns when its nodes are ready and its name server answers. There can be one such cluster on
// a machine; Start waits for the end of another one. ctx bounds the start only; the cluster runs until Stop is called or
// this process ends.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	c, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	control, err := cluster.Start(ctx, c.options.controlPlane((*extension)(c)))
	if err != nil {
		return nil, errors.Join(err, c.release(context.WithoutCancel(ctx)))
	}
	c.Cluster = control
	return c, nil
}

// prepare takes possession of the machine's network and control groups, and makes the network.
func prepare(ctx context.Context, o Options) (*Cluster, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	programs, err := o.programs(ctx)
	if err != nil {
		return nil, err
	}
	say(o.Progress, "%s", programs.From)
	groups, err := openCgroups(cgroupRoot, cgroupRecord)
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, files: files(o.Dir), programs: programs, cgroups: groups, network: &network{programs: programs}}
	for _, dir := range []string{c.files.path(), c.files.logs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the folder of nodes: %w", err)
		}
	}
	if c.lock, err = acquireMachine(ctx, o.lock, o.Progress); err != nil {
		return nil, err
	}
	c.spawner = process.NewSpawner()
	if err := c.prepareMachine(ctx); err != nil {
		return nil, errors.Join(err, c.release(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// prepareMachine removes what a dead cluster has left, and makes the network and the nodes, which are still off.
func (c *Cluster) prepareMachine(ctx context.Context) error {
	if err := clean(ctx, c.programs, c.files, c.cgroups); err != nil {
		return err
	}
	c.options.inspect()
	if err := c.cgroups.borrow(); err != nil {
		return err
	}
	for index := 1; index <= c.options.Count; index++ {
		name := fmt.Sprintf("node-%d", index)
		c.nodes = append(c.nodes, &Node{
			Name: name, Address: nodeAddress(index), index: index, disk: c.files.disk(name), logs: c.files.logs(),
			programs: c.programs, spawner: c.spawner, cgroups: c.cgroups, network: c.network, changed: c.record, progress: c.options.Progress,
		})
	}
	if err := c.network.hold(c.spawner, c.files.logs()); err != nil {
		return err
	}
	if err := c.record(); err != nil {
		return err
	}
	if err := c.network.connect(ctx, c.options.Count); err != nil {
		return err
	}
	own, err := writeImages(c.programs)
	c.images = slices.Concat(own, c.options.Images)
	return err
}

// acquireMachine waits until nobody else has nodes.
func acquireMachine(ctx context.Context, lockFile string, progress io.Writer) (*filelock.Lock, error) {
	told := false
	lock, err := filelock.Acquire(ctx, lockFile, func() bool {
		if !told {
			told = true
			say(progress, "waiting: another cluster with nodes runs on this machine")
		}
		return false
	})
	if err != nil {
		return nil, fmt.Errorf("have nodes on this machine: %w", err)
	}
	return lock, nil
}

// record writes down what runs.
func (c *Cluster) record() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := &State{Packages: c.programs.Root, Network: c.network.identities()}
	for _, n := range c.nodes {
		state.Nodes = append(state.Nodes, NodeState{Name: n.Name, Address: n.Address, Processes: n.identities()})
	}
	return statefile.Write(c.files.state(), state)
}

// Node returns the node with that index; the first one is 0.
func (c *Cluster) Node(index int) *Node { return c.nodes[index] }

// Nodes returns all nodes, whether they are on or off.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Load gives the images in an archive, of an image layout or of docker's kind, to every node that is on. Pods have to name
// them in full, and must not ask for a pull each time.
func (c *Cluster) Load(ctx context.Context, archive string) error {
	return c.each(func(n *Node) error {
		if len(n.identities()) == 0 {
			return nil
		}
		return n.load(ctx, archive)
	})
}

// each does the same with all nodes at a time.
func (c *Cluster) each(do func(*Node) error) error {
	errs := make([]error, len(c.nodes))
	var group sync.WaitGroup
	for i, n := range c.nodes {
		group.Go(func() { errs[i] = do(n) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// Kill switches a node off, as if it had lost its power: nothing on it is told. Its disk stays.
func (c *Cluster) Kill(ctx context.Context, n *Node) error {
	return errors.Join(n.kill(ctx), c.routeServices(ctx))
}

// Boot switches a node on that Kill has switched off, and returns when Kubernetes has it back.
func (c *Cluster) Boot(ctx context.Context, n *Node) error {
	if err := n.boot(ctx, c.options.Count); err != nil {
		return err
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	return errors.Join(c.routeServices(ctx), c.awaitReady(ctx, n))
}

// Reboot switches a node off and on: all its processes end, and its namespaces are made anew. Its disk stays.
func (c *Cluster) Reboot(ctx context.Context, n *Node) error {
	if err := c.Kill(ctx, n); err != nil {
		return err
	}
	return c.Boot(ctx, n)
}

// volumes are the folders of a node's disk in which pods write.
var volumes = []string{"lib/kubelet", "lib/volumes", "log/pods", "log/containers"}

// Wipe reboots a node whose disk has lost, meanwhile, everything that pods had written outside of their own file systems:
// all volumes on the node, VolumesDir included. Images stay.
func (c *Cluster) Wipe(ctx context.Context, n *Node) error {
	if err := c.Kill(ctx, n); err != nil {
		return err
	}
	for _, dir := range volumes {
		if err := os.RemoveAll(filepath.Join(n.disk, dir)); err != nil {
			return fmt.Errorf("wipe the disk of node %s: %w", n.Name, err)
		}
	}
	if err := n.makeFolders(); err != nil {
		return err
	}
	return c.Boot(ctx, n)
}

// routeServices leads the machine to services by way of the first node that is on.
func (c *Cluster) routeServices(ctx context.Context) error {
	for _, n := range c.nodes {
		if len(n.identities()) > 0 {
			return c.network.routeServices(ctx, n.index)
		}
	}
	return c.network.routeServices(ctx, 0)
}

// Stop ends everything: the nodes, the control plane, the network between them. The folder stays. It also reports programs
// of nodes that had ended by themselves. A second Stop does nothing.
func (c *Cluster) Stop(ctx context.Context) error {
	return errors.Join(c.Cluster.Stop(ctx), c.release(ctx))
}

// release gives back what prepare has taken.
func (c *Cluster) release(ctx context.Context) error {
	if c.lock == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	errs := []error{c.each(func(n *Node) error { return n.kill(ctx) })}
	errs = append(errs, c.network.close(ctx))
	c.spawner.Close()
	errs = append(errs, clean(ctx, c.programs, c.files, c.cgroups))
	c.options.inspect()
	errs = append(errs, c.lock.Release())
	c.lock = nil
	return errors.Join(errs...)
}
