package access

import (
	"context"
	"sync"
)

// slots bound how many contents are read at once, for each namespace and host on its own: who reads from a slow registry keeps nobody
// else waiting. How many there are in all is bounded by how much verifies at once.
type slots struct {
	each int
	mu   sync.Mutex
	all  map[slotKey]*slot
}

type slotKey struct{ namespace, host string }

// slot is what the contents of one key share. It is not kept when nobody reads.
type slot struct {
	taken chan struct{}
	users int // those who read, and those who wait
}

func newSlots(each int) *slots { return &slots{each: each, all: map[slotKey]*slot{}} }

// take waits until there is a slot, and returns what gives it back. The error is the cause of the context's end.
func (s *slots) take(ctx context.Context, namespace, host string) (release func(), err error) {
	key := slotKey{namespace, host}
	one := s.enter(key)
	select {
	case one.taken <- struct{}{}:
		return func() {
			<-one.taken
			s.leave(key, one)
		}, nil
	case <-ctx.Done():
		s.leave(key, one)
		return nil, context.Cause(ctx)
	}
}

func (s *slots) enter(key slotKey) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[key]
	if !ok {
		one = &slot{taken: make(chan struct{}, s.each)}
		s.all[key] = one
	}
	one.users++
	return one
}

func (s *slots) leave(key slotKey, one *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(s.all, key)
	}
}
