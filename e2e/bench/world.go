package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

const (
	startTimeout = 3 * time.Minute
	stopTimeout  = time.Minute
)

// world is a cluster with Flux, the operator and a source registry, all new, so that measurements don't touch each other.
type world struct {
	dir      string
	progress io.Writer
	cluster  *cluster.Cluster
	operator *operator.Operator
	source   *source
	client   client.WithWatch
}

// newWorld starts everything in a folder. The caller closes it, whatever happens in between.
func newWorld(ctx context.Context, dir, binary string, progress io.Writer, args ...string) (w *world, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	w = &world{dir: dir, progress: progress}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(context.WithoutCancel(ctx)))
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return w, fmt.Errorf("create the folder of the cluster: %w", err)
	}
	w.say("starting a cluster with Flux and the operator")
	if w.source, err = serveSource(ctx, filepath.Join(dir, "source")); err != nil {
		return w, err
	}
	if w.cluster, err = cluster.Start(ctx, cluster.Options{Dir: filepath.Join(dir, "cluster"), ControllerManager: true, Flux: true}); err != nil {
		return w, err
	}
	if err := operator.Install(ctx, w.cluster.Config()); err != nil {
		return w, err
	}
	w.operator, err = operator.Start(ctx, operator.Options{
		Binary: binary, Kubeconfig: w.cluster.Kubeconfig(), Dir: filepath.Join(dir, "operator"), Args: args,
	})
	if err != nil {
		return w, err
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return w, fmt.Errorf("prepare client: %w", err)
	}
	w.client, err = client.NewWithWatch(w.cluster.Config(), client.Options{Scheme: scheme})
	return w, err
}

// close stops everything and removes the folder.
func (w *world) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var errs []error
	if w.operator != nil {
		errs = append(errs, w.operator.Stop(ctx))
	}
	if w.cluster != nil {
		errs = append(errs, w.cluster.Stop(ctx))
	}
	if w.source != nil {
		errs = append(errs, w.source.close())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

func (w *world) say(format string, args ...any) {
	fmt.Fprintf(w.progress, "  "+format+"\n", args...)
}

// namespace creates a namespace for a pipeline.
func (w *world) namespace(ctx context.Context, name string) error {
	if err := w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
		return fmt.Errorf("create namespace %s: %w", name, err)
	}
	return nil
}

// healthy returns why there is nothing more to wait for.
func (w *world) healthy() error {
	select {
	case <-w.operator.Exited():
		return w.operator.Err()
	default:
		return nil
	}
}

// poll asks until the condition is met, the operator ends, or ctx does.
func (w *world) poll(ctx context.Context, every time.Duration, what string, condition func(context.Context) (done bool, state string, err error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		done, state, err := condition(ctx)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("wait until %s: %w", what, err)
		}
		if done {
			return nil
		}
		if err := w.healthy(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s (now: %s): %w", what, state, context.Cause(ctx))
		}
	}
}

// pause lets time pass that is part of a measurement.
func (w *world) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-w.operator.Exited():
		return w.operator.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
