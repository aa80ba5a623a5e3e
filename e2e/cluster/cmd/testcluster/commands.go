package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/nodes"
)

const defaultDir = ".demo/cluster"

func buildCommand() command {
	return command{
		name:    "build",
		summary: "build all programs that are missing",
		details: `Builds the control plane, Flux's controllers, CoreDNS, helm, registries and Gitea,
one after the other, unless they are in the cache. On two cores and with empty
caches this takes about 27 minutes and 7 GB; afterwards it takes no time. Gitea needs a C
compiler and is left out where there is none.`,
		bind: func(*pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			return func(ctx context.Context, _, log io.Writer) error {
				cache, err := binaries.Open(binaries.Options{Progress: log})
				if err != nil {
					return err
				}
				if err := cache.BuildAll(ctx); err != nil {
					return err
				}
				_, _ = fmt.Fprintln(log, "all programs are built")
				return nil
			}
		},
	}
}

func assetsCommand() command {
	return command{
		name:    "assets",
		summary: "print a folder for KUBEBUILDER_ASSETS",
		details: `Prints a folder with kube-apiserver, etcd and kubectl, building them if needed:
  export KUBEBUILDER_ASSETS="$(testcluster assets)"`,
		bind: func(*pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			return func(ctx context.Context, out, log io.Writer) error {
				cache, err := binaries.Open(binaries.Options{Progress: log})
				if err != nil {
					return err
				}
				dir, err := cache.APIServerAssets(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(out, dir)
				return err
			}
		},
	}
}

func helmCommand() command {
	return command{
		name:    "helm",
		summary: "print the path of helm",
		details: `Prints the path of the helm command, building it if needed.`,
		bind: func(*pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			return func(ctx context.Context, out, log io.Writer) error {
				cache, err := binaries.Open(binaries.Options{Progress: log})
				if err != nil {
					return err
				}
				path, err := cache.Helm(ctx)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(out, path)
				return err
			}
		},
	}
}

func upCommand() command {
	return command{
		name:    "up",
		summary: "start a cluster in the background",
		details: `Starts a cluster in the background and waits until it is ready. Programs that
are missing are built first. A cluster that runs already is left alone; one that
was stopped goes on with its old objects. With --nodes pods run in containers; there
can be one such cluster on a machine.`,
		bind: func(flags *pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			o := optionFlags(flags)
			return func(ctx context.Context, out, log io.Writer) error {
				o.Progress = log
				if err := chooseControllerManager(flags, o, log); err != nil {
					return err
				}
				if err := o.build(ctx); err != nil { // here, where progress is seen at once
					return err
				}
				self, err := os.Executable()
				if err != nil {
					return fmt.Errorf("find the supervisor's program: %w", err)
				}
				state, err := cluster.Up(ctx, o.Dir, superviseArgs(self, o), log)
				if err != nil {
					return err
				}
				if err := o.compare(state); err != nil {
					return err
				}
				_, err = fmt.Fprintf(out, "export KUBECONFIG=%s\nexport PATH=%s:$PATH   # kubectl\n", state.Kubeconfig, filepath.Dir(state.Kubectl))
				return err
			}
		},
	}
}

func superviseCommand() command {
	return command{
		name: "supervise", hidden: true,
		details: `Runs a cluster in the foreground until it is told to end. "up" calls it.`,
		bind: func(flags *pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			o := optionFlags(flags)
			return func(ctx context.Context, _, log io.Writer) error {
				o.Progress = log
				return o.supervise(ctx)
			}
		},
	}
}

func statusCommand() command {
	return command{
		name:    "status",
		summary: "show the processes of a cluster",
		details: "Shows the cluster's address and processes. Exits with 1 unless all of them run.",
		bind: func(flags *pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			dir := flags.String("dir", defaultDir, "the cluster's folder")
			return func(_ context.Context, out, _ io.Writer) error { return status(*dir, out) }
		},
	}
}

func downCommand() command {
	return command{
		name:    "down",
		summary: "stop a cluster",
		details: `Stops the processes that are recorded in the cluster's folder, and no others. The
objects stay for the next "up", unless --delete is given. What nodes have left on
this machine is removed, even if their cluster was killed.`,
		bind: func(flags *pflag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
			dir := flags.String("dir", defaultDir, "the cluster's folder")
			remove := flags.Bool("delete", false, "delete what the cluster has written into the folder")
			return func(ctx context.Context, _, log io.Writer) error {
				err := nodes.Down(ctx, *dir)
				switch {
				case errors.Is(err, cluster.ErrNoCluster):
					_, _ = fmt.Fprintf(log, "no cluster runs in %s\n", *dir)
				case err != nil:
					return err
				default:
					_, _ = fmt.Fprintf(log, "stopped the cluster in %s\n", *dir)
				}
				if *remove {
					return cluster.Delete(ctx, *dir)
				}
				return nil
			}
		},
	}
}
