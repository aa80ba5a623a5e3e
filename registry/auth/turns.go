package auth

import (
	"context"
	"net/netip"
	"sync"
)

// turnsEach is how many questions may be on their way for one address. Others of the same address wait for their turn; those
// of other addresses don't.
const turnsEach = maxReviews / 2

// turns bounds the questions of each address.
type turns struct {
	mu sync.Mutex
	// busy has the addresses that ask or wait.
	busy map[netip.Prefix]*turn
}

type turn struct {
	slots chan struct{}
	// users are those who ask or wait; without any the address is forgotten.
	users int
}

// take waits for a turn, and returns what ends it.
func (t *turns) take(ctx context.Context, address netip.Prefix) (done func(), err error) {
	t.mu.Lock()
	if t.busy == nil {
		t.busy = map[netip.Prefix]*turn{}
	}
	mine := t.busy[address]
	if mine == nil {
		mine = &turn{slots: make(chan struct{}, turnsEach)}
		t.busy[address] = mine
	}
	mine.users++
	t.mu.Unlock()
	select {
	case mine.slots <- struct{}{}:
		return func() {
			<-mine.slots
			t.leave(address, mine)
		}, nil
	case <-ctx.Done():
		t.leave(address, mine)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(address netip.Prefix, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.busy, address)
	}
}
