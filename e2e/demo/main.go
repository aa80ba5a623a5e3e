// Command demo delivers a component to a cluster on this machine: it starts a Kubernetes control plane, Flux, the
// operator and a registry as plain processes on loopback, publishes a component version, applies the objects in
// manifests/, and shows it arriving; then it publishes the next version, and shows that arriving by itself. Both are
// signed. What is delivered is also pushed to a git repository. A third version, which somebody has tampered with, is refused.
//
// "make demo" and "make demo-down" call it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

const usage = `usage: go run ./e2e/demo COMMAND

  up               start the demo; one that runs is replaced
  publish VERSION  publish another version of the demo's component, such as 6.3.8
  down             stop the demo and remove what it wrote
`

func main() {
	ctrl.SetLogger(logr.Discard()) // what a person should know is printed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		fmt.Print(usage)
		return nil
	}
	root, err := operator.ModuleRoot()
	if err != nil {
		return err
	}
	place := folder(filepath.Join(root, ".demo"))
	switch {
	case args[0] == "up" && len(args) == 1:
		return up(ctx, place, newScreen(os.Stdout))
	case args[0] == "publish" && len(args) == 2:
		return publishMore(ctx, place, args[1])
	case args[0] == "down" && len(args) == 1:
		return down(ctx, place, newScreen(os.Stdout))
	case args[0] == "supervise" && len(args) == 1: // what "up" starts in the background
		return supervise(ctx, place, os.Stdout)
	}
	return fmt.Errorf("there is no such command\n\n%s", usage)
}
