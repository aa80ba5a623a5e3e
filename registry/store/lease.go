package store

import (
	"crypto/sha256"
	"encoding/binary"
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

// leases remember what pushers count on although nothing in the index refers to it yet. A large store has a claim for each
// manifest and blob that was asked for within the hour, so they are small: names are known by their hashes only, which nobody
// can make collide.
type leases struct {
	ttl time.Duration
	// grace is how long claims count under pressure after they were renewed.
	grace time.Duration
	now   func() time.Time

	mu sync.Mutex
	// until is when claims end, in nanoseconds since 1970, and claims how many there are on a piece of content, ended ones among
	// them.
	until  map[claim]int64
	claims map[short]int32
	// pins have no end; each lasts as long as one call.
	pins    map[key]int
	pruneAt int
	// since is when the collection that runs began, zero while none does.
	since int64
	// pushes are the repositories that are being written to.
	pushes map[short]activity
}

// short stands for the name of a repository or for a piece of content.
type short [16]byte

func shorten(name string) short {
	sum := sha256.Sum256([]byte(name))
	return short(sum[:])
}

// claim is that of a repository on a piece of content.
type claim struct{ repository, content short }

func claimOf(repository string, k key) claim { return claim{shorten(repository), shorten(string(k))} }

// activity is the time in which somebody writes to a repository without a pause. What was pushed meanwhile may be part of
// something that takes long.
type activity struct{ since, last time.Time }

// fewClaims are not worth looking for those that have ended.
const fewClaims = 1024

func newLeases(ttl, grace time.Duration, now func() time.Time) *leases {
	return &leases{
		ttl: ttl, grace: min(ttl, grace), now: now, pruneAt: fewClaims,
		until: map[claim]int64{}, claims: map[short]int32{}, pins: map[key]int{}, pushes: map[short]activity{},
	}
}

// renew gives a repository's claim its full time again.
func (l *leases) renew(repository string, k key) {
	c := claimOf(repository, k)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.set(c, l.now().Add(l.ttl).UnixNano())
	if len(l.until) > l.pruneAt {
		l.prune(l.lasts)
		l.pruneAt = max(fewClaims, 2*len(l.until))
	}
}

func (l *leases) set(c claim, until int64) {
	if _, known := l.until[c]; !known {
		l.claims[c.content]++
	}
	l.until[c] = until
}

func (l *leases) remove(c claim) {
	if _, known := l.until[c]; !known {
		return
	}
	delete(l.until, c)
	if l.claims[c.content]--; l.claims[c.content] == 0 {
		delete(l.claims, c.content)
	}
}

// prune forgets the claims that do not count.
func (l *leases) prune(counts func(c claim, until, now int64) bool) {
	now := l.now().UnixNano()
	for c, until := range l.until {
		if !counts(c, until, now) {
			l.remove(c)
		}
	}
	maps.DeleteFunc(l.pushes, func(_ short, a activity) bool { return now-a.last.UnixNano() > int64(l.grace) })
}

// during keeps the claims that have not ended, and those that are made, until the function that it returns is called.
// A collection knows the roots of its begin only, however long it takes: what was pushed since may be one.
func (l *leases) during() (end func()) {
	set := func(since int64) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.since = since
	}
	set(l.now().UnixNano())
	return func() { set(0) }
}

func (l *leases) lasts(_ claim, until, now int64) bool {
	if l.since != 0 {
		now = min(now, l.since)
	}
	return now < until
}

// urgent tells whether a claim counts under pressure: content that was pushed or asked for just now, or that belongs to a push
// that still goes on.
func (l *leases) urgent(c claim, until, now int64) bool {
	renewed := until - int64(l.ttl)
	if l.since != 0 && renewed >= l.since {
		return true
	}
	if now >= until || now-renewed < int64(l.grace) {
		return now < until
	}
	a, found := l.pushes[c.repository]
	return found && now-a.last.UnixNano() < int64(l.grace) && renewed > a.since.UnixNano()-int64(l.grace)
}

// refresh forgets claims that have ended, so that leased is exact; under pressure also those that do not count then.
func (l *leases) refresh(pressed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pressed {
		l.prune(l.urgent)
		return
	}
	l.prune(l.lasts)
}

// leased tells whether anybody has a claim on the content, or had one at the last refresh.
func (l *leases) leased(k key) bool {
	content := shorten(string(k))
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pins[k] > 0 || l.claims[content] > 0
}

// leasedBy tells whether that repository has a claim on the content.
func (l *leases) leasedBy(repository string, k key) bool {
	c := claimOf(repository, k)
	l.mu.Lock()
	defer l.mu.Unlock()
	until, found := l.until[c]
	return found && l.lasts(c, until, l.now().UnixNano())
}

func (l *leases) drop(repository string, k key) {
	c := claimOf(repository, k)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(c)
}

// pin holds content until the function that it returns is called.
func (l *leases) pin(k key) (unpin func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pins[k]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.pins[k]--; l.pins[k] == 0 {
			delete(l.pins, k)
		}
	}
}

// writing says that somebody writes to a repository. It is said again and again while that goes on.
func (l *leases) writing(repository string, now time.Time) {
	name := shorten(repository)
	l.mu.Lock()
	defer l.mu.Unlock()
	a, found := l.pushes[name]
	if !found || now.Sub(a.last) > l.grace {
		a.since = now
	}
	a.last = now
	l.pushes[name] = a
}

// leasesVersion begins what save returns.
const leasesVersion = 2

// claimBytes is the length of a claim that is saved.
const claimBytes = 2*len(short{}) + 8

// save and load carry claims over a restart that was asked for.
func (l *leases) save() []byte {
	l.refresh(false)
	l.mu.Lock()
	defer l.mu.Unlock()
	saved := make([]byte, 1, 1+len(l.until)*claimBytes)
	saved[0] = leasesVersion
	for c, until := range l.until {
		saved = append(saved, c.repository[:]...)
		saved = append(saved, c.content[:]...)
		saved = binary.BigEndian.AppendUint64(saved, uint64(until)) //nolint:gosec // it is read back the same way
	}
	return saved
}

// load takes what save has returned. What an older version has saved is left out: the clients that count on it push again.
func (l *leases) load(saved []byte) {
	if len(saved) == 0 || saved[0] != leasesVersion {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	longest := l.now().Add(l.ttl).UnixNano()
	for rest := saved[1:]; len(rest) >= claimBytes; rest = rest[claimBytes:] {
		n := len(short{})
		until := int64(binary.BigEndian.Uint64(rest[2*n:])) //nolint:gosec // as it was written
		l.set(claim{short(rest[:n]), short(rest[n : 2*n])}, min(until, longest))
	}
	l.pruneAt = max(fewClaims, 2*len(l.until))
}
