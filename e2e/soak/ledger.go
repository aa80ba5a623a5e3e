package main

import (
	"encoding/gob"
	"math/rand/v2"
	"net/http"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// state is what is known about an artifact from the answers of the registry.
type state int

const (
	// attempted: no answer came for the last request. It may be there or not, but not in parts.
	attempted state = iota
	// acknowledged: it has to be there.
	acknowledged
	// deleted: the registry has answered that it is gone.
	deleted
	// released: nothing keeps it, and a collection may take it at any time.
	released
)

// artifact is what was pushed.
type artifact struct {
	repository, tag string
	// blobs are the contents by digest, and manifests the bodies in the order in which they are pushed. The main one is what
	// the artifact is known by; before it is what it names, and after it what refers to it.
	blobs     map[digest.Digest][]byte
	manifests []document
	main      int

	// use is held for reading while somebody relies on the state, and for writing while it changes.
	use   sync.RWMutex
	state state
	// hurt is the blob whose file was damaged, if any. The damage may not be served, everything else has to be there, and a push
	// repairs it.
	hurt digest.Digest
}

// document is a manifest or an index.
type document struct {
	digest    digest.Digest
	mediaType string
	body      []byte
}

func (a *artifact) root() digest.Digest { return a.manifests[a.main].digest }

// maxHistory bounds what is remembered of those that are not there any more.
const maxHistory = 300

// ledger knows every artifact that was pushed.
type ledger struct {
	mu   sync.Mutex
	live []*artifact
	// history are those that were deleted or released; the oldest are forgotten.
	history []*artifact
	// asked counts the requests for roots since the registry was started.
	asked int
}

func (l *ledger) add(a *artifact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live = append(l.live, a)
}

func (l *ledger) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.live)
}

// pick returns one that is live, and nil when there is none.
func (l *ledger) pick(random *rand.Rand) *artifact {
	return l.choose(random, func() []*artifact { return l.live })
}

// past returns one that was deleted or released.
func (l *ledger) past(random *rand.Rand) *artifact {
	return l.choose(random, func() []*artifact { return l.history })
}

func (l *ledger) choose(random *rand.Rand, from func() []*artifact) *artifact {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := from()
	if len(all) == 0 {
		return nil
	}
	return all[random.IntN(len(all))]
}

// retire moves an artifact from those that are live to those that were.
func (l *ledger) retire(a *artifact) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.live {
		if other == a {
			l.live[i] = l.live[len(l.live)-1]
			l.live = l.live[:len(l.live)-1]
			break
		}
	}
	if l.history = append(l.history, a); len(l.history) > maxHistory {
		l.history = l.history[1:]
	}
}

// revive takes an artifact back that was deleted. It returns false when somebody else has.
func (l *ledger) revive(a *artifact) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.history {
		if other == a {
			l.history = append(l.history[:i:i], l.history[i+1:]...)
			l.live = append(l.live, a)
			return true
		}
	}
	return false
}

func (l *ledger) all() []*artifact {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(append([]*artifact(nil), l.live...), l.history...)
}

func (l *ledger) restarted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = 0
}

// ServeHTTP tells the collector what has to stay: everything that is live, also what is just being pushed, because the answer
// to that may be on its way. At first it has not heard of everything, as somebody who has just been started.
func (l *ledger) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	list := rootList{Complete: l.asked > 0}
	l.asked++
	for _, a := range l.live {
		if managed(a.repository) && list.Complete {
			list.Manifests = append(list.Manifests, store.Root{Repository: a.repository, Digest: a.root()})
		}
	}
	l.mu.Unlock()
	// A connection that breaks is the collector's to tell.
	_ = gob.NewEncoder(w).Encode(list)
}
