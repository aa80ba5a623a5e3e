package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/statefile"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	// usualRegistry is where the registry listens if nobody else does, so that the address is the same each time.
	usualRegistry = "127.0.0.1:5001"
	startTimeout  = 2 * time.Minute
	poll          = 50 * time.Millisecond
)

func clusterOptions(place folder, progress io.Writer) cluster.Options {
	return cluster.Options{Dir: place.cluster(), Progress: progress, ControllerManager: true, Flux: true}
}

// supervise runs everything until it is told to end, or a part of it ends by itself. It is the background process whose
// children all others are; the cluster's state has its process id.
func supervise(ctx context.Context, place folder, log io.Writer) error {
	fleet, err := serveFleet(ctx, place.fleet())
	if err != nil {
		return err
	}
	registry, err := serveRegistry(fleet)
	if err != nil {
		return err
	}
	defer func() { _ = registry.Close() }()
	// The operator ends first, and the cluster has to be there until it has.
	clusterCtx, stopCluster := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- cluster.Supervise(clusterCtx, clusterOptions(place, log)) }()
	err = superviseOperator(ctx, place, registry.Addr, ended)
	stopCluster()
	return errors.Join(err, <-ended)
}

// superviseOperator runs the operator until ctx ends. The cluster's end is left in the channel for the caller.
func superviseOperator(ctx context.Context, place folder, registry string, clusterEnded chan error) error {
	clusterUp := func(context.Context) (bool, error) {
		if len(clusterEnded) > 0 {
			return false, errors.New("the cluster has ended")
		}
		s, err := cluster.ReadState(place.cluster())
		return err == nil && s.Running(), nil
	}
	if err := wait.PollUntilContextCancel(ctx, poll, true, clusterUp); err != nil {
		return err
	}
	op, err := startOperator(ctx, place)
	if err != nil {
		return err
	}
	if err := statefile.Write(place.state(), &state{Registry: "http://" + registry, OperatorLog: op.LogFile(), SigningKey: place.key(), Fleet: filepath.Join(place.fleet(), fleetName)}); err != nil {
		return errors.Join(err, op.Stop(context.WithoutCancel(ctx)))
	}
	select {
	case <-ctx.Done():
	case <-op.Exited():
		return op.Err()
	case err := <-clusterEnded:
		clusterEnded <- err
	}
	return op.Stop(context.WithoutCancel(ctx))
}

func startOperator(ctx context.Context, place folder) (*operator.Operator, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	running, err := cluster.ReadState(place.cluster())
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", running.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", running.Kubeconfig, err)
	}
	if err := operator.Install(ctx, config); err != nil {
		return nil, err
	}
	return operator.Start(ctx, operator.Options{Binary: place.binary(), Kubeconfig: running.Kubeconfig, Dir: place.operator()})
}

// serveRegistry serves an empty registry for components, in memory and without TLS, and a git repository beside it, to this
// machine only.
func serveRegistry(fleet http.Handler) (*http.Server, error) {
	listener, err := net.Listen("tcp", usualRegistry) //nolint:noctx // a local listener does not block
	if err != nil {
		listener, err = net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // as above
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the component registry: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", ocmtest.NewRegistry())
	mux.Handle(fleetPrefix, fleet)
	server := &http.Server{Addr: listener.Addr().String(), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends when the server is closed
	return server, nil
}
