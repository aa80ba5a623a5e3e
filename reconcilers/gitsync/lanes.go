package gitsync

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// lookTimeout bounds the listing of branches: a server that takes that long for it is not well.
	lookTimeout = time.Minute
	// laneRetry is when it is tried again to talk to a host that keeps as many busy as it may.
	laneRetry = time.Second
)

// lanes bound how many objects talk to one host at once, so that one which doesn't answer never keeps all others from being looked at.
type lanes struct {
	limit int

	mu    sync.Mutex
	taken map[string]int
}

// newLanes leaves at least one of the objects that are reconciled at once to other hosts.
func newLanes(concurrent int) *lanes {
	return &lanes{limit: max(concurrent-1, 1), taken: map[string]int{}}
}

// enter takes a lane to a host, if there is one.
func (l *lanes) enter(host string) (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[host] >= l.limit {
		return nil, false
	}
	l.taken[host]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.taken[host]--; l.taken[host] == 0 {
			delete(l.taken, host)
		}
	}, true
}

// inLane lets a step talk to the host of the repository as soon as there is a lane.
func (c *controller) inLane(step func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		leave, ok := c.lanes.enter(r.location.Address())
		if !ok {
			return lifecycle.Wait(meta.ProgressingReason, laneRetry, fmt.Errorf("waiting for others that talk to %s, which is slow or much asked for", r.location.Address()))
		}
		defer leave()
		return step(ctx, r)
	}
}
