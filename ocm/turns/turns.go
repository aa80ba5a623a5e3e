// Package turns lets a bounded number at a time do what has one key, such as writing one tag or reading from one host.
package turns

import (
	"context"
	"sync"
)

// Turns are the turns of all keys. What nobody wants is not kept.
type Turns[K comparable] struct {
	each int
	mu   sync.Mutex
	all  map[K]*turn
}

// turn is what those share who want the same.
type turn struct {
	taken chan struct{} // holds a value for each who has a turn
	users int           // who has one, and those that wait
}

// New returns turns of which each key has as many at once, at least one.
func New[K comparable](each int) *Turns[K] {
	return &Turns[K]{each: max(1, each), all: map[K]*turn{}}
}

// Take waits for a turn, and returns what ends it, which must be called. The error is the cause of the context's end.
func (t *Turns[K]) Take(ctx context.Context, key K) (end func(), err error) {
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

// Len returns how many keys somebody wants a turn of.
func (t *Turns[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

func (t *Turns[K]) enter(key K) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	one, ok := t.all[key]
	if !ok {
		one = &turn{taken: make(chan struct{}, t.each)}
		t.all[key] = one
	}
	one.users++
	return one
}

func (t *Turns[K]) leave(key K, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(t.all, key)
	}
}
