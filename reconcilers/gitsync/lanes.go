package gitsync

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// lookTimeout bounds the listing of branches, and forgeTimeout all that a forge is asked for in one run: a server that takes longer is
	// not well, and keeps no worker from others. What is tried again then comes after a delay that grows.
	lookTimeout, forgeTimeout = time.Minute, 2 * time.Minute
	// firstLaneDelay and lastLaneDelay bound when it is tried again to talk to a host that keeps as many busy as it may.
	firstLaneDelay, lastLaneDelay = time.Second, 30 * time.Second
)

// lanes bound how many objects talk to one host at once, so that one which doesn't answer leaves workers for others.
type lanes struct {
	limit int

	mu      sync.Mutex
	taken   map[string]int
	delayed map[types.NamespacedName]time.Duration
}

// newLanes leaves at least one of the objects that are reconciled at once to other hosts.
func newLanes(concurrent int) *lanes {
	return &lanes{limit: max(concurrent-1, 1), taken: map[string]int{}, delayed: map[types.NamespacedName]time.Duration{}}
}

// enter takes a lane to a host for an object, and returns how to leave it. If there is none, leave is nil, and the delay says when to try
// again: half of it is left to chance, since many wait for the same.
func (l *lanes) enter(key types.NamespacedName, host string) (leave func(), delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[host] >= l.limit {
		delay = min(max(firstLaneDelay, 2*l.delayed[key]), lastLaneDelay)
		l.delayed[key] = delay
		return nil, delay/2 + rand.N(delay/2) //nolint:gosec // it is no secret
	}
	l.taken[host]++
	delete(l.delayed, key)
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.taken[host]--; l.taken[host] == 0 {
			delete(l.taken, host)
		}
	}), 0
}

// forget drops what is known of an object that is gone.
func (l *lanes) forget(key types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.delayed, key)
}

// enter waits, without keeping a worker, until there is a lane to the host of the repository. It comes before anything that costs a
// request. Nothing was looked at by then, so who has asked for that has no answer yet.
func (c *controller) enter(_ context.Context, r *run) error {
	leave, delay := c.lanes.enter(r.key(), r.location.Address())
	if leave == nil {
		return lifecycle.Within(delay, lifecycle.Busy(meta.ProgressingReason, fmt.Errorf("waiting for others that talk to %s, which is slow or much asked for", r.location.Address())))
	}
	r.leave = append(r.leave, leave)
	return nil
}

// releasing has steps give back what a run has taken, as soon as it is over: after the last of them, and after one that fails.
func releasing(steps []lifecycle.Step[*run]) []lifecycle.Step[*run] {
	for i, step := range steps {
		steps[i].Run = func(ctx context.Context, r *run) (err error) {
			goesOn := false
			defer func() {
				if !goesOn {
					r.release()
				}
			}()
			err = step.Run(ctx, r)
			goesOn = err == nil && i < len(steps)-1
			return err
		}
	}
	return steps
}

// release gives back the lane, and ends connections.
func (r *run) release() {
	for _, leave := range r.leave {
		leave()
	}
	r.leave = nil
}
