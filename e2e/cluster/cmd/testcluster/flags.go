package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

// optionFlags declares the flags that say what a cluster consists of.
func optionFlags(flags *pflag.FlagSet) *cluster.Options {
	o := &cluster.Options{}
	flags.StringVar(&o.Dir, "dir", defaultDir, "folder for keys, database, logs and the kubeconfig file")
	flags.BoolVar(&o.Flux, "flux", false, "run Flux's source-controller and kustomize-controller")
	flags.BoolVar(&o.ControllerManager, "controller-manager", true,
		"run kube-controller-manager: service accounts, garbage collection, deletion of\nnamespaces. It is never among downloaded programs, so this may build it")
	flags.BoolVar(&o.Scheduler, "scheduler", false, "run kube-scheduler")
	flags.StringArrayVar(&o.APIServerArgs, "apiserver-arg", nil, "additional argument for kube-apiserver; repeatable")
	return o
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

func dirOf(program string) string { return filepath.Dir(program) }
