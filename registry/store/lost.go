package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// maxLost is how much lost content is remembered. What is beyond is missed by those who look for it, and all others hear of it
// from the next scrub.
const maxLost = 10_000

// losses are content that is not there any more although manifests name it. Their repositories are told once, until it is there
// again: who was told looks for it, which is how it was found.
type losses struct {
	ctx    context.Context //nolint:containedctx // what goes on behind the back of callers ends with the store
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu sync.Mutex
	// found have yet to be told, with what happened to them; told were.
	found map[key]string
	told  map[key]bool
	busy  bool
	// size is the number of both, so that a push need not lock to see that nothing is lost.
	size atomic.Int64

	manifests atomic.Int64
}

func newLosses() *losses {
	ctx, cancel := context.WithCancel(context.Background())
	return &losses{ctx: ctx, cancel: cancel, found: map[key]string{}, told: map[key]bool{}}
}

// lose has the repositories told that use the content. It does not wait for that, as it is called with locks held.
func (s *Store) lose(k key, detail string) {
	l := s.losses
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told[k] || l.found[k] != "" || len(l.found)+len(l.told) >= maxLost || l.ctx.Err() != nil {
		return
	}
	l.found[k] = detail
	l.size.Add(1)
	if !l.busy {
		l.busy = true
		l.work.Go(s.tellLosses)
	}
}

// recover forgets that content was lost, when it was written again.
func (l *losses) recover(k key) {
	if l.size.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.found, k)
	delete(l.told, k)
	l.size.Store(int64(len(l.found) + len(l.told)))
}

// remind lets repositories be told again of what they have not written since.
func (l *losses) remind() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.told)
	l.size.Store(int64(len(l.found)))
}

// close returns when nobody is told anything any more.
func (l *losses) close() {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.work.Wait()
}

// tellLosses goes through all repositories for everything that was found together.
func (s *Store) tellLosses() {
	l := s.losses
	for {
		l.mu.Lock()
		batch := l.found
		if l.busy = len(batch) > 0 && l.ctx.Err() == nil; !l.busy {
			l.mu.Unlock()
			return
		}
		l.found = map[key]string{}
		for k := range batch {
			l.told[k] = true
		}
		l.mu.Unlock()
		// A store that is closed, or an index that can't be read, has worse to tell.
		_ = s.tell(l.ctx, batch)
	}
}

func (s *Store) tell(ctx context.Context, lost map[key]string) error {
	for k := range lost {
		used, err := s.stillLost(k)
		if err != nil {
			return err
		}
		if !used {
			s.losses.recover(k)
			delete(lost, k)
		}
	}
	for last, more := "", len(lost) > 0; more; {
		var names []string
		var err error
		if names, more, err = s.Repositories(ctx, last, 1000); err != nil {
			return err
		}
		for _, name := range names {
			detail, err := s.loses(name, lost)
			if err != nil {
				return err
			}
			if detail != "" {
				s.notify(Notice{Kind: Lost, Repository: name, Detail: detail})
			}
			last = name
		}
	}
	return nil
}

// stillLost tells whether anything refers to the content, and whether it has not come back meanwhile.
func (s *Store) stillLost(k key) (lost bool, err error) {
	if k.isBlob() {
		_, err := s.blobs.size(k.digest())
		switch {
		case errors.Is(err, ErrBlobNotFound), s.blobs.doubts.believed(k.digest()):
			return s.referenced(k)
		case errors.Is(err, ErrUnreadable):
			return false, nil // Nobody knows yet.
		default:
			return false, err
		}
	}
	err = s.view(func(tx *bbolt.Tx) error {
		lost = refs(tx, k) > 0 && body(tx, k.digest()) == nil
		return nil
	})
	return lost, err
}

// loses returns what a repository misses of what is lost; nothing is an empty text.
func (s *Store) loses(name string, lost map[key]string) (detail string, err error) {
	n := 0
	found := func(k key) {
		if what, is := lost[k]; is {
			if n++; n == 1 {
				detail = what
			}
		}
	}
	err = s.view(func(tx *bbolt.Tx) error {
		repo, exists := readRepo(tx, name)
		if !exists {
			return nil
		}
		return repo.holds(found)
	})
	if n > 1 {
		detail = fmt.Sprintf("%s, and %d more", detail, n-1)
	}
	return detail, err
}

// holds visits everything that a repository keeps alive by itself: its manifests, and what they name.
func (r *repo) holds(visit func(key)) error {
	err := r.eachManifest(func(d digest.Digest) error {
		visit(manifestKey(d))
		return nil
	})
	if err != nil {
		return err
	}
	return r.eachLink(func(k key) error {
		if k.isBlob() {
			visit(k)
		}
		return nil
	})
}
