package access

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	ctrlsource "sigs.k8s.io/controller-runtime/pkg/source"
)

// queue is where objects of a kind wait to be looked at. It holds each of them once.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// name is an object.
type name struct {
	kind string
	types.NamespacedName
}

func (u User) name() name {
	return name{u.Kind, types.NamespacedName{Namespace: u.Namespace, Name: u.Name}}
}

// wakes are the queues of the kinds that can be woken. The zero value has none.
type wakes struct {
	mu     sync.Mutex
	queues map[string][]queue
}

// wake lets objects be looked at. Nobody is woken whose kind has no queue.
func (w *wakes) wake(all ...name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range all {
		for _, queue := range w.queues[one.kind] {
			queue.Add(reconcile.Request{NamespacedName: one.NamespacedName})
		}
	}
}

// follows tells whether objects of a kind can be woken.
func (w *wakes) follows(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queues[kind]) > 0
}

// follow adds the queue of a kind until the context is over.
func (w *wakes) follow(ctx context.Context, kind string, added queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queues == nil {
		w.queues = map[string][]queue{}
	}
	w.queues[kind] = append(w.queues[kind], added)
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, known := range w.queues[kind] {
			if known == added {
				w.queues[kind] = append(w.queues[kind][:i:i], w.queues[kind][i+1:]...)
				return
			}
		}
	})
}

// Woken wakes the objects of a kind that used an answer to which there is another one now.
func (p *Provider) Woken(kind string) ctrlsource.Source {
	return ctrlsource.Func(func(ctx context.Context, added queue) error {
		p.wakes.follow(ctx, kind, added)
		return nil
	})
}
