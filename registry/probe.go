package registry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// probeTimeout is how long a disk may take to show that it works. One that does not answer is of no more use than one that fails.
const probeTimeout = 5 * time.Second

// ErrProbeTimeout says that a probe took too long, as it does over a disk that does not answer.
var ErrProbeTimeout = errors.New("the storage of the registry does not answer in time: look at its disk")

// prober keeps a probe that hangs from holding everybody who asks: there is one at a time, for all of them.
type prober struct {
	mu      sync.Mutex
	running *probing
}

type probing struct {
	done chan struct{}
	err  error
}

// ask returns what the probe finds, or an error when that takes too long.
func (p *prober) ask(ctx context.Context, probe func(context.Context) error, patience time.Duration) error {
	current := p.join(ctx, probe)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-current.done:
		return current.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return ErrProbeTimeout
	}
}

// join begins a probe unless one is under way. It outlives the request that began it, because others wait for it, too.
func (p *prober) join(ctx context.Context, probe func(context.Context) error) *probing {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return p.running
	}
	current := &probing{done: make(chan struct{})}
	p.running = current
	go func() {
		defer close(current.done)
		current.err = probe(context.WithoutCancel(ctx))
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running = nil
	}()
	return current
}
