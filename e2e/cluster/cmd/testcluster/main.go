// Command testcluster runs a throw-away Kubernetes control plane, optionally with Flux, without containers: for the
// end-to-end tests, the demo, and for trying things out. See package cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

// command is one of the things that testcluster does.
type command struct {
	name    string
	summary string
	details string
	hidden  bool
	// bind declares the flags and returns what to do with them. Results go to out, progress to log.
	bind func(flags *pflag.FlagSet) func(ctx context.Context, out, log io.Writer) error
}

func commands() []command {
	return []command{buildCommand(), assetsCommand(), helmCommand(), upCommand(), statusCommand(), downCommand(), superviseCommand()}
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		usage(out)
		return nil
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
		flags.Usage = func() {
			_, _ = fmt.Fprintf(out, "%s\n\nUsage: testcluster %s [flags]\n\n%s", c.details, c.name, flags.FlagUsages())
		}
		do := c.bind(flags)
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("%s takes flags only, not %q; see testcluster %s --help", c.name, flags.Args(), c.name)
		}
		return do(ctx, out, log)
	}
	return fmt.Errorf("there is no command %q; see testcluster --help", args[0])
}

func usage(out io.Writer) {
	_, _ = fmt.Fprint(out, `testcluster runs a throw-away Kubernetes control plane as plain processes on this
machine, optionally with Flux's source-controller and kustomize-controller. Pods
stay pending, unless nodes are asked for: those run them in containers.

Usage: testcluster COMMAND [flags]

Commands:
`)
	for _, c := range commands() {
		if !c.hidden {
			_, _ = fmt.Fprintf(out, "  %-8s %s\n", c.name, c.summary)
		}
	}
	_, _ = fmt.Fprint(out, `
"testcluster COMMAND --help" tells more about each.

Programs are built from Go modules on first use and kept in
${XDG_CACHE_HOME:-$HOME/.cache}/ocm-operator. A kube-apiserver and etcd that
KUBEBUILDER_ASSETS names, or that "setup-envtest use" has downloaded, are used
instead of building them.
`)
}
