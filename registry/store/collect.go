package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// sweepBatch is how many manifests one transaction removes, and how long their locks are held.
const sweepBatch = 64

// Root is a manifest that must stay.
type Root struct {
	// Repository is the name of the repository.
	Repository string
	// Digest is the manifest's digest.
	Digest digest.Digest
	// Superseded is set for content that is kept for the case that somebody goes back to it. It goes first when there is no
	// room for other content.
	Superseded bool
}

// RootSet is everything that must stay.
type RootSet struct {
	// Complete has to be true; a collection does not start before.
	Complete bool
	// Manifests stay, with all that they name and all that refers to them.
	Manifests []Root
	// Managed tells whether only Manifests keep the content of a repository. In every other
	// repository tags keep it too. Nil means that no repository is managed.
	Managed func(repository string) bool
}

// Roots tells the collector what must stay.
type Roots interface {
	// Roots returns the current set. A manifest that is pushed, or read, after Roots was called
	// needs no root yet: its lease keeps it.
	Roots(ctx context.Context) (RootSet, error)
}

// CollectStats tells what a collection removed.
type CollectStats struct {
	// Manifests and Blobs are the numbers of those removed.
	Manifests, Blobs int
	// Bytes is the size of the blobs removed.
	Bytes int64
	// Superseded is how many of the manifests were roots that are superseded.
	Superseded int
	// Pressed is whether more than usual was given up, as there was too little room.
	Pressed bool
}

// Collect removes the manifests that no root, tag or lease keeps, and the blobs that no
// manifest and no lease keeps. Everything else goes on meanwhile. It refuses with ErrRootsIncomplete
// to start before the roots are known. When there is little room, more goes: see relieve.
// What can't be looked at or removed is left, and told in the end.
func (s *Store) Collect(ctx context.Context, roots Roots) (CollectStats, error) {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	want, end := s.pressure.begin()
	defer end()
	defer s.leases.during()()
	set, err := roots.Roots(ctx)
	if err != nil {
		return CollectStats{}, fmt.Errorf("find out what has to stay in the registry: %w", err)
	}
	if !set.Complete {
		return CollectStats{}, ErrRootsIncomplete
	}
	c := collection{store: s, set: set, want: want, current: map[string][]digest.Digest{}, superseded: map[string][]digest.Digest{}}
	for _, root := range set.Manifests {
		kept := c.current
		if root.Superseded {
			kept = c.superseded
		}
		kept[root.Repository] = append(kept[root.Repository], root.Digest)
	}
	s.reads.spare(set.Manifests)
	s.leases.refresh(false)
	pressed := c.short(s.room.high)
	err = c.manifests(ctx)
	if err == nil {
		err = c.blobs(ctx)
	}
	if err == nil && pressed {
		err = c.relieve(ctx)
	}
	c.troubles.add(err)
	return c.stats, c.troubles.err()
}

type collection struct {
	store *Store
	set   RootSet
	// want is what those wait for who have found no room.
	want wants
	// current roots stay; superseded ones until there is no room for other content.
	current, superseded map[string][]digest.Digest
	// loose are the blobs of the manifests that were removed since there was found to be too little room.
	loose []digest.Digest
	stats CollectStats
	// troubles are what did not keep the collection from going on.
	troubles troubles
}

// manifests sweeps all repositories. An error is one that ends the collection.
func (c *collection) manifests(ctx context.Context) error {
	for last, more := "", true; more; {
		var names []string
		var err error
		if names, more, err = c.store.Repositories(ctx, last, 1000); err != nil {
			return err
		}
		for _, name := range names {
			if err := c.repository(ctx, name); err != nil {
				err = fmt.Errorf("collect repository %s: %w", name, err)
				if over(ctx, err) {
					return err
				}
				c.troubles.add(err)
			}
			last = name
		}
	}
	return nil
}

// repository sweeps one repository. A manifest that another dead one names goes in a later
// round than that one, so that no index ever names what is gone.
func (c *collection) repository(ctx context.Context, name string) error {
	dead, err := c.mark(name)
	for err == nil && len(dead) > 0 {
		var kept []digest.Digest
		for batch := range slices.Chunk(dead, sweepBatch) {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			left, err := c.sweep(name, batch)
			if err != nil {
				return err
			}
			kept = append(kept, left...)
		}
		if len(kept) == len(dead) {
			return nil
		}
		dead = kept
	}
	return err
}

