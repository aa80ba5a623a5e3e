package subscription

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// memory is what is remembered of an object between its reconciliations, of which there is one at a time. Nothing in it is needed to
// go on: without it, what was copied is found at the destination.
type memory struct {
	uid        types.UID
	generation int64
	// attempt is the replication that goes on, or nil.
	attempt *attempt
	// attemptFor is the generation of the object that it is for.
	attemptFor int64
	// failed are the verdicts about the candidates whose replication has failed in this round. A round ends with a verdict about the
	// object; every candidate is tried once before that.
	failed map[string]error
	// found are the candidates that were found at the source in this round, without a digest where there is none, and repaired are
	// those that were copied to the destination once more.
	found    map[string]candidate
	repaired map[string]bool
	// proofs are the outcomes of the verifications of this round that were made in the pool.
	proofs map[string]verdict
	// turn is where looking at the versions goes on that are not looked at every time.
	turn int
	// shown is what the status says of the progress, since then.
	shown      v1alpha1.ReplicationProgress
	shownText  string
	shownFor   string
	shownSince time.Time
}

// fail remembers the verdict about a candidate.
func (m *memory) fail(found candidate, verdict error) {
	if m.failed == nil {
		m.failed = map[string]error{}
	}
	m.failed[found.String()] = verdict
}

func (m *memory) hasFailed(found candidate) bool { return m.failed[found.String()] != nil }

// find remembers what was found at the source.
func (m *memory) find(found candidate) {
	if m.found == nil {
		m.found = map[string]candidate{}
	}
	m.found[found.version] = found
}

// prove remembers the outcome of a verification.
func (m *memory) prove(key string, outcome verdict) {
	if m.proofs == nil {
		m.proofs = map[string]verdict{}
	}
	m.proofs[key] = outcome
}

// repair remembers that a candidate was copied once more.
func (m *memory) repair(done candidate) {
	if m.repaired == nil {
		m.repaired = map[string]bool{}
	}
	m.repaired[done.String()] = true
}

// end ends a round, and returns what has failed in it.
func (m *memory) end() map[string]error {
	failed := m.failed
	m.failed, m.found, m.repaired, m.proofs = nil, nil, nil, nil
	m.turn += others
	return failed
}

// memories are those of all objects.
type memories struct {
	mu  *sync.Mutex
	all map[types.NamespacedName]*memory
}

func newMemories() memories {
	return memories{mu: &sync.Mutex{}, all: map[types.NamespacedName]*memory{}}
}

// of returns the memory of an object. One of the same name that was there before is another one, and what failed for another
// generation is tried again.
func (m memories) of(obj client.Object) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(obj)
	known := m.all[key]
	if known == nil || known.uid != obj.GetUID() {
		known = &memory{uid: obj.GetUID()}
		m.all[key] = known
	}
	if known.generation != obj.GetGeneration() {
		known.generation = obj.GetGeneration()
		known.failed, known.found, known.repaired, known.proofs = nil, nil, nil, nil
	}
	return known
}

// forget drops what is remembered of an object, and tells whether a replication went on.
func (m memories) forget(obj client.Object) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(obj)
	known := m.all[key]
	delete(m.all, key)
	return known != nil && known.attempt != nil
}
