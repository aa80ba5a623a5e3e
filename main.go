// Command ocm-operator delivers software described with the Open Component Model to Kubernetes, through Flux.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/fluxcd/pkg/runtime/logger"

	"github.com/ocm-operator/ocm-operator/reconcilers/manager"
	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/reconcilers/registryserver"
	"github.com/ocm-operator/ocm-operator/registry/roundtrip"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// version, commit and date are stamped by the build.
var (
	version = "v0.0.0-dev"
	commit  = "unknown"
	date    = "unknown"
)

func main() {
	args, do := os.Args[1:], run
	switch {
	case cuemap.Requested(args):
		evaluate()
		return
	case roundtrip.Requested(args):
		do = roundtrip.Run
	case manager.UninstallRequested(args):
		do = manager.Uninstall
	}
	err := do(ctrl.SetupSignalHandler(), args, os.Stdout)
	if err != nil && !errors.Is(err, options.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ocm-operator:", err)
		os.Exit(1)
	}
}

// evaluate is what this program does when it is started to evaluate the program of a mapping, which no process should do
// that has anything else to do.
func evaluate() {
	if err := cuemap.Serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the operator: flags, clients, plugins, manager.
func run(ctx context.Context, args []string, out io.Writer) error {
	known, err := plugin.NewSet(features(&shared{options: &options.Options{}, services: &manager.Services{}, registry: &registryserver.Registry{}})...)
	if err != nil {
		return err
	}
	o, err := options.Parse(args, known.Describe(), fmt.Sprintf("%s (commit %s, built %s)", version, commit, date), out)
	if err != nil {
		return err
	}
	if err := known.Switch(o.Features); err != nil {
		return fmt.Errorf("--features: %w", err)
	}
	if err := o.CheckKinds(known.Names()); err != nil {
		return err
	}
	logger.SetLogger(logger.NewLogger(o.Log))
	manager.LimitMemory()
	s, err := connect(ctx, o, known)
	if err != nil {
		return err
	}
	set, err := known.With(features(s)...)
	if err != nil {
		return err
	}
	mgr, err := manager.New(ctx, s.scheme, o)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(s.transfers), s.services.Setup(mgr)); err != nil {
		return err
	}
	if err := manager.Assemble(ctx, mgr, set, s.snapshots(), metrics.Registry); err != nil {
		return err
	}
	ctrl.Log.WithName("setup").Info("Starting ocm-operator", "version", version, "commit", commit, "features", set.State())
	return mgr.Start(ctx)
}
