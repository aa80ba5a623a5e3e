package secrets

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Dependents handles the events of the objects of a kind, which refer to Secrets and ServiceAccounts among others: they are woken when a Secret
// changes to which they refer, or with which such a ServiceAccount pulls. Nothing is woken by the events themselves.
func (l *Lookout) Dependents(kind string, refs func(client.Object) []source.Ref) handler.EventHandler {
	return l.handler(kind, refs, false)
}

// Keepers is the same for objects that write the Secrets themselves: only somebody who takes them away or changes them is of concern to them.
func (l *Lookout) Keepers(kind string, refs func(client.Object) []source.Ref) handler.EventHandler {
	return l.handler(kind, refs, true)
}

func (l *Lookout) handler(kind string, refs func(client.Object) []source.Ref, keep bool) handler.EventHandler {
	if l == nil {
		return handler.Funcs{}
	}
	return &tracker{book: l.book, kind: kind, refs: refs, keep: keep}
}

// tracker enters the objects of a kind.
type tracker struct {
	book *book
	kind string
	refs func(client.Object) []source.Ref
	keep bool
}

func (t *tracker) enter(obj client.Object, to queue) {
	t.book.enter(object{t.kind, client.ObjectKeyFromObject(obj)}, t.refs(obj), t.keep, to)
}

// Create implements handler.EventHandler.
func (t *tracker) Create(_ context.Context, e event.CreateEvent, to queue) { t.enter(e.Object, to) }

// Update implements handler.EventHandler.
func (t *tracker) Update(_ context.Context, e event.UpdateEvent, to queue) { t.enter(e.ObjectNew, to) }

// Delete implements handler.EventHandler.
func (t *tracker) Delete(_ context.Context, e event.DeleteEvent, _ queue) {
	t.book.remove(object{t.kind, client.ObjectKeyFromObject(e.Object)})
}

// Generic implements handler.EventHandler.
func (*tracker) Generic(context.Context, event.GenericEvent, queue) {}
