package store

import (
	"bytes"
	"context"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// scrubBatch is how much of the index is looked at in one transaction: one that is open for long makes the index grow.
const (
	scrubBatch      = 256
	scrubBatchBytes = 1 << 20
)

type stored struct {
	digest digest.Digest
	body   []byte
}

// manifests reads the bytes of all manifests.
func (c *scrub) manifests(ctx context.Context) error {
	for last, more := "", true; more; {
		var batch []stored
		err := c.store.view(func(tx *bbolt.Tx) error {
			batch, more = bodies(tx, last)
			return context.Cause(ctx)
		})
		if err != nil {
			return err
		}
		for _, m := range batch {
			last = string(m.digest)
			if err := c.manifest(ctx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func bodies(tx *bbolt.Tx, last string) (batch []stored, more bool) {
	size := 0
	cursor := tx.Bucket(bucketBodies).Cursor()
	k, body := cursor.Seek([]byte(last))
	if last != "" && string(k) == last {
		k, body = cursor.Next()
	}
	for ; k != nil; k, body = cursor.Next() {
		if len(batch) >= scrubBatch || size >= scrubBatchBytes {
			return batch, true
		}
		size += len(body)
		batch = append(batch, stored{digest.Digest(k), bytes.Clone(body)})
	}
	return batch, false
}

func (c *scrub) manifest(ctx context.Context, m stored) error {
	for left := int64(len(m.body)); left > 0; {
		n, err := c.pace.take(ctx, left)
		if err != nil {
			return err
		}
		left -= n
	}
	c.stats.Manifests++
	c.count(int64(len(m.body)))
	d, err := ParseDigest(string(m.digest))
	if err != nil || d.Algorithm().FromBytes(m.body) == d {
		return nil // a key that is damaged is missed where it should be, by the look at what is named
	}
	defer c.store.locks.lock(manifestKey(d))()
	damaged := false
	err = c.store.view(func(tx *bbolt.Tx) error {
		body := tx.Bucket(bucketBodies).Get([]byte(d))
		damaged = body != nil && d.Algorithm().FromBytes(body) != d
		return nil
	})
	if err != nil || !damaged {
		return err
	}
	c.stats.Damaged++
	return c.store.dropBody(d)
}

// links looks whether all is there that repositories hold.
func (c *scrub) links(ctx context.Context) error {
	for last, more := "", true; more; {
		var batch []key
		err := c.store.view(func(tx *bbolt.Tx) error {
			batch, more = referred(tx, last)
			return context.Cause(ctx)
		})
		if err != nil {
			return err
		}
		for _, k := range batch {
			last = string(k)
			if _, err := ParseDigest(string(k.digest())); err != nil {
				continue
			}
			if err := c.present(k); err != nil {
				return err
			}
		}
	}
	return nil
}

func referred(tx *bbolt.Tx, last string) (batch []key, more bool) {
	cursor := tx.Bucket(bucketRefs).Cursor()
	k, _ := cursor.Seek([]byte(last))
	if last != "" && string(k) == last {
		k, _ = cursor.Next()
	}
	for ; k != nil; k, _ = cursor.Next() {
		if len(batch) >= scrubBatch {
			return batch, true
		}
		if len(k) > 1 {
			batch = append(batch, key(k))
		}
	}
	return batch, false
}

func (c *scrub) present(k key) error {
	defer c.store.locks.lock(k)()
	lost, err := c.store.stillLost(k)
	if err != nil || !lost {
		return err
	}
	c.stats.Missing++
	detail := goneManifest(k.digest())
	if k.isBlob() {
		detail = goneBlob(k.digest())
	}
	c.store.lose(k, detail)
	return nil
}
