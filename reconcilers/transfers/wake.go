package transfers

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// wakers have the owners that are to be woken, by their kind.
type wakers struct {
	mu    sync.Mutex
	kinds map[string]*waker
}

// waker has those of one kind. Who is there already is not added again, so that there are never more than there are jobs.
type waker struct {
	mu      sync.Mutex
	pending map[types.NamespacedName]bool
	// signal has room for one: that somebody is pending.
	signal chan struct{}
}

func newWakers() *wakers { return &wakers{kinds: map[string]*waker{}} }

func (w *wakers) of(kind string) *waker {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kinds[kind] == nil {
		w.kinds[kind] = &waker{pending: map[types.NamespacedName]bool{}, signal: make(chan struct{}, 1)}
	}
	return w.kinds[kind]
}

// wake never waits.
func (w *wakers) wake(owner Owner) {
	k := w.of(owner.Kind)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pending[owner.NamespacedName] = true
	select {
	case k.signal <- struct{}{}:
	default:
	}
}

// take returns those who are pending.
func (k *waker) take() map[types.NamespacedName]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	taken := k.pending
	k.pending = map[types.NamespacedName]bool{}
	return taken
}

// Source wakes the owners of a kind: when a job of theirs has ended, and while it runs every 10 seconds if it has come further.
func (p *Pool) Source(kind string) source.Source {
	k := p.wakers.of(kind)
	p.metrics.prepare(kind)
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-k.signal:
				}
				for name := range k.take() {
					queue.Add(reconcile.Request{NamespacedName: name})
				}
			}
		}()
		return nil
	})
}
