package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// optionFlags declares the flags that say what a cluster consists of.
func optionFlags(flags *pflag.FlagSet) *cluster.Options {
	o := &cluster.Options{}
	flags.StringVar(&o.Dir, "dir", defaultDir, "folder for keys, database, logs and the kubeconfig file")
	flags.BoolVar(&o.Flux, "flux", false, "run Flux's source-controller and kustomize-controller")
	flags.BoolVar(&o.ControllerManager, controllerManagerFlag, true,
		"run kube-controller-manager: service accounts, garbage collection, deletion of\n"+
			"namespaces; default false if the API server was downloaded and the controller\nmanager, which never is, was not built yet")
	flags.BoolVar(&o.Scheduler, "scheduler", false, "run kube-scheduler")
	flags.StringArrayVar(&o.APIServerArgs, "apiserver-arg", nil, "additional argument for kube-apiserver; repeatable")
	return o
}

const controllerManagerFlag = "controller-manager"

// chooseControllerManager decides about the controller manager when the user has not: nobody who has downloaded an API
// server wants to wait for a build that was not asked for.
func chooseControllerManager(flags *pflag.FlagSet, o *cluster.Options, log io.Writer) error {
	if flags.Changed(controllerManagerFlag) {
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
func superviseArgs(self string, o *cluster.Options) []string {
	args := []string{
		self, "supervise", "--dir=" + o.Dir, fmt.Sprintf("--flux=%t", o.Flux),
		fmt.Sprintf("--controller-manager=%t", o.ControllerManager), fmt.Sprintf("--scheduler=%t", o.Scheduler),
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
	if _, err := io.WriteString(out, lines.String()); err != nil {
		return err
	}
	if !state.Running() {
		return fmt.Errorf("the cluster in %s is not complete; run testcluster down, then up", dir)
	}
	return nil
}
