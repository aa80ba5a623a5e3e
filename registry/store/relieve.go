package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// short tells whether more is used than that many percent, or too much for who waits for room.
func (c *collection) short(percent int64) bool {
	r := c.store.room
	return r.above(percent) || c.want.most > 0 && r.left() < c.want.most
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
	c.troubles.add(s.blobs.damaged.purge(true))
	if !c.short(s.room.low) {
		return nil
	}
	c.stats.Pressed = true
	s.leases.refresh(true)
	if err := c.manifests(ctx); err != nil {
		return err
	}
	if err := c.blobs(ctx); err != nil {
		return err
	}
	if !c.short(s.room.low) {
		return nil
	}
	spareable := c.spareable()
	if err := c.moderate(ctx, spareable); err != nil {
		return err
	}
	for _, root := range spareable {
		if !c.short(s.room.low) {
			return nil
		}
		if err := c.evict(ctx, root); err != nil {
			if over(ctx, err) {
				return err
			}
			c.troubles.add(err)
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

// moderate forgets those who wait for more than there would be without any history: it would go for nothing, and again with each
// of their tries.
func (c *collection) moderate(ctx context.Context, spareable []Root) error {
	left := c.store.room.left()
	if left >= c.want.most {
		return nil
	}
	spared, err := c.spares(ctx, spareable, c.want.most-left)
	if err != nil {
		return err
	}
	switch {
	case left+spared >= c.want.most:
	case left+spared >= c.want.least:
		c.want.most = c.want.least
	default:
		c.want = wants{}
	}
	return nil
}

// spares returns how many bytes superseded roots alone keep. It stops counting when that is enough.
func (c *collection) spares(ctx context.Context, roots []Root, enough int64) (bytes int64, err error) {
	named := map[short]int64{}
	for _, root := range roots {
		if err := context.Cause(ctx); err != nil || bytes >= enough {
			return bytes, err
		}
		err := c.store.view(func(tx *bbolt.Tx) error {
			repo, found := readRepo(tx, root.Repository)
			if !found {
				return nil
			}
			live, err := repo.reach([]digest.Digest{root.Digest})
			if err != nil {
				return err
			}
			for d := range live {
				// What two of the roots reach is named by one manifest all the same.
				if k := shorten(root.Repository + "@" + string(manifestKey(d))); named[k] == 0 {
					named[k] = 1
					bytes += alone(tx, repo, d, named)
				}
			}
			return nil
		})
		if over(ctx, err) {
			return bytes, err
		}
		c.troubles.add(err)
	}
	return bytes, nil
}

// alone returns the size of the blobs that no manifests name but those that were counted before, and this one.
func alone(tx *bbolt.Tx, repo *repo, manifest digest.Digest, named map[short]int64) (bytes int64) {
	rec, err := repo.record(manifest)
	if err != nil || rec == nil {
		return 0
	}
	for _, b := range rec.Blobs {
		k := blobKey(b.Digest)
		content := shorten(string(k))
		if named[content]++; named[content] == refs(tx, k) {
			bytes += b.Size
		}
	}
	return bytes
}

// evict removes a superseded root, with what it alone has kept.
func (c *collection) evict(ctx context.Context, root Root) error {
	c.superseded[root.Repository] = slices.DeleteFunc(c.superseded[root.Repository], func(d digest.Digest) bool { return d == root.Digest })
	before := c.stats.Manifests
	c.loose = nil
	err := c.repository(ctx, root.Repository)
	if c.stats.Manifests > before {
		c.stats.Superseded++
	}
	if err != nil {
		return err
	}
	for _, d := range c.loose {
		c.troubles.add(c.blob(d))
	}
	return nil
}
