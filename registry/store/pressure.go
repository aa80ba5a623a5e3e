package store

import (
	"errors"
	"sync"
	"time"
)

// patience is how long a write waits for others to make room.
const patience = 10 * time.Second

// pressure brings those who need room and the collector together.
type pressure struct {
	// wake has room for one signal to the collector.
	wake chan struct{}

	mu sync.Mutex
	// collectors is how many run. Without one nobody waits.
	collectors int
	// round is closed at the end of the next round that has not begun yet.
	round chan struct{}
	// wants is what those need who wait.
	wants wants
	// ended is when the last round did, and next when another one may begin: collecting all the time would take the machine
	// from others.
	ended, next time.Time
}

// wants are the most and the least that anybody waits for; zeros when nobody does.
type wants struct{ most, least int64 }

func (w *wants) add(n int64) {
	if w.most == 0 {
		w.least = n
	}
	w.most, w.least = max(w.most, n), min(w.least, n)
}

func newPressure() *pressure {
	return &pressure{wake: make(chan struct{}, 1), round: make(chan struct{})}
}

func (p *pressure) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *pressure) attach(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.collectors += by; p.collectors == 0 {
		close(p.round)
		p.round, p.wants = make(chan struct{}), wants{}
	}
}

// request has a round begin for somebody who needs n bytes, and returns what is closed at its end; nil when that is too far away
// to wait for.
func (p *pressure) request(n int64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.collectors == 0 || time.Until(p.next) > patience {
		return nil
	}
	p.wants.add(max(n, 1))
	p.poke()
	return p.round
}

// ask is request, and waits.
func (p *pressure) ask(n int64) {
	round := p.request(n)
	if round == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-round:
	case <-timer.C:
	}
}

// begin begins a round, which needs to make room for so much. The function that it returns ends it.
func (p *pressure) begin() (want wants, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	round, begun := p.round, time.Now()
	want, p.wants, p.round = p.wants, wants{}, make(chan struct{})
	return want, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.ended = time.Now()
		p.next = p.ended.Add(10 * p.ended.Sub(begun))
		close(round)
	}
}

// waited tells whether anybody waits for a round.
func (p *pressure) waited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wants.most > 0
}

// rested tells whether the last round is so long ago.
func (p *pressure) rested(since time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.ended) >= since
}

// pause is how long the next round has to wait.
func (p *pressure) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(0, time.Until(p.next))
}

// take makes room for n more bytes of an upload, of which there are so many already; they are exactly what comes, or maybe the
// beginning of more. What was taken is given back by the caller.
func (s *Store) take(repository string, had, n int64, exact bool) error {
	if err := s.staging.reserve(n); err != nil {
		return err
	}
	s.awaitCount()
	full := s.room.lacks(n)
	if full != nil && (s.room.max <= 0 || had+n <= s.room.max) {
		// What waits takes no room from those who are asked to make some.
		s.staging.bytes.Add(-n)
		s.pressure.ask(n)
		if err := s.staging.reserve(n); err != nil {
			return err
		}
		full = s.room.lacks(n)
	}
	if full != nil {
		s.staging.bytes.Add(-n)
		s.refusals.add(repository, demand{bytes: had + n, exact: exact}, full)
		return full
	}
	if s.room.crossed() {
		s.pressure.poke()
	}
	return nil
}

// awaitCount waits until it is known how much there is, if anybody has set a limit to that.
func (s *Store) awaitCount() {
	if s.room.max <= 0 || s.blobs.sure() {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.blobs.ready:
	case <-s.losses.ctx.Done():
	case <-timer.C:
	}
}

// full makes the error of a disk that is full one that says what to do, and remembers who was refused.
func (r *Repository) full(need int64, err error) error {
	if !noRoom(err) {
		return err
	}
	known := &StorageFullError{}
	if !errors.As(err, &known) {
		known = &StorageFullError{Err: plain(err)}
	}
	r.store.refusals.add(r.name, demand{bytes: need}, known)
	// A disk that says it has room lacks something that no collection is known to give: places for files, or a quota of the user.
	if r.store.room.left() < max(need, 1) {
		r.store.pressure.request(need)
	}
	return known
}

// admit tells whether the index has room for another manifest of the repository.
func (r *Repository) admit(size int) error {
	full := r.store.room.lacksIndex()
	if full == nil {
		return nil
	}
	r.store.pressure.ask(int64(size))
	if full = r.store.room.lacksIndex(); full == nil {
		return nil
	}
	r.store.refusals.add(r.name, demand{bytes: int64(size)}, full)
	return full
}
