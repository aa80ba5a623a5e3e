package store

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// key names one piece of content in leases, links and reference counts. A manifest and a blob may
// have one digest, and are two things.
type key string

func blobKey(d digest.Digest) key     { return key("b" + d) }
func manifestKey(d digest.Digest) key { return key("m" + d) }

func (k key) digest() digest.Digest { return digest.Digest(k[1:]) }
func (k key) isBlob() bool          { return k[0] == 'b' }

// leases remember what pushers count on although nothing in the index refers to it yet.
type leases struct {
	ttl time.Duration
	now func() time.Time

	mu      sync.Mutex
	held    map[key]*lease
	pruneAt int
}

// lease is the claim of some repositories on one piece of content. A pin has no end; it lasts as long
// as one call.
type lease struct {
	pins  int
	until map[string]time.Time
}

func newLeases(ttl time.Duration, now func() time.Time) *leases {
	return &leases{ttl: ttl, now: now, held: map[key]*lease{}, pruneAt: 1024}
}

func (l *leases) get(k key) *lease {
	entry := l.held[k]
	if entry == nil {
		entry = &lease{until: map[string]time.Time{}}
		l.held[k] = entry
	}
	return entry
}

// renew gives a repository's claim its full time again.
func (l *leases) renew(repository string, k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.get(k).until[repository] = l.now().Add(l.ttl)
	if len(l.held) > l.pruneAt {
		l.prune()
		l.pruneAt = max(1024, 2*len(l.held))
	}
}

func (l *leases) prune() {
	for k := range l.held {
		l.active(k)
	}
}

// active tells whether anybody has a claim, and forgets the claims that are over.
func (l *leases) active(k key) bool {
	entry := l.held[k]
	if entry == nil {
		return false
	}
	now := l.now()
	for repository, until := range entry.until {
		if !now.Before(until) {
			delete(entry.until, repository)
		}
	}
	if len(entry.until) == 0 && entry.pins == 0 {
		delete(l.held, k)
		return false
	}
	return true
}

// leased tells whether anybody has a claim on the content.
func (l *leases) leased(k key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.active(k)
}

// leasedBy tells whether that repository has a claim on the content.
func (l *leases) leasedBy(repository string, k key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.held[k]
	if entry == nil {
		return false
	}
	until, found := entry.until[repository]
	return found && l.now().Before(until)
}

// all returns every claim on content for which want is true.
func (l *leases) all(want func(key) bool) map[string][]key {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	claims := map[string][]key{}
	for k, entry := range l.held {
		if !want(k) {
			continue
		}
		for repository := range entry.until {
			claims[repository] = append(claims[repository], k)
		}
	}
	return claims
}

func (l *leases) drop(repository string, k key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry := l.held[k]; entry != nil {
		delete(entry.until, repository)
		l.active(k)
	}
}

// pin holds content until the function that it returns is called.
func (l *leases) pin(k key) (unpin func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.get(k).pins++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held[k].pins--
		l.active(k)
	}
}

// save and load carry claims over a restart that was asked for.
func (l *leases) save() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	claims := map[key]map[string]time.Time{}
	for k, entry := range l.held {
		claims[k] = entry.until
	}
	return json.Marshal(claims)
}

func (l *leases) load(saved []byte) error {
	claims := map[key]map[string]time.Time{}
	if err := json.Unmarshal(saved, &claims); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k, until := range claims {
		if len(k) > 1 && len(until) > 0 {
			l.held[k] = &lease{until: until}
		}
	}
	return nil
}

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