func (c *collection) managed(name string) bool { return c.set.Managed != nil && c.set.Managed(name) }

// mark returns the manifests that nothing keeps.
func (c *collection) mark(name string) (dead []digest.Digest, err error) {
	err = c.store.view(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, name)
		if !found {
			return nil
		}
		todo := slices.Concat(c.current[name], c.superseded[name])
		err := repo.eachManifest(func(d digest.Digest) error {
			if c.store.leases.leasedBy(name, manifestKey(d)) {
				todo = append(todo, d)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !c.managed(name) {
			err := repo.eachTag(func(_ string, target digest.Digest) error {
				todo = append(todo, target)
				return nil
			})
			if err != nil {
				return err
			}
		}
		live, err := repo.reach(todo)
		if err != nil {
			return err
		}
		return repo.eachManifest(func(d digest.Digest) error {
			if !live[d] {
				dead = append(dead, d)
			}
			return nil
		})
	})
	return dead, err
}

// reach follows children and referrers from the manifests given.
func (r *repo) reach(todo []digest.Digest) (map[digest.Digest]bool, error) {
	live := map[digest.Digest]bool{}
	for len(todo) > 0 {
		d := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if live[d] {
			continue
		}
		rec, err := r.record(d)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			continue
		}
		live[d] = true
		todo = append(todo, rec.Children...)
		err = r.eachReferrer(d, func(d digest.Digest) error {
			todo = append(todo, d)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return live, nil
}

// sweep removes a batch of manifests, and returns those that somebody wants after all. Their
// locks are held over the transaction: a client that is told that a manifest is there keeps it.
func (c *collection) sweep(name string, batch []digest.Digest) (kept []digest.Digest, err error) {
	slices.Sort(batch)
	unlocks := make([]func(), len(batch))
	for i, d := range batch {
		unlocks[i] = c.store.locks.lock(manifestKey(d))
	}
	defer func() {
		for _, unlock := range unlocks {
			unlock()
		}
	}()
	err = c.store.update(func(tx *bbolt.Tx) error {
		kept = nil
		repo, found := readRepo(tx, name)
		if !found {
			return nil
		}
		for _, d := range batch {
			removed, err := c.remove(repo, d)
			if err != nil {
				return err
			}
			if !removed {
				kept = append(kept, d)
			}
		}
		return repo.dropIfEmpty()
	})
	if err == nil {
		c.stats.Manifests += len(batch) - len(kept)
	}
	return kept, err
}

func (c *collection) remove(repo *repo, d digest.Digest) (bool, error) {
	k := manifestKey(d)
	if c.store.leases.leasedBy(repo.name, k) || repo.linked(k) {
		return false, nil
	}
	if !c.managed(repo.name) && repo.tagged(d) {
		return false, nil
	}
	rec, err := repo.record(d)
	if err != nil || rec == nil {
		return err == nil, err
	}
	if err := repo.untag(d); err != nil {
		return false, err
	}
	if c.stats.Pressed {
		for _, b := range rec.Blobs {
			c.loose = append(c.loose, b.Digest)
		}
	}
	return true, repo.remove(d, rec)
}

// blobs removes the files that nothing refers to. The walk also finds what a crash left behind.
func (c *collection) blobs(ctx context.Context) error {
	err := c.store.blobs.walk(ctx, func(d digest.Digest) { c.troubles.add(c.blob(d)) })
	if over(ctx, err) {
		return err
	}
	c.troubles.add(err)
	return nil
}

func (c *collection) blob(d digest.Digest) error {
	s, k := c.store, blobKey(d)
	used, err := s.referenced(k)
	if err != nil || used {
		return err
	}
	// Only now that it looks unused is it worth a lock, and a second look under it.
	defer s.locks.lock(k)()
	if s.leases.leased(k) {
		return nil
	}
	if used, err = s.referenced(k); err != nil || used {
		return err
	}
	size, err := s.blobs.remove(d)
	if errors.Is(err, ErrBlobNotFound) {
		return nil
	}
	if err == nil {
		c.stats.Blobs++
		c.stats.Bytes += size
	}
	return err
}

func (s *Store) referenced(k key) (used bool, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		used = refs(tx, k) > 0
		return nil
	})
	return used, err
}
