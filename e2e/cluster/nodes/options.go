package nodes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
)

const (
	defaultCount = 2
	maxCount     = 9 // one digit of addresses and names
)

// Options says what a cluster with nodes consists of.
type Options struct {
	// Dir is the cluster's folder, with the disks of its nodes. It is created; a cluster that ran in it before goes on with
	// its old objects and disks.
	Dir string
	// Count is the number of nodes. Default 2.
	Count int
	// Progress is told what is going on. Default nobody.
	Progress io.Writer
	// Images are archives of images that every node has from the beginning; see Cluster.Load.
	Images []string
	// APIServerArgs are appended to the arguments of kube-apiserver.
	APIServerArgs []string
	// Flux runs Flux's controllers on this machine, beside the control plane; see cluster.Options.
	Flux bool
	// Packages takes the container runtime from packages of the distribution even if it is installed.
	Packages bool
	// Binaries is where the programs come from. Default is the user's cache.
	Binaries *binaries.Cache

	// lock is a file in place of the machine's lock, for a caller who holds that for as long as there are nodes.
	lock string
	// inspect is called, while nobody else can have nodes, when nothing of nodes is on the machine: before and after.
	inspect func()
}

func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("a cluster needs a folder; set Dir")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("find the cluster's folder: %w", err)
	}
	o.Dir = dir
	o.Count = cmp.Or(o.Count, defaultCount)
	if o.Count < 1 || o.Count > maxCount {
		return o, fmt.Errorf("%d nodes can't be had; ask for 1 to %d", o.Count, maxCount)
	}
	o.lock = cmp.Or(o.lock, machineLock)
	if o.inspect == nil {
		o.inspect = func() {}
	}
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

// controlPlane are the options of the cluster that the nodes join.
func (o Options) controlPlane(extension cluster.Extension) cluster.Options {
	return cluster.Options{
		Dir: o.Dir, Progress: o.Progress, ControllerManager: true, Scheduler: true, Flux: o.Flux,
		APIServerArgs: o.APIServerArgs, Binaries: o.Binaries, Address: machineAddress, Extension: extension,
	}
}

// programs are what the nodes of a cluster run.
type programs struct {
	*binaries.Node
	*binaries.Runtime
}

// Build builds and fetches every program that such a cluster needs and that is missing.
func Build(ctx context.Context, o Options) error {
	o, err := o.complete()
	if err != nil {
		return err
	}
	if err := cluster.Build(ctx, o.controlPlane(nil)); err != nil {
		return err
	}
	_, err = o.programs(ctx)
	return err
}

func (o Options) programs(ctx context.Context) (*programs, error) {
	runtime, err := o.Binaries.Runtime(ctx, o.Packages)
	if err != nil {
		return nil, err
	}
	node, err := o.Binaries.Node(ctx)
	if err != nil {
		return nil, err
	}
	return &programs{Node: node, Runtime: runtime}, nil
}
