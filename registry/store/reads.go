package store

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// maxReads bounds what is remembered of reads.
const maxReads = 1 << 16

// reads remember when manifests were read last. Who has the same hash as another one shares its luck.
type reads struct {
	seed maphash.Seed

	mu sync.Mutex
	at map[uint64]int64
	// superseded are those that it matters for: of the others, which are proven to be there again and again, only as many are
	// remembered as there is room for.
	superseded map[uint64]struct{}
}

func newReads() reads { return reads{seed: maphash.MakeSeed(), at: map[uint64]int64{}} }

func (r *reads) hash(repository string, d digest.Digest) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(repository)
	_, _ = h.WriteString("@" + string(d))
	return h.Sum64()
}

// spare tells which manifests may go first.
func (r *reads) spare(roots []Root) {
	superseded := map[uint64]struct{}{}
	for _, root := range roots {
		if root.Superseded && len(superseded) < maxReads/2 {
			superseded[r.hash(root.Repository, root.Digest)] = struct{}{}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.superseded = superseded
}

func (r *reads) note(repository string, d digest.Digest, now time.Time) {
	h := r.hash(repository, d)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at[h] = now.UnixNano(); len(r.at) > maxReads {
		r.forget()
	}
}

// forget drops the older half of those that are not superseded.
func (r *reads) forget() {
	times := make([]int64, 0, len(r.at))
	for h, at := range r.at {
		if _, matters := r.superseded[h]; !matters {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	middle := times[len(times)/2]
	for h, at := range r.at {
		if _, matters := r.superseded[h]; !matters && at <= middle {
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
