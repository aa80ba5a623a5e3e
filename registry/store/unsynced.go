package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

const (
	// maxUnsynced is how many blobs may wait for the disk before those who push wait with them. Each has a file open.
	maxUnsynced = 64
	// syncRound is how many of them are synced together.
	syncRound = 32
	// maxSynced is how many blobs that no manifest names yet are known to be on the disk. One that was forgotten is synced again.
	maxSynced = 4096
)

// unsynced are blobs that have their names and may not be on the disk yet. A blob alone is of no use after a crash, as nobody
// knows then whose it was. So the push of a manifest waits for what it names, and blobs are synced meanwhile, several at
// once: that costs the disk little more than one.
type unsynced struct {
	mu      sync.Mutex
	pending map[digest.Digest]*syncing
	queue   []*syncing
	// busy is there while somebody syncs, and closed at the end.
	busy chan struct{}
	// synced are those of this process that are on the disk, as far as they are remembered.
	synced map[digest.Digest]bool
	// failed are those that the disk has not taken, until somebody was told.
	failed map[digest.Digest]error
}

func newUnsynced() unsynced {
	return unsynced{pending: map[digest.Digest]*syncing{}, synced: map[digest.Digest]bool{}, failed: map[digest.Digest]error{}}
}

// syncing is one blob on its way to the disk. The error is there when done is closed.
type syncing struct {
	digest digest.Digest
	// file is open since it was written, so that no error of the disk is told to others only; nil is that it is on the disk,
	// but for its name, or that it is one of an earlier process.
	file  diskFile
	found bool
	done  chan struct{}
	err   error
}

// hand has a blob synced. It is for whoever has just placed or found it.
func (b *blobs) hand(u *syncing) *syncing {
	u.done = make(chan struct{})
	u.digest = digest.Digest(strings.Clone(string(u.digest)))
	q := &b.unsynced
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.synced, u.digest)
	delete(q.failed, u.digest)
	q.pending[u.digest] = u
	q.queue = append(q.queue, u)
	if q.busy == nil {
		q.busy = make(chan struct{})
		go b.syncAll()
	}
	return u
}

// known tells what has to be waited for before a blob is on the disk; sure is false if nothing is known of it.
func (q *unsynced) known(d digest.Digest) (u *syncing, sure bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	u = q.pending[d]
	return u, u != nil || q.synced[d]
}

// failure returns, once, why a blob is gone that was there.
func (q *unsynced) failure(d digest.Digest) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.failed[d]
	delete(q.failed, d)
	return err
}

func (q *unsynced) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.pending) >= maxUnsynced
}

// forget is for blobs that are removed.
func (q *unsynced) forget(d digest.Digest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.pending, d)
	delete(q.synced, d)
}

func (q *unsynced) current(u *syncing) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pending[u.digest] == u
}

// take returns what is synced next; without any there is nobody who does it.
func (q *unsynced) take() []*syncing {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := q.queue[:min(len(q.queue), syncRound)]
	q.queue = q.queue[len(batch):]
	if len(batch) == 0 {
		close(q.busy)
		q.busy = nil
	}
	return batch
}

func (q *unsynced) end(u *syncing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u.err != nil {
		if len(q.failed) >= maxUnsynced {
			clear(q.failed)
		}
		q.failed[u.digest] = u.err
	}
	if q.pending[u.digest] == u {
		delete(q.pending, u.digest)
		if len(q.synced) >= maxSynced {
			clear(q.synced)
		}
		if u.err == nil {
			q.synced[u.digest] = true
		}
	}
	close(u.done)
}

// wait returns when nothing is synced.
func (q *unsynced) wait() {
	q.mu.Lock()
	busy := q.busy
	q.mu.Unlock()
	if busy != nil {
		<-busy
	}
}

func (b *blobs) syncAll() {
	for batch := b.unsynced.take(); len(batch) > 0; batch = b.unsynced.take() {
		b.sync(batch)
	}
}

// sync brings files and their names to the disk, together.
func (b *blobs) sync(batch []*syncing) {
	dirs := map[string]*error{}
	for _, u := range batch {
		dirs[filepath.Dir(b.path(u.digest))] = new(error)
		if u.file != nil {
			startSync(u.file)
		}
	}
	var group sync.WaitGroup
	for _, u := range batch {
		group.Go(func() { u.err = b.syncFile(u) })
	}
	for dir, err := range dirs {
		group.Go(func() { *err = syncDir(b.disk, dir) })
	}
	group.Wait()
	for _, u := range batch {
		u.err = errors.Join(u.err, *dirs[filepath.Dir(b.path(u.digest))])
		if u.err != nil {
			b.unplace(u)
		}
		b.unsynced.end(u)
	}
}

func (b *blobs) syncFile(u *syncing) (err error) {
	if u.file != nil {
		err = errors.Join(u.file.Sync(), u.file.Close())
	} else if u.found {
		err = b.disk.SyncFile(b.path(u.digest))
	}
	if err != nil {
		return fmt.Errorf("sync blob %s: %w", u.digest, err)
	}
	return nil
}

// unplace removes what the disk has not taken: the next push must not find a file that a crash may take away. That a second sync
// succeeds would tell nothing of what the first one lost. What was found and is named by a manifest stays: it was on the disk
// before that manifest was, and a disk that fails once must not cost what others have.
func (b *blobs) unplace(u *syncing) {
	defer b.lock(u.digest)()
	b.forget(filepath.Dir(b.path(u.digest)))
	if !b.unsynced.current(u) || u.found && b.named(u.digest) {
		return
	}
	_, err := b.remove(u.digest)
	if err != nil && !errors.Is(err, ErrBlobNotFound) {
		u.err = errors.Join(u.err, err)
	}
	b.lost(blobKey(u.digest), goneBlob(u.digest))
}

// durable returns what has to be waited for before a manifest may name a blob; nil is nothing. That there is a file, or that a
// manifest names it, says nothing: it may have come with a process that was killed before it was synced.
func (s *Store) durable(d digest.Digest) (*syncing, error) {
	if u, sure := s.blobs.unsynced.known(d); sure {
		return u, nil
	}
	defer s.locks.lock(blobKey(d))()
	if u, sure := s.blobs.unsynced.known(d); sure {
		return u, nil
	}
	if _, err := s.blobs.size(d); err != nil {
		return nil, err
	}
	if err := s.blobs.settle(filepath.Dir(s.blobs.path(d))); err != nil {
		return nil, err
	}
	return s.blobs.hand(&syncing{digest: d, found: true}), nil
}

// settled returns when blobs are on the disk.
func (s *Store) settled(all ...digest.Digest) error {
	for len(all) > 0 {
		var (
			waits []*syncing
			again []digest.Digest
		)
		for _, d := range all {
			u, err := s.durable(d)
			if err != nil {
				return err
			}
			if u != nil {
				waits, again = append(waits, u), append(again, d)
			}
		}
		for _, u := range waits {
			if <-u.done; u.err != nil {
				_ = s.blobs.unsynced.failure(u.digest)
				return u.err
			}
		}
		// One that was replaced meanwhile is another file.
		all = again
	}
	return nil
}
