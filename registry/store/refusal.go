package store

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// maxRefused is how many repositories are remembered to be told when there is room. Others have to try again by themselves.
const maxRefused = 10_000

// refusals are the repositories that found no room, each told once until there is some.
type refusals struct {
	notify func(Notice)

	mu  sync.Mutex
	all map[string]refusal
	// size is len(all), so that who was served need not lock to see that nobody was refused.
	size  atomic.Int64
	total atomic.Int64
}

// refusal is what a repository was refused. Once it was told that there is room, it is remembered in case that it is refused
// again.
type refusal struct {
	need    int64
	detail  string
	offered bool
	at      time.Time
}

// offerLasts is how long room is not offered to others after it was offered.
const offerLasts = 30 * time.Second

// Refused tells whether content of the repository was refused because there is no room, and why. It ends when there is room, or
// when a push succeeded; a store that was just opened has refused nobody.
func (s *Store) Refused(repository string) (detail string, refused bool) {
	s.refusals.mu.Lock()
	defer s.refusals.mu.Unlock()
	r, found := s.refusals.all[repository]
	return r.detail, found && !r.offered
}

// add remembers that a repository found no room for that many bytes, which may be the beginning of more.
func (r *refusals) add(repository string, need int64, why error) {
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
	tell := !known || was.offered
	next := refusal{need: max(need, was.need), detail: why.Error()}
	switch {
	case !tell:
		next.detail = was.detail
	case known:
		// What it was offered was too little. Those who are refused in the middle of their uploads would be told to try again
		// together, and be refused together, for ever.
		next.need = max(next.need, was.need+was.need/2)
	}
	r.all[repository] = next
	r.size.Store(int64(len(r.all)))
	r.mu.Unlock()
	if tell {
		r.notify(Notice{Kind: Refused, Repository: repository, Detail: next.detail})
	}
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

// offer ends the refusals for which there is room together.
func (r *refusals) offer(room func() int64) {
	if r.size.Load() == 0 {
		return
	}
	left, now := room(), time.Now()
	var offered []string
	r.mu.Lock()
	for _, was := range r.all {
		if was.offered && now.Sub(was.at) < offerLasts {
			left -= was.need
		}
	}
	for repository, was := range r.all {
		if was.offered || was.need > left {
			continue
		}
		left -= was.need
		was.offered, was.at = true, now
		r.all[repository] = was
		offered = append(offered, repository)
	}
	r.mu.Unlock()
	for _, repository := range offered {
		r.notify(Notice{Kind: Room, Repository: repository})
	}
}
