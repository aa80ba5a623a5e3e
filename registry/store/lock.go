package store

import "sync"

// locks is one short lock for each piece of content that somebody is busy with. Nobody waits
// for a second one while holding a first, except the collector, which takes them in order.
type locks struct {
	mu   sync.Mutex
	held map[key]*keyLock
}

type keyLock struct {
	mu    sync.Mutex
	users int
}

func (l *locks) lock(k key) (unlock func()) {
	l.mu.Lock()
	entry := l.held[k]
	if entry == nil {
		entry = &keyLock{}
		l.held[k] = entry
	}
	entry.users++
	l.mu.Unlock()
	entry.mu.Lock()
	return func() {
		entry.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if entry.users--; entry.users == 0 {
			delete(l.held, k)
		}
	}
}
