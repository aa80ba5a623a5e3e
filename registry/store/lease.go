package store

import (
	"encoding/json"
	"maps"
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

	// grace is how long claims count under pressure after they were renewed.
	grace time.Duration

	mu      sync.Mutex
	held    map[key]*lease
	pruneAt int
	// pushes are the repositories that are being written to.
	pushes map[string]activity
}

// activity is the time in which somebody writes to a repository without a pause. What was pushed meanwhile may be part of
// something that takes long.
type activity struct{ since, last time.Time }

// lease is the claim of some repositories on one piece of content. A pin has no end; it lasts as long
// as one call.
type lease struct {
	pins  int
	until map[string]time.Time
}

func newLeases(ttl, grace time.Duration, now func() time.Time) *leases {
	return &leases{ttl: ttl, grace: min(ttl, grace), now: now, held: map[key]*lease{}, pruneAt: 1024, pushes: map[string]activity{}}
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

// writing says that somebody writes to a repository. It is said again and again while that goes on.
func (l *leases) writing(repository string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a, found := l.pushes[repository]
	if !found || now.Sub(a.last) > l.grace {
		a.since = now
	}
	a.last = now
	l.pushes[repository] = a
	if len(l.pushes) > 1024 {
		maps.DeleteFunc(l.pushes, func(_ string, a activity) bool { return now.Sub(a.last) > l.grace })
	}
}

// urgent tells whether a claim counts under pressure: content that was pushed or asked for just now, or that belongs to a push
// that still goes on. It needs the lock.
func (l *leases) urgent(repository string, until time.Time) bool {
	now, renewed := l.now(), until.Add(-l.ttl)
	if now.Sub(renewed) < l.grace {
		return true
	}
	a, found := l.pushes[repository]
	return found && now.Sub(a.last) < l.grace && renewed.After(a.since.Add(-l.grace))
}

// spare gives up the claims on a piece of content that do not count under pressure, and tells whether none is left.
func (l *leases) spare(k key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if entry := l.held[k]; entry != nil {
		maps.DeleteFunc(entry.until, func(repository string, until time.Time) bool { return !l.urgent(repository, until) })
	}
	return !l.active(k)
}

// spareBy is spare for the claim of one repository.
func (l *leases) spareBy(repository string, k key) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry := l.held[k]
	if entry == nil {
		return true
	}
	until, found := entry.until[repository]
	if found && l.now().Before(until) && l.urgent(repository, until) {
		return false
	}
	delete(entry.until, repository)
	l.active(k)
	return true
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

// all returns every claim on content for which want is true; under pressure those that count then.
func (l *leases) all(pressed bool, want func(key) bool) map[string][]key {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prune()
	claims := map[string][]key{}
	for k, entry := range l.held {
		if !want(k) {
			continue
		}
		for repository, until := range entry.until {
			if !pressed || l.urgent(repository, until) {
				claims[repository] = append(claims[repository], k)
			}
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
