package registryserver

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// maxNotices bounds how many notices wait for one who follows them.
const maxNotices = 16384

// Notices hand on what the store tells about repositories to all who follow. Nil Notices have nothing to tell.
type Notices struct {
	// refused tells why the store takes nothing new for a repository.
	refused func(repository string) (detail string, refused bool)

	mu        sync.Mutex
	followers map[*follower]bool
}

// follower is one who follows, with what it has not been told yet.
type follower struct {
	// wake has room for one signal: that something is pending.
	wake chan struct{}
	// pending are notices without what is for people in them, which may be gone or be other words by the time that somebody looks.
	pending map[store.Notice]bool
	order   []store.Notice
	// missed is set when there was too much to remember.
	missed bool
}

func newNotices(refused func(repository string) (string, bool)) *Notices {
	return &Notices{refused: refused, followers: map[*follower]bool{}}
}

// notify is what the store tells. It never blocks: equal notices that wait are one, and of too many all that is left is that
// something has happened to somebody.
func (n *Notices) notify(notice store.Notice) {
	notice = store.Notice{Kind: notice.Kind, Repository: notice.Repository}
	n.mu.Lock()
	defer n.mu.Unlock()
	for f := range maps.Keys(n.followers) {
		f.add(notice)
	}
}

func (f *follower) add(notice store.Notice) {
	switch {
	case f.pending[notice]:
		return
	case len(f.order) >= maxNotices:
		f.missed = true
	default:
		f.pending[notice] = true
		f.order = append(f.order, notice)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Follow calls a function with each notice from now on, in their order, until the context is over. One without a repository
// is about all: there were too many to remember.
func (n *Notices) Follow(ctx context.Context, each func(store.Notice)) {
	if n == nil {
		return
	}
	f := &follower{wake: make(chan struct{}, 1), pending: map[store.Notice]bool{}}
	n.mu.Lock()
	n.followers[f] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.followers, f)
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		for _, notice := range n.take(f) {
			each(notice)
		}
	}
}

// take returns what a follower has not been told yet.
func (n *Notices) take(f *follower) []store.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := slices.Clip(f.order)
	if f.missed {
		taken = append(taken, store.Notice{})
	}
	f.order, f.missed = nil, false
	clear(f.pending)
	return taken
}

// Full says why the store takes nothing new for a repository; it is empty while it does.
func (n *Notices) Full(repository string) string {
	if n == nil {
		return ""
	}
	detail, _ := n.refused(repository)
	return detail
}
