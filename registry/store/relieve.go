package store

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// short tells whether more is used than that many percent, or too much for who waits for room.
func (c *collection) short(percent int64) bool {
	r := c.store.room
	return r.above(percent) || c.want > 0 && r.left() < c.want
}

// relieve frees what can be spared until the low mark is reached, and there is room for those who wait: damaged blobs; content
// that nothing keeps and that nobody has pushed or asked for within the time of grace; superseded roots, those first that
// nobody has read for the longest time. What is current stays. Its owner would write it again at once, and something else
// would have to go for it, for ever.
func (c *collection) relieve(ctx context.Context) error {
	s := c.store
	if !c.short(s.room.low) {
		return nil
	}
	if err := s.blobs.damaged.purge(true); err != nil || !c.short(s.room.low) {
		return err
	}
	c.pressed = true
	s.leases.refresh(true)
	if err := c.manifests(ctx); err != nil {
		return err
	}
	if err := c.blobs(ctx); err != nil {
		return err
	}
	for _, root := range c.spareable() {
		if !c.short(s.room.low) {
			return nil
		}
		if err := c.evict(ctx, root); err != nil {
			return err
		}
	}
	return nil
}

// spareable returns the superseded roots in the order in which they go. Those of which nobody knows when they were read are
// the first, and then as they were given: the oldest first.
func (c *collection) spareable() []Root {
	var all []Root
	for _, root := range c.set.Manifests {
		if root.Superseded && !slices.Contains(c.current[root.Repository], root.Digest) {
			all = append(all, root)
		}
	}
	read := make(map[Root]int64, len(all))
	for _, root := range all {
		read[root] = c.store.reads.last(root.Repository, root.Digest)
	}
	slices.SortStableFunc(all, func(a, b Root) int { return cmp.Compare(read[a], read[b]) })
	return all
}

// evict removes a superseded root, with what it alone has kept.
func (c *collection) evict(ctx context.Context, root Root) error {
	c.superseded[root.Repository] = slices.DeleteFunc(c.superseded[root.Repository], func(d digest.Digest) bool { return d == root.Digest })
	before := c.stats.Manifests
	c.loose = nil
	if err := c.repository(ctx, root.Repository); err != nil {
		return err
	}
	if c.stats.Manifests > before {
		c.stats.Superseded++
	}
	for _, d := range c.loose {
		if err := c.blob(d); err != nil {
			return err
		}
	}
	return nil
}

// maxReads bounds what is remembered of reads.
const maxReads = 1 << 16

// reads remember when manifests were read last. Who has the same hash as another one shares its luck.
type reads struct {
	seed maphash.Seed

	mu sync.Mutex
	at map[uint64]int64
}

func newReads() reads { return reads{seed: maphash.MakeSeed(), at: map[uint64]int64{}} }

func (r *reads) hash(repository string, d digest.Digest) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(repository)
	_, _ = h.WriteString("@" + string(d))
	return h.Sum64()
}

func (r *reads) note(repository string, d digest.Digest, now time.Time) {
	h := r.hash(repository, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at[h] = now.UnixNano(); len(r.at) > maxReads {
		r.forget()
	}
}

// forget drops the older half.
func (r *reads) forget() {
	times := make([]int64, 0, len(r.at))
	for _, at := range r.at {
		times = append(times, at)
	}
	slices.Sort(times)
	middle := times[len(times)/2]
	for h, at := range r.at {
		if at <= middle {
			delete(r.at, h)
		}
	}
}

// last returns when a manifest was read; zero when nobody knows.
func (r *reads) last(repository string, d digest.Digest) int64 {
	h := r.hash(repository, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[h]
}
