package subscription

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
)

// memory is what is remembered of an object between its reconciliations, of which there is one at a time. Nothing in it is needed to
// go on: without it, what was copied is found at the destination.
type memory struct {
	uid        types.UID
	generation int64
	// attempt is the replication, verification or check that goes on, or nil.
	attempt *attempt
	// attemptFor is the generation of the object that it is for.
	attemptFor int64
	round
	held

	// told are the failures of versions that the status has told of, and conflicts those that are known to stand as long as both sides
	// are what they were.
	told      map[string]string
	conflicts map[string]conflict
	// turn is where looking at the versions goes on that are not looked at every time.
	turn int
	// unproven is since when the version in use is not proven by the keys of now, while the object is ready.
	unproven time.Time
	// shown is what the status says of the progress, since then.
	shown      v1alpha1.ReplicationProgress
	shownText  string
	shownSince time.Time
}

// round is what is remembered until there is a verdict about the object. Every candidate is tried once before that.
type round struct {
	// failed are the verdicts about the candidates whose replication has failed.
	failed map[string]error
	// broken is the candidate whose replication a side has failed, rather than the version: the others would fail, too.
	broken string
	// found are the candidates that were found at the source, without a digest where there is none.
	found map[string]candidate
	// brought are the candidates that were brought to where they are wanted, and repaired those that were copied once more.
	brought, repaired map[string]bool
	// outcomes are those of the verifications that were made in the pool, and of the checks, by the keys of their jobs.
	outcomes map[string]outcome
	// slow is set when checks have taken long.
	slow bool
	// listing is what the source has.
	listing listing
	// matching are the versions that the spec wants.
	matching []string
}

// listing are the versions that a source has.
type listing struct {
	// of names the source and the component, and at is when it was asked.
	of       string
	at       time.Time
	versions []string
}

// conflict is a version that was not copied because the destination has another content of it, or of what it refers to.
type conflict struct {
	// wish is what it was to be replicated for, and found is what both sides had.
	wish  string
	found *transfer.ConflictError
	err   error
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

// conclude remembers the outcome of a verification or a check.
func (m *memory) conclude(key string, came outcome) {
	if m.outcomes == nil {
		m.outcomes = map[string]outcome{}
	}
	m.outcomes[key] = came
}

// repair remembers that a candidate was copied once more.
func (m *memory) repair(done candidate) {
	if m.repaired == nil {
		m.repaired = map[string]bool{}
	}
	m.repaired[done.String()] = true
}

// bring remembers that a candidate is where it is wanted.
func (m *memory) bring(done candidate) {
	if m.brought == nil {
		m.brought = map[string]bool{}
	}
	m.brought[done.String()] = true
	delete(m.told, done.version)
	delete(m.conflicts, done.String())
}

// tells remembers that a failure of a version is told of, and returns false if it was before.
func (m *memory) tells(version, failure string) bool {
	if m.told[version] == failure {
		return false
	}
	if m.told == nil || len(m.told) >= maxReplicated {
		m.told = map[string]string{}
	}
	m.told[version] = failure
	return true
}

// clash remembers a conflict.
func (m *memory) clash(found candidate, known conflict) {
	if m.conflicts == nil || len(m.conflicts) >= maxReplicated {
		m.conflicts = map[string]conflict{}
	}
	m.conflicts[found.String()] = known
}

// end ends a round, and returns what has failed in it.
func (m *memory) end() map[string]error {
	failed := m.failed
	m.round, m.shownText = round{}, ""
	m.seen, m.base = nil, nil
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
		known.round, known.conflicts, known.shownText = round{}, nil, ""
	}
	return known
}

// forget drops what is remembered of an object, and returns it.
func (m memories) forget(obj client.Object) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := client.ObjectKeyFromObject(obj)
	known := m.all[key]
	delete(m.all, key)
	if known == nil {
		return &memory{}
	}
	return known
}
