package nodes

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/process"
)

// Node is one of a cluster's nodes.
type Node struct {
	// Name is that of the Kubernetes node, Address where the machine and the other nodes reach it.
	Name, Address string

	index    int
	disk     string // its /var
	logs     string
	programs *programs
	spawner  *process.Spawner
	cgroups  *cgroups
	network  *network
	changed  func() error // records what runs
	progress io.Writer

	mu      sync.Mutex
	init    *process.Process // whose end is that of everything on the node; nil while it is off
	daemons []*process.Process
	bootID  string
	failed  []error // ends of daemons that nobody had asked for
}

//go:embed boot.sh
var bootScript string

// joinScript enters a control group and becomes another program.
const joinScript = `until [ "$1" = -- ]; do echo 0 > "$1"; shift; done; shift; exec "$@"`

// enterNetwork is a command that runs another one in the network of the process. There is no mounting involved: with
// "ip netns exec" there would be, and control groups would be lost.
func enterNetwork(pid int) []string {
	return []string{"nsenter", "--target", strconv.Itoa(pid), "--net", "--"}
}

func enterNode(pid int) []string {
	return []string{"nsenter", "--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--"}
}

// boot starts the node and returns when its container runtime answers.
func (n *Node) boot(ctx context.Context, count int) error {
	if err := n.cgroups.create(n.Name); err != nil {
		return err
	}
	if err := n.newBootID(); err != nil {
		return err
	}
	controlPlane, err := filepath.EvalSymlinks(n.programs.ControlPlane)
	if err != nil {
		return fmt.Errorf("find the program of kubelet: %w", err)
	}
	args := append([]string{"-c", bootScript, "boot", n.Name, n.disk, n.programs.Root, controlPlane}, n.cgroups.members(n.Name)...)
	init, err := n.start("init", true, "/bin/sh", args...)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.init = init
	n.mu.Unlock()
	if err := errors.Join(n.changed(), n.awaitInit(ctx, init)); err != nil {
		return err
	}
	if err := n.network.plug(ctx, n.index, count, init.Identity.PID); err != nil {
		return err
	}
	if err := n.daemon("containerd", "containerd", "--config", "/var/lib/node/containerd.toml"); err != nil {
		return err
	}
	return poll(ctx, "containerd of "+n.Name+" answers", func(ctx context.Context) error {
		return errors.Join(n.failure(), runCommand(n.Command(ctx, "ctr", "version")))
	})
}

// awaitInit waits until the boot script has become the node's first process.
func (n *Node) awaitInit(ctx context.Context, init *process.Process) error {
	return poll(ctx, "node "+n.Name+" has its own view of the machine", func(context.Context) error {
		if err := init.Err(); err != nil {
			return err
		}
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", init.Identity.PID))
		if err == nil && string(name) != "init\n" {
			err = errors.New("it is not set up yet")
		}
		return err
	})
}

// join starts what makes a booted node a part of the cluster.
func (n *Node) join(ctx context.Context) error {
	state := "/var/" + stateFolder
	kubelet := []string{
		state + "/bin/kubelet", "--config=" + state + "/kubelet.yaml", "--kubeconfig=" + state + "/keys/kubelet.kubeconfig",
		"--hostname-override=" + n.Name, "--node-ip=" + n.Address, "--cert-dir=/var/lib/kubelet/pki", "--v=2",
	}
	if err := n.daemon("kubelet", kubelet...); err != nil {
		return err
	}
	if err := n.daemon("kube-proxy", state+"/bin/kube-proxy", "--config="+state+"/proxy.yaml"); err != nil {
		return err
	}
	client := &http.Client{Timeout: 2 * time.Second}
	url := "http://" + n.Address + ":10256/healthz"
	return poll(ctx, "services are reached from "+n.Name, func(ctx context.Context) error {
		if err := n.failure(); err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
			return errors.Join(err, fmt.Errorf("%s answers %s", url, response.Status))
		}
		return nil
	})
}

// daemon starts a program of the node, in its namespaces and control group.
func (n *Node) daemon(name string, args ...string) error {
	n.mu.Lock()
	init := n.init
	n.mu.Unlock()
	if init == nil {
		return fmt.Errorf("start %s: node %s is off", name, n.Name)
	}
	command := slices.Concat([]string{"-c", joinScript, "join"}, n.cgroups.members(n.Name), []string{"--"}, enterNode(init.Identity.PID), args)
	p, err := n.start(name, false, "/bin/sh", command...)
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.daemons = append(n.daemons, p)
	n.mu.Unlock()
	go n.watch(init, p)
	return n.changed()
}

func (n *Node) start(name string, isolated bool, path string, args ...string) (*process.Process, error) {
	return n.spawner.Start(process.Command{
		Name: name + " of " + n.Name, Path: path, Args: args, Isolated: isolated,
		Env: []string{searchPath(), "TMPDIR=/var/tmp"}, LogFile: filepath.Join(n.logs, n.Name+"-"+name+".log"),
	})
}

// watch keeps in mind that a daemon has ended while the node was on.
func (n *Node) watch(init, daemon *process.Process) {
	<-daemon.Exited()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.init == init && init.Err() == nil {
		n.failed = append(n.failed, daemon.Err())
		say(n.progress, "%v", daemon.Err())
	}
}

// failure returns the ends of daemons that nobody had asked for.
func (n *Node) failure() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return errors.Join(n.failed...)
}

// kill switches the node off, as if it had lost its power.
func (n *Node) kill(ctx context.Context) error {
	n.mu.Lock()
	init, daemons := n.init, n.daemons
	n.init, n.daemons = nil, nil
	n.mu.Unlock()
	if init == nil {
		return nil
	}
	var errs []error
	// The kernel ends all others with the first process, and only then lets it go.
	for _, p := range append([]*process.Process{init}, daemons...) {
		errs = append(errs, p.Stop(0))
	}
	return errors.Join(append(errs, n.network.unplug(ctx, n.index), n.cgroups.remove(ctx, n.Name), n.changed())...)
}

// Command returns a program that runs in the node's view of the machine, with the node's network. The node must be on.
func (n *Node) Command(ctx context.Context, args ...string) *exec.Cmd {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.init == nil {
		cmd := command(ctx, args[0], args[1:]...)
		cmd.Err = fmt.Errorf("run %s: node %s is off", args[0], n.Name)
		return cmd
	}
	enter := append(enterNode(n.init.Identity.PID), args...)
	cmd := command(ctx, enter[0], enter[1:]...)
	cmd.Env = append(os.Environ(), searchPath())
	return cmd
}

// identities are the processes of the node, the first one first.
func (n *Node) identities() []process.Identity {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.init == nil {
		return nil
	}
	all := []process.Identity{n.init.Identity}
	for _, p := range n.daemons {
		all = append(all, p.Identity)
	}
	return all
}

// load imports an archive of images.
func (n *Node) load(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("open archive of images: %w", err)
	}
	defer func() { _ = file.Close() }()
	cmd := n.Command(ctx, "ctr", "--namespace", "k8s.io", "images", "import", "-")
	cmd.Stdin = file
	if err := runCommand(cmd); err != nil {
		return fmt.Errorf("load %s into node %s: %w", archive, n.Name, err)
	}
	return nil
}
