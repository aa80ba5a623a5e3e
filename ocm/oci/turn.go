package oci

import (
	"context"
	"sync"
)

// Turn waits until nobody else who takes turns writes a tag, and returns what ends
// the turn, which must be called. Registries have no request that compares and writes
// at once: whoever looks at a tag to decide what it may lead to does so in a turn. The
// turns of one tag are taken by all clients that have a Memory and a connection in
// common, or by those who use one client. The error is the cause of the context's end.
func (r *Repository) Turn(ctx context.Context, tag string) (end func(), err error) {
	return r.turns.take(ctx, turnKey{connection: r.connection, address: r.url("manifests", tag)})
}

// turns let one at a time do something. What nobody wants is not kept.
type turns struct {
	mu  sync.Mutex
	all map[turnKey]*turn
}

type turnKey struct{ connection, address string }

// turn is what some want to do.
type turn struct {
	taken chan struct{} // holds one value while somebody does it
	users int           // who does it, and those that wait
}

func newTurns() *turns { return &turns{all: map[turnKey]*turn{}} }

func (t *turns) take(ctx context.Context, key turnKey) (func(), error) {
	one := t.enter(key)
	select {
	case one.taken <- struct{}{}:
		return sync.OnceFunc(func() {
			<-one.taken
			t.leave(key, one)
		}), nil
	case <-ctx.Done():
		t.leave(key, one)
		return nil, context.Cause(ctx)
	}
}

func (t *turns) enter(key turnKey) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.all[key]
	if !ok {
		one = &turn{taken: make(chan struct{}, 1)}
		t.all[key] = one
	}
	one.users++
	return one
}

func (t *turns) leave(key turnKey, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(t.all, key)
	}
}
