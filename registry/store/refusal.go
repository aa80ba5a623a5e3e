package store

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxRefused is how many repositories are remembered to be told when there is room. Others have to try again by themselves.
	maxRefused = 10_000
	// offerLasts is how long room is not offered to others after it was offered.
	offerLasts = 30 * time.Second
	// offerAgain is how long a repository waits for its next offer when one has ended in a refusal: what it lacks is something
	// that nobody sees who asks how much is free. It doubles each time, up to offerRarely.
	offerAgain  = 5 * time.Second
	offerRarely = 10 * time.Minute
	// refusedFor is how long a refusal is remembered of somebody who does not try again by himself. It is longer than anybody
	// waits between two tries.
	refusedFor = time.Hour
)

// refusals are the repositories that found no room, each told once until there is some.
type refusals struct {
	notify func(Notice)
	now    func() time.Time
	// most is how much the store may hold; zero is no limit.
	most int64

	mu  sync.Mutex
	all map[string]refusal
	// size is len(all), so that who was served need not lock to see that nobody was refused.
	size  atomic.Int64
	total atomic.Int64
}

// demand is what somebody asked for who was refused.
type demand struct {
	bytes int64
	// exact is set when the bytes are all that come, else they may be the beginning of more.
	exact bool
}

// refusal is what a repository was refused. Once it was told that there is room, it is remembered in case that it is refused
// again.
type refusal struct {
	need    int64
	detail  string
	offered bool
	// at is when it was refused or offered last. After an offer in vain the next one is not made before the time after, and
	// delay is how long that was.
	at, after time.Time
	delay     time.Duration
}

// Refused tells whether content of the repository was refused because there is no room, and why. It ends when there is room,
// when a push succeeded, with Settle, or when nobody has tried for an hour; a store that was just opened has refused nobody.
func (s *Store) Refused(repository string) (detail string, refused bool) {
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	r, found := s.refusals.all[repository]
	return r.detail, found && !r.offered
}

// Settle says that whoever writes to the repository has what he wants there: what was refused is not wanted any more.
func (s *Store) Settle(repository string) { s.refusals.served(repository) }

// add remembers that a repository found no room.
func (r *refusals) add(repository string, d demand, why error) {
	r.total.Add(1)
	r.mu.Lock()
	was, known := r.all[repository]
	if len(r.all) >= maxRefused {
		maps.DeleteFunc(r.all, func(_ string, r refusal) bool { return r.offered })
	}
	if !known && len(r.all) >= maxRefused {
		r.mu.Unlock()
		return
	}
	next := refusal{need: max(d.bytes, 1), detail: why.Error(), at: r.now(), after: was.after, delay: was.delay}
	tell := !known || was.offered
	switch {
	case !tell:
		next.detail = was.detail
	case known:
		next.delay = min(max(offerAgain, 2*was.delay), offerRarely)
		next.after = next.at.Add(next.delay)
		if !d.exact {
			next.need = max(next.need, r.grown(was.need))
		}
	}
	r.all[repository] = next
	r.size.Store(int64(len(r.all)))
	r.mu.Unlock()
	if tell {
		r.notify(Notice{Kind: Refused, Repository: repository, Detail: next.detail})
	}
}

// grown is what is needed by somebody for whom an offer was too little. Those who are refused in the middle of their uploads
// would be told to try again together, and be refused together, for ever. What is nearly all that there is helps nobody.
func (r *refusals) grown(need int64) int64 {
	grown := need + need/2 + 1
	if r.most > 0 {
		grown = min(grown, max(need, r.most/2))
	}
	return min(grown, 1<<60)
}

// served ends the refusal of a repository whose push succeeded.
func (r *refusals) served(repository string) {
	if r.size.Load() == 0 {
		return
	}
	r.mu.Lock()
	was, known := r.all[repository]
	delete(r.all, repository)
	r.size.Store(int64(len(r.all)))
	r.mu.Unlock()
	if known && !was.offered {
		r.notify(Notice{Kind: Room, Repository: repository})
	}
}

// offer ends the refusals for which there is room together, and those that nobody minds any more.
func (r *refusals) offer(room func() int64) {
	if r.size.Load() == 0 {
		return
	}
	left, now := room(), r.now()
	var told []string
	r.mu.Lock()
	for repository, was := range r.all {
		switch {
		case now.Sub(was.at) >= refusedFor:
			delete(r.all, repository)
			if !was.offered {
				told = append(told, repository)
			}
		case was.offered && now.Sub(was.at) < offerLasts:
			left -= was.need
		}
	}
	for repository, was := range r.all {
		if was.offered || was.need > left || now.Before(was.after) {
			continue
		}
		left -= was.need
		was.offered, was.at = true, now
		r.all[repository] = was
		told = append(told, repository)
	}
	r.size.Store(int64(len(r.all)))
	r.mu.Unlock()
	for _, repository := range told {
		r.notify(Notice{Kind: Room, Repository: repository})
	}
}
