package nodes

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
)

// extension is the cluster as its control plane sees it.
type extension Cluster

// Start starts the nodes and the name server when the control plane runs.
func (e *extension) Start(ctx context.Context, control *cluster.Cluster) error {
	c := (*Cluster)(e)
	start := time.Now()
	c.Cluster = control
	var err error
	if c.client, err = client.New(control.Config(), client.Options{}); err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	for _, n := range c.nodes { // one after the other: they share some of the files
		membership, err := control.Admit(n.Name, n.Address)
		if err != nil {
			return err
		}
		if err := n.prepareDisk(ctx, c.programs, membership); err != nil {
			return err
		}
	}
	if err := c.each(func(n *Node) error { return c.bring(ctx, n, start) }); err != nil {
		return err
	}
	if err := c.routeServices(ctx); err != nil {
		return err
	}
	if err := c.startDNS(ctx); err != nil {
		return err
	}
	say(c.options.Progress, "%-24s ready after %s", "cluster DNS", time.Since(start).Round(10*time.Millisecond))
	return nil
}

// bring makes a node ready that has what it needs on its disk.
func (c *Cluster) bring(ctx context.Context, n *Node, start time.Time) error {
	if err := n.boot(ctx, c.options.Count); err != nil {
		return err
	}
	for _, archive := range c.images {
		if err := n.load(ctx, archive); err != nil {
			return err
		}
	}
	if err := n.join(ctx); err != nil {
		return err
	}
	if err := c.awaitReady(ctx, n); err != nil {
		return err
	}
	say(c.options.Progress, "%-24s ready after %s", n.Name, time.Since(start).Round(10*time.Millisecond))
	return nil
}

// Stop switches all nodes off, and reports what had ended on them by itself.
func (e *extension) Stop(ctx context.Context) error {
	c := (*Cluster)(e)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	return c.each(func(n *Node) error { return errors.Join(n.failure(), n.kill(ctx)) })
}

// awaitReady waits until Kubernetes has heard of the node since it booted, and finds it ready.
func (c *Cluster) awaitReady(ctx context.Context, n *Node) error {
	return poll(ctx, "node "+n.Name+" is ready", func(ctx context.Context) error {
		node := &corev1.Node{}
		if err := errors.Join(n.failure(), c.client.Get(ctx, client.ObjectKey{Name: n.Name}, node)); err != nil {
			return err
		}
		n.mu.Lock()
		bootID := n.bootID
		n.mu.Unlock()
		if node.Status.NodeInfo.BootID != bootID {
			return errors.New("it has not reported since it booted")
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				return nil
			}
			if condition.Type == corev1.NodeReady {
				return fmt.Errorf("it is not: %s", condition.Message)
			}
		}
		return errors.New("it has not said yet whether it is")
	})
}
