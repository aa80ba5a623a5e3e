package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
)

// absent is the size of a blob that is not there.
const absent = -1

// tally is how many blobs there are, and how large they are together. A census corrects it by the files that it finds, whatever
// happens meanwhile: each change says when it begins and what has come of it.
type tally struct {
	count, bytes atomic.Int64
	// ready is closed as soon as the totals are those of the files.
	ready    chan struct{}
	announce sync.Once

	counting sync.Mutex // for one census at a time
	mu       sync.Mutex
	// changing are the blobs that somebody writes or removes just now. There is one at a time for each of them.
	changing map[digest.Digest]bool
	census   *census
	// left are blobs that the last census did not count, because they were being changed from when it passed them until its end.
	left map[digest.Digest]bool
}

// census goes from shelf to shelf: the files of a shelf are counted as they are when it is left, and followed from then on.
type census struct {
	count, bytes int64
	// done are the shelves that were counted, and shelf is the one that is being looked at.
	done  map[string]bool
	shelf string
	// seen and changed are the sizes of its files as they were found, and as they became since.
	seen, changed map[digest.Digest]int64
	// open are blobs of shelves that are done which were being changed when those were left.
	open map[digest.Digest]bool
}

func newTally() tally {
	return tally{ready: make(chan struct{}), changing: map[digest.Digest]bool{}}
}

// shelf names the directory of a blob.
func shelf(d digest.Digest) string { return string(d[:len(d.Algorithm())+len(":00")]) }

// set takes over totals that an earlier process has left.
func (t *tally) set(count, bytes int64) {
	t.count.Store(count)
	t.bytes.Store(bytes)
	t.announce.Do(func() { close(t.ready) })
}

// sure tells whether the totals are those of the files.
func (t *tally) sure() bool {
	select {
	case <-t.ready:
		return true
	default:
		return false
	}
}

// change is called before a blob is written or removed, and what it returns afterwards, with the size before and after. It is for
// whoever has the blob's lock.
func (t *tally) change(d digest.Digest) (end func(before, after int64)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changing[d] = true
	return func(before, after int64) { t.changed(d, before, after) }
}

func (t *tally) changed(d digest.Digest, before, after int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.changing, d)
	if t.census != nil {
		t.census.note(d, before, after)
	}
	if t.left[d] {
		delete(t.left, d)
		before = absent
	}
	count, bytes := difference(before, after)
	t.count.Add(count)
	t.bytes.Add(bytes)
}

func difference(before, after int64) (count, bytes int64) {
	if before >= 0 {
		count, bytes = -1, -before
	}
	if after >= 0 {
		count, bytes = count+1, bytes+after
	}
	return count, bytes
}

func (c *census) note(d digest.Digest, before, after int64) {
	switch on := shelf(d); {
	case c.done[on]:
		if c.open[d] {
			delete(c.open, d)
			before = absent // it was left out
		}
		count, bytes := difference(before, after)
		c.count, c.bytes = c.count+count, c.bytes+bytes
	case c.shelf == on:
		c.changed[d] = after
	}
}

// begin begins a census, and drop ends it without a result.
func (t *tally) begin() { t.replace(&census{done: map[string]bool{}, open: map[digest.Digest]bool{}}) }
func (t *tally) drop()  { t.replace(nil) }

func (t *tally) replace(c *census) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.census = c
}

// enter begins with a shelf.
func (t *tally) enter(shelf string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.census.shelf, t.census.seen, t.census.changed = shelf, map[digest.Digest]int64{}, map[digest.Digest]int64{}
}

// leave counts what is on the shelf.
func (t *tally) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.census
	maps.Copy(c.seen, c.changed)
	for d := range t.changing {
		if shelf(d) == c.shelf {
			c.open[d] = true
			delete(c.seen, d)
		}
	}
	for _, size := range c.seen {
		count, bytes := difference(absent, size)
		c.count, c.bytes = c.count+count, c.bytes+bytes
	}
	c.done[c.shelf], c.shelf = true, ""
}

// end replaces the totals by those of a census. One that could not see all is better than nothing only.
func (t *tally) end(complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if complete || !t.sure() {
		t.set(t.census.count, t.census.bytes)
		t.left = t.census.open
	}
	t.census = nil
}

// walk calls visit, which may be nil, for every blob file there is, and corrects the totals. What can't be read is left out, and
// is an error in the end.
func (b *blobs) walk(ctx context.Context, visit func(d digest.Digest)) error {
	b.counting.Lock()
	defer b.counting.Unlock()
	b.begin()
	var failed troubles
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for first := range 0x100 {
			if err := b.walkShelf(ctx, fmt.Sprintf("%s:%02x", algorithm, first), visit); ctx.Err() == nil {
				failed.add(err)
				continue
			}
			b.drop()
			return context.Cause(ctx)
		}
	}
	b.end(failed.err() == nil)
	return failed.err()
}

func (b *blobs) walkShelf(ctx context.Context, shelf string, visit func(d digest.Digest)) error {
	b.enter(shelf)
	defer b.leave()
	algorithm, first := digest.Digest(shelf).Algorithm(), digest.Digest(shelf).Encoded()
	dir := filepath.Join(b.dir, algorithm.String(), first)
	entries, err := os.ReadDir(dir)
	if err = ignoreNotExist(err); err != nil {
		err = fmt.Errorf("look for blobs: %w", err)
	}
	for _, entry := range entries {
		d, invalid := ParseDigest(algorithm.String() + ":" + entry.Name())
		// What the store did not put there is left alone, and what is gone again is no matter.
		if invalid != nil || !entry.Type().IsRegular() || b.path(d) != filepath.Join(dir, entry.Name()) {
			continue
		}
		info, gone := entry.Info()
		if errors.Is(gone, fs.ErrNotExist) {
			continue
		}
		if gone != nil {
			err = errors.Join(err, gone)
			continue
		}
		b.census.seen[d] = info.Size()
	}
	if visit == nil {
		return err
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d := digest.Digest(algorithm.String() + ":" + entry.Name())
		if _, found := b.census.seen[d]; found {
			visit(d)
		}
	}
	return err
}

// countBlobs finds out how many blobs there are after a start that did not know. Writes into a store with a bound wait for it.
func (s *Store) countBlobs() {
	if s.blobs.sure() {
		return
	}
	// What goes on behind the back of callers ends with the store.
	s.losses.work.Go(func() { _ = s.blobs.walk(s.losses.ctx, nil) })
}
