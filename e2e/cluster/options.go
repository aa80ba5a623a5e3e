package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

// Options says what a cluster consists of. The API server and its database always run.
type Options struct {
	// Dir is the cluster's folder. It is created; a cluster that ran in it before goes on with its old objects.
	Dir string
	// Progress is told what is going on. Default nobody.
	Progress io.Writer
	// ControllerManager runs kube-controller-manager: service accounts, garbage collection, deletion of namespaces. It is
	// never among downloaded programs, so asking for it may build the control plane.
	ControllerManager bool
	// Scheduler runs kube-scheduler, of which the same is true.
	Scheduler bool
	// Flux runs source-controller and kustomize-controller, and defines the kind of helm-controller, whose program can't be
	// had. See also Cluster.InstallFlux.
	Flux bool
	// APIServerArgs are appended to the arguments of kube-apiserver, and KustomizeArgs to those of kustomize-controller.
	APIServerArgs, KustomizeArgs []string
	// Address is where the API server listens in place of the loopback interface, so that nodes can reach it: one that this
	// machine has. Package nodes sets it.
	Address string
	// Extension is what else belongs to the cluster. Default nothing.
	Extension Extension
	// Binaries is where the programs come from. Default is the user's cache.
	Binaries *binaries.Cache
}

// Extension is a part of a cluster that lives outside this package, such as nodes.
type Extension interface {
	// Start is called when everything else runs. The cluster is ready when it returns nil.
	Start(ctx context.Context, c *Cluster) error
	// Stop is called before anything else is stopped, also when Start has not been called or has failed.
	Stop(ctx context.Context) error
}

// complete checks the options and fills in defaults.
func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("a cluster needs a folder; set Dir")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("find the cluster's folder: %w", err)
	}
	o.Dir = dir
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Binaries == nil {
		if o.Binaries, err = binaries.Open(binaries.Options{Progress: o.Progress}); err != nil {
			return o, err
		}
	}
	return o, nil
}

// programs are the paths of what the control plane runs.
type programs struct {
	etcd, apiServer, controllerManager, scheduler string
}

// Build builds every program that a cluster with these options needs and that is missing.
func Build(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	if _, err := o.programs(ctx); err != nil || !o.Flux {
		return err
	}
	_, err = o.Binaries.Flux(ctx)
	return err
}

func (o Options) programs(ctx context.Context) (*programs, error) {
	assets, err := o.Binaries.APIServerAssets(ctx)
	if err != nil {
		return nil, err
	}
	p := &programs{etcd: filepath.Join(assets, "etcd"), apiServer: filepath.Join(assets, "kube-apiserver")}
	if !o.ControllerManager && !o.Scheduler {
		return p, nil
	}
	built, err := o.Binaries.ControlPlane(ctx)
	if err != nil {
		return nil, err
	}
	if built != assets {
		_, _ = fmt.Fprintf(o.Progress, "API server from %s, controller manager and scheduler from %s\n", assets, built)
	}
	p.controllerManager = filepath.Join(built, "kube-controller-manager")
	p.scheduler = filepath.Join(built, "kube-scheduler")
	return p, nil
}

// layout names the files of a cluster.
type layout string

func (l layout) path(name ...string) string {
	return filepath.Join(append([]string{string(l)}, name...)...)
}

func (l layout) keys() string               { return l.path("pki") }
func (l layout) lock() string               { return l.path("lock") }
func (l layout) state() string              { return l.path("state.json") }
func (l layout) kubeconfig() string         { return l.path("kubeconfig") }
func (l layout) log(process string) string  { return l.path("logs", process+".log") }
func (l layout) user(process string) string { return l.path("users", process+".kubeconfig") }

var subfolders = []string{"logs", "users", "etcd", "tmp", "flux"}

// all returns every path that a cluster writes, except that of its lock.
func (l layout) all() []string {
	paths := []string{l.keys(), l.state(), l.kubeconfig()}
	for _, dir := range append([]string{"nodes"}, subfolders...) {
		paths = append(paths, l.path(dir))
	}
	return paths
}

func (l layout) create() error {
	for _, dir := range subfolders {
		if err := os.MkdirAll(l.path(dir), 0o700); err != nil {
			return fmt.Errorf("create the cluster's folder: %w", err)
		}
	}
	return nil
}
