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

// stored is a manifest with where it is in the index.
type stored struct {
	at     string
	digest digest.Digest
	body   []byte
}

// reference is content that something refers to, with where that is in the index.
type reference struct {
	at  string
	key key
}

// pages reads the whole index once. That takes seconds at most, in one transaction, because it is no more than a hundredth of what
// it is about. What it finds is the end of the index, as it is for everybody else who finds it.
func (c *scrub) pages(ctx context.Context) error {
	return c.store.view(func(tx *bbolt.Tx) error {
		return checkPages(tx, c.store.index.file, true, func() error { return context.Cause(ctx) })
	})
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
			last = m.at
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
		// What is no digest, because it is damaged, is missed where it should be, by the look at what is named.
		d, _, _ := unpack(k)
		batch = append(batch, stored{string(k), d, bytes.Clone(body)})
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
	d := m.digest
	if d == "" || d.Algorithm().FromBytes(m.body) == d {
		return nil
	}
	defer c.store.locks.lock(manifestKey(d))()
	damaged := false
	err := c.store.view(func(tx *bbolt.Tx) error {
		found := body(tx, d)
		damaged = found != nil && d.Algorithm().FromBytes(found) != d
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
		var batch []reference
		err := c.store.view(func(tx *bbolt.Tx) error {
			batch, more = referred(tx, last)
			return context.Cause(ctx)
		})
		if err != nil {
			return err
		}
		for _, r := range batch {
			last = r.at
			if err := c.present(r.key); err != nil {
				return err
			}
		}
	}
	return nil
}

func referred(tx *bbolt.Tx, last string) (batch []reference, more bool) {
	cursor := tx.Bucket(bucketRefs).Cursor()
	k, _ := cursor.Seek([]byte(last))
	if last != "" && string(k) == last {
		k, _ = cursor.Next()
	}
	for ; k != nil; k, _ = cursor.Next() {
		if len(batch) >= scrubBatch {
			return batch, true
		}
		if len(k) == 0 {
			continue
		}
		if d, _, err := unpack(k[1:]); err == nil {
			batch = append(batch, reference{string(k), key(k[:1]) + key(d)})
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
