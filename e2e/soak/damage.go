package main

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
)

// minDamaged keeps blobs that artifacts have in common out of it: they are empty, or very small, or in the pool.
const minDamaged = 64

// vandalize damages a file now and then, as disks do.
func (w *world) vandalize(ctx context.Context, random *rand.Rand, every time.Duration) error {
	shared := map[digest.Digest]bool{}
	for _, content := range w.pool {
		shared[digest.FromBytes(content)] = true
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(2 * random.Float64() * float64(every))):
		}
		w.busy.RLock()
		err := w.damage(random, shared)
		w.busy.RUnlock()
		if err != nil {
			return err
		}
	}
}

// damage changes a byte in a file of an artifact, or cuts it off. It puts another file in its place, because what is just
// being sent is no damage that a registry could see.
func (w *world) damage(random *rand.Rand, shared map[digest.Digest]bool) error {
	a := w.ledger.pick(random)
	if a == nil || !a.use.TryLock() {
		return nil
	}
	defer a.use.Unlock()
	if a.state != acknowledged || a.hurt != "" {
		return nil
	}
	for d, content := range a.blobs {
		if len(content) < minDamaged || shared[d] {
			continue
		}
		path := filepath.Join(w.dir, "blobs", d.Algorithm().String(), d.Encoded()[:2], d.Encoded())
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return wrong("%s of %s was acknowledged and is not on the disk", d, a.repository)
		}
		bad := append([]byte(nil), content...)
		if at := random.IntN(len(bad)); random.IntN(2) == 0 {
			bad = bad[:at]
		} else {
			bad[at] ^= 1 << random.IntN(8)
		}
		other := filepath.Join(w.dir, "damaged")
		if err := os.WriteFile(other, bad, 0o600); err != nil {
			return err
		}
		a.hurt = d
		w.counts.damaged.Add(1)
		return os.Rename(other, path)
	}
	return nil
}
