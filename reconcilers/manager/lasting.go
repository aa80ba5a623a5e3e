package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	ctrlmanager "sigs.k8s.io/controller-runtime/pkg/manager"
)

// minDrain is what lasting runnables have to end at least, however long all others have taken.
const minDrain = 5 * time.Second

// lasting is a runnable that ends last, when the lease is given back: what others need of the one that leads they get from it
// until somebody else can lead.
type lasting interface {
	ctrlmanager.Runnable
	// Lasts marks it.
	Lasts()
}

// Add implements manager.Manager.
func (m *Manager) Add(r ctrlmanager.Runnable) error {
	last, ok := r.(lasting)
	if !ok {
		return m.Manager.Add(r)
	}
	s := &survivor{runnable: last, ended: make(chan struct{})}
	m.survivors = append(m.survivors, s)
	return m.Manager.Add(s)
}

// Start implements manager.Manager. It returns when everything has ended, or has had the time for it.
func (m *Manager) Start(ctx context.Context) error {
	var deadline time.Time
	asked := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(asked)
		deadline = time.Now().Add(shutdownTimeout)
	})
	err := m.Manager.Start(ctx)
	if unhook() {
		deadline = time.Now().Add(shutdownTimeout)
	} else {
		<-asked
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline), minDrain))
	defer cancel()
	for _, s := range m.survivors {
		err = errors.Join(err, s.end(drain))
	}
	return err
}

// survivor runs something beyond the end of the manager.
type survivor struct {
	runnable lasting

	mu     sync.Mutex
	over   bool
	cancel context.CancelFunc
	// ended is closed when it has ended, after err was set.
	ended chan struct{}
	err   error
}

// Start implements manager.Runnable. It returns when the manager ends, and before when what it runs does.
func (s *survivor) Start(ctx context.Context) error {
	if !s.begin(ctx) {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-s.ended:
		return s.err
	}
}

func (s *survivor) begin(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(s.ended)
		s.err = s.runnable.Start(ctx)
	}()
	return true
}

// end returns what came of it, unless the manager has returned that already.
func (s *survivor) end(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.cancel == nil {
		return nil
	}
	select {
	case <-s.ended:
		return nil
	default:
	}
	s.cancel()
	select {
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return fmt.Errorf("end the registry: %w: what it was doing breaks off", context.Cause(ctx))
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*survivor) NeedLeaderElection() bool { return false }
