package store

import "testing"

func TestSharedLocks(t *testing.T) {
	t.Parallel()
	l := locks{held: map[key]*keyLock{}}
	first := l.share("k")
	second := l.share("k") // the first one does not keep it waiting
	entry := l.held["k"]
	first()
	if entry.mu.TryLock() {
		t.Error("somebody may change what another one shares")
	}
	second()
	if !entry.mu.TryLock() {
		t.Error("nobody may change what nobody shares")
	}
	entry.mu.Unlock()
	unlock := l.lock("k")
	if l.held["k"].mu.TryRLock() {
		t.Error("somebody may share what another one changes")
	}
	if unlock(); len(l.held) != 0 {
		t.Errorf("%d locks are kept that nobody holds", len(l.held))
	}
}
