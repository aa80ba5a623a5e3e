package store

import "sync"

// locks is one short lock for each piece of content that somebody is busy with. Nobody waits
// for a second one while holding a first, except the collector, which takes them in order.
type locks struct {
	mu   sync.Mutex
	held map[key]*keyLock
}

type keyLock struct {
	mu    sync.RWMutex
	users int
}

// lock is for whoever makes, removes or replaces something.
func (l *locks) lock(k key) (unlock func()) {
	entry := l.enter(k)
	entry.mu.Lock()
	return func() {
		entry.mu.Unlock()
		l.leave(k, entry)
	}
}

// share keeps it as it is, and does not keep others from doing so too.
func (l *locks) share(k key) (unlock func()) {
	entry := l.enter(k)
	entry.mu.RLock()
	return func() {
		entry.mu.RUnlock()
		l.leave(k, entry)
	}
}

func (l *locks) enter(k key) *keyLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.held[k]
	if entry == nil {
		entry = &keyLock{}
		l.held[k] = entry
	}
	entry.users++
	return entry
}

func (l *locks) leave(k key, entry *keyLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry.users--; entry.users == 0 {
		delete(l.held, k)
	}
}
