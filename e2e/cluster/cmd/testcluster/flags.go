package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/nodes"
)

// options say what a cluster consists of.
type options struct {
	cluster.Options
	// nodes is how many there are; none if it is 0.
	nodes int
}

// withNodes are the options of a cluster with nodes, which always has all of the control plane.
func (o *options) withNodes() nodes.Options {
	return nodes.Options{Dir: o.Dir, Count: o.nodes, Progress: o.Progress, APIServerArgs: o.APIServerArgs, Flux: o.Flux}
}

func (o *options) build(ctx context.Context) error {
	if o.nodes == 0 {
		return cluster.Build(ctx, o.Options)
	}
	if missing := nodes.Missing(ctx); len(missing) > 0 {
		return fmt.Errorf("this machine can't have nodes: %s", strings.Join(missing, "; "))
	}
	return nodes.Build(ctx, o.withNodes())
}

func (o *options) supervise(ctx context.Context) error {
	if o.nodes == 0 {
		return cluster.Supervise(ctx, o.Options)
	}
	return nodes.Supervise(ctx, o.withNodes())
}

// compare tells whether the cluster that runs is the one that was asked for.
func (o *options) compare(state *cluster.State) error {
	if _, ok := state.Process("source-controller"); o.Flux && !ok {
		return fmt.Errorf("the cluster in %s runs without Flux; run testcluster down, then up --flux", o.Dir)
	}
	running, err := nodes.ReadState(o.Dir)
	if err != nil {
		return err
	}
	if len(running.Nodes) != o.nodes {
		return fmt.Errorf("the cluster in %s runs with %d nodes; run testcluster down, then up --nodes=%d", o.Dir, len(running.Nodes), o.nodes)
	}
	return nil
}

// optionFlags declares the flags that say what a cluster consists of.
func optionFlags(flags *pflag.FlagSet) *options {
	o := &options{}
	flags.StringVar(&o.Dir, "dir", defaultDir, "folder for keys, database, logs and the kubeconfig file")
	flags.BoolVar(&o.Flux, "flux", false, "run Flux's source-controller and kustomize-controller")
	flags.BoolVar(&o.ControllerManager, controllerManagerFlag, true,
		"run kube-controller-manager: service accounts, garbage collection, deletion of\n"+
			"namespaces; default false if the API server was downloaded and the controller\nmanager, which never is, was not built yet")
	flags.BoolVar(&o.Scheduler, "scheduler", false, "run kube-scheduler")
	flags.IntVar(&o.nodes, "nodes", 0, "have that many nodes, with containers and cluster DNS, and the whole control\nplane; needs root")
	flags.StringArrayVar(&o.APIServerArgs, "apiserver-arg", nil, "additional argument for kube-apiserver; repeatable")
	return o
}

const controllerManagerFlag = "controller-manager"

// chooseControllerManager decides about the controller manager when the user has not: nobody who has downloaded an API
// server wants to wait for a build that was not asked for.
func chooseControllerManager(flags *pflag.FlagSet, o *options, log io.Writer) error {
	if flags.Changed(controllerManagerFlag) || o.nodes > 0 {
		return nil
	}
	_, downloaded, err := binaries.Downloaded()
	if err != nil || !downloaded {
		return err
	}
	cache, err := binaries.Open(binaries.Options{Progress: log})
	if err != nil {
		return err
	}
	_, err = cache.CachedControlPlane()
	if errors.Is(err, binaries.ErrNotBuilt) {
		o.ControllerManager = false
		_, err = fmt.Fprintf(log, "no controller manager: it was not built yet (--%s builds it)\n", controllerManagerFlag)
	}
	return err
}

// superviseArgs is the command line of the supervisor of such a cluster.
func superviseArgs(self string, o *options) []string {
	args := []string{
		self, "supervise", "--dir=" + o.Dir, fmt.Sprintf("--flux=%t", o.Flux),
		fmt.Sprintf("--controller-manager=%t", o.ControllerManager), fmt.Sprintf("--scheduler=%t", o.Scheduler), fmt.Sprintf("--nodes=%d", o.nodes),
	}
	for _, arg := range o.APIServerArgs {
		args = append(args, "--apiserver-arg="+arg)
	}
	return args
}

// status prints a cluster's processes.
func status(dir string, out io.Writer) error {
	state, err := cluster.ReadState(dir)
	if err != nil {
		return err
	}
	var lines strings.Builder
	fmt.Fprintf(&lines, "server      %s\nkubeconfig  %s\nkubectl     %s\n", state.Server, state.Kubeconfig, state.Kubectl)
	processes := state.Processes
	if state.Supervisor != nil {
		processes = append([]cluster.RecordedProcess{*state.Supervisor}, processes...)
	}
	for _, p := range processes {
		verdict := "running"
		if !p.Alive() {
			verdict = "gone"
		}
		fmt.Fprintf(&lines, "%-24s %-8s pid %d\n", p.Name, verdict, p.PID)
	}
	of, err := nodes.ReadState(dir)
	if err != nil {
		return err
	}
	for _, node := range of.Nodes {
		fmt.Fprintf(&lines, "%-24s %-8s %s\n", node.Name, node.Verdict(), node.Address)
	}
	if _, err := io.WriteString(out, lines.String()); err != nil {
		return err
	}
	if !state.Running() {
		return fmt.Errorf("the cluster in %s is not complete; run testcluster down, then up", dir)
	}
	return nil
}
