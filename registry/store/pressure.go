package store

import (
	"context"
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
	// want is the most that anybody waits for.
	want int64
	// ended is when the last round did, and next when another one may begin: collecting all the time would take the machine
	// from others.
	ended, next time.Time
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
		p.round, p.want = make(chan struct{}), 0
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
	p.want = max(p.want, n, 1)
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

// begin begins a round, which needs to make room for so many bytes. The function that it returns ends it.
func (p *pressure) begin() (want int64, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	round, begun := p.round, time.Now()
	want, p.want, p.round = p.want, 0, make(chan struct{})
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
	return p.want > 0
}

// rested tells whether the last round is so long ago.
func (p *pressure) rested(since time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.ended) >= since
}

// pause returns when the next round may begin.
func (p *pressure) pause(ctx context.Context) {
	p.mu.Lock()
	timer := time.NewTimer(time.Until(p.next))
	p.mu.Unlock()
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// take makes room for n more bytes of an upload, of which there are so many already. What was taken is given back by the caller.
func (s *Store) take(repository string, had, n int64) error {
	if err := s.staging.reserve(n); err != nil {
		return err
	}
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
		s.refusals.add(repository, had+n, full)
		return full
	}
	if s.room.crossed() {
		s.pressure.poke()
	}
	return nil
}

// full makes the error of a disk that is full one that says what to do, and remembers who was refused.
func (r *Repository) full(need int64, err error) error {
	if !noRoom(err) {
		return err
	}
	known := &StorageFullError{}
	if !errors.As(err, &known) {
		known = &StorageFullError{Err: err}
	}
	r.store.refusals.add(r.name, need, known)
	r.store.pressure.request(need)
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
	r.store.refusals.add(r.name, int64(size), full)
	return full
}
