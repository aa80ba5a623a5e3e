package access

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Bounds of the answers that are kept for others who ask the same.
const (
	// answersKept is how long an answer is kept. It lets many objects of one component that are due together ask once; how
	// old an answer may be is up to who asks.
	answersKept = 5 * time.Second
	// maxAnswers and maxAnswerBytes bound what is kept meanwhile.
	maxAnswers     = 512
	maxAnswerBytes = 8 << 20
)

// VersionsSince is ListVersions for those who can share an answer: that to a question which was asked at or after the
// given time.
func (r *Repository) VersionsSince(ctx context.Context, component string, since time.Time) ([]string, error) {
	found, err := r.provider.listings.ask(ctx, r.key+" "+component, since, func(ctx context.Context) ([]string, int, error) {
		all, err := r.ListVersions(ctx, component)
		size := 0
		for _, version := range all {
			size += len(version)
		}
		return all, size, err
	})
	return slices.Clone(found), err
}

// VersionsWithin is ListVersions for those who ask at each interval: it returns an answer that is fresh enough.
func (r *Repository) VersionsWithin(ctx context.Context, component string, f Freshness) ([]string, error) {
	return r.VersionsSince(ctx, component, f.since())
}

// ResolveWithin is Resolve for those who ask at each interval.
func (r *Repository) ResolveWithin(ctx context.Context, component, version string, f Freshness) (digest.Digest, error) {
	return r.ResolveSince(ctx, component, version, f.since())
}

// ReadWithin is ReadSince for those who ask at each interval.
func (r *Repository) ReadWithin(ctx context.Context, component, version string, f Freshness) (digest.Digest, bool, error) {
	return r.ReadSince(ctx, component, version, f.since())
}

// since is what is fresh for an object that nobody wakes.
func (f Freshness) since() time.Time {
	if soon := time.Now().Add(-shortAge); f.Interval > 0 && soon.After(f.Since) {
		return soon
	}
	return f.Since
}

// tagged is what the tag of a version leads to.
type tagged struct {
	manifest digest.Digest
	// read is set if the component version was read, which proves that the tag is one's.
	read bool
}

// ResolveSince is Resolve for those who can share an answer: that to a question which was asked at or after the given time.
func (r *Repository) ResolveSince(ctx context.Context, component, version string, since time.Time) (digest.Digest, error) {
	found, err := r.provider.tags.ask(ctx, r.tagKey(component, version), since, func(ctx context.Context) (tagged, int, error) {
		manifest, err := r.Resolve(ctx, component, version)
		return tagged{manifest: manifest}, len(manifest), err
	})
	return found.manifest, err
}

// ReadSince is ResolveSince for those who will need the component version: it is read and remembered along with its digest,
// which saves a request. It tells whether that was so. A version that can't be read is nothing to be told here, as long as
// its digest is known.
func (r *Repository) ReadSince(ctx context.Context, component, version string, since time.Time) (digest.Digest, bool, error) {
	found, err := r.provider.tags.ask(ctx, r.tagKey(component, version), since, func(ctx context.Context) (tagged, int, error) {
		_, manifest, err := r.Current(ctx, component, version)
		read := err == nil
		if manifest != "" {
			err = nil
		}
		return tagged{manifest: manifest, read: read}, len(manifest), err
	})
	return found.manifest, found.read, err
}

func (r *Repository) tagKey(component, version string) string {
	return fmt.Sprintf("%s %s:%s", r.key, component, version)
}

// question is one that was asked, with its answer.
type question[V any] struct {
	key   string
	asked time.Time
	// done is closed when the rest is set.
	done   chan struct{}
	answer V
	size   int
	err    error
}

func (q *question[V]) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// answers let those who ask the same at the same moment share an answer. The zero value is empty.
type answers[V any] struct {
	mu     sync.Mutex
	latest map[string]*question[V]
	// order holds what is in latest, the oldest first, and size how large the answers are.
	order []*question[V]
	size  int
}

// ask returns the answer to a question that was asked at or after the given time, and asks it if there is none. Only
// answers that are no errors are kept.
func (a *answers[V]) ask(ctx context.Context, key string, since time.Time, ask func(context.Context) (V, int, error)) (V, error) {
	a.mu.Lock()
	q, ok := a.latest[key]
	if !ok || q.asked.Before(since) {
		q = &question[V]{key: key, asked: time.Now(), done: make(chan struct{})}
		a.add(q)
		go a.put(context.WithoutCancel(ctx), q, ask)
	}
	a.mu.Unlock()
	select {
	case <-ctx.Done():
		var none V
		return none, context.Cause(ctx)
	case <-q.done:
		return q.answer, q.err
	}
}

// put asks a question. It outlives a caller that gives up, because others may wait for the answer, and runs on a goroutine
// that nothing recovers, so a panic must not end the process.
func (a *answers[V]) put(ctx context.Context, q *question[V], ask func(context.Context) (V, int, error)) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	size := 0
	defer func() {
		if p := recover(); p != nil {
			q.err = fmt.Errorf("ask the repository: panic: %v", p)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		close(q.done)
		if q.err != nil {
			a.drop(q)
		} else if a.latest[q.key] == q {
			q.size = size
			a.size += size
			a.shrink()
		}
	}()
	q.answer, size, q.err = ask(ctx)
}

// add makes a question the latest of its key.
func (a *answers[V]) add(q *question[V]) {
	if a.latest == nil {
		a.latest = map[string]*question[V]{}
	}
	if before, ok := a.latest[q.key]; ok {
		a.drop(before)
	}
	a.latest[q.key] = q
	a.order = append(a.order, q)
	a.shrink()
}

// shrink forgets what is too old or too much, the oldest first.
func (a *answers[V]) shrink() {
	for len(a.order) > 0 {
		oldest := a.order[0]
		young := time.Since(oldest.asked) <= answersKept || !oldest.answered()
		if young && len(a.order) <= maxAnswers && a.size <= maxAnswerBytes {
			return
		}
		a.drop(oldest)
	}
}

// drop forgets a question. Who waits for its answer gets it nevertheless.
func (a *answers[V]) drop(q *question[V]) {
	if a.latest[q.key] != q {
		return
	}
	delete(a.latest, q.key)
	a.size -= q.size
	a.order = slices.DeleteFunc(a.order, func(other *question[V]) bool { return other == q })
}
