package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	// lookAgain is how long after a blob could not be read it is looked at again before that is believed: what a disk that hangs
	// on a network does not give back now, it may give back then.
	lookAgain = 5 * time.Second
	// doubtFor is how long it is remembered that a blob could not be read; what happens later has nothing to do with it.
	doubtFor = 10 * time.Minute
	// sickAfter is how many blobs, one after the other, have to be unreadable until that is the disk's fault.
	sickAfter = 3
	// maxDoubts bounds what is remembered. What is beyond is not believed.
	maxDoubts = 1000
	// glanceBytes is how much of a blob is read to see whether it can be.
	glanceBytes = 64 << 10
)

// unreadableError matches ErrUnreadable.
type unreadableError struct {
	digest digest.Digest
	err    error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("%v: blob %s: %v", ErrUnreadable, e.digest, e.err)
}

func (e *unreadableError) Is(target error) bool { return target == ErrUnreadable }

// unreadable tells a disk that does not give back a blob from other reasons why it was not opened or read, which say nothing of it.
func unreadable(d digest.Digest, err error) error {
	for _, errno := range []syscall.Errno{
		syscall.EIO, syscall.EBADMSG, errCorrupt, // the disk, or the file system, has lost it
		syscall.ELOOP, syscall.EISDIR, syscall.ENXIO, syscall.ENODEV, // something else has its name
		syscall.EACCES, syscall.EPERM,
	} {
		if errors.Is(err, errno) {
			return &unreadableError{d, err}
		}
	}
	return fmt.Errorf("read blob %s: %w", d, err)
}

var errNoFile = errors.New("it is not a file")

// doubts remember which blobs could not be read.
type doubts struct {
	now func() time.Time
	// writes tells whether the disk still takes something, which one that is gone does not.
	writes func() error

	mu sync.Mutex
	of map[digest.Digest]*doubt
	// row are the first that could not be read since something else could.
	row map[digest.Digest]bool
	// any tells without the lock whether there are some.
	any atomic.Bool
}

type doubt struct {
	since time.Time
	// believed is set when it was to be taken away. It stays where that was not possible.
	believed bool
}

func newDoubts(now func() time.Time, writes func() error) *doubts {
	return &doubts{now: now, writes: writes, of: map[digest.Digest]*doubt{}, row: map[digest.Digest]bool{}}
}

// note remembers that a blob could not be read. It is ripe when it was so some time before.
func (q *doubts) note(d digest.Digest) (ripe, believed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.any.Store(true)
	if len(q.row) < sickAfter {
		q.row[d] = true
	}
	now := q.now()
	known := q.of[d]
	if known != nil && (known.believed || now.Sub(known.since) <= doubtFor) {
		return now.Sub(known.since) >= lookAgain, known.believed
	}
	if len(q.of) >= maxDoubts {
		for d, other := range q.of {
			if now.Sub(other.since) > doubtFor {
				delete(q.of, d)
			}
		}
	}
	if len(q.of) < maxDoubts {
		q.of[d] = &doubt{since: now}
	}
	return false, false
}

func (q *doubts) believe(d digest.Digest) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if known := q.of[d]; known != nil {
		known.believed = true
	}
}

// about tells whether a blob could not be read.
func (q *doubts) about(d digest.Digest) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.of[d] != nil
}

func (q *doubts) believed(d digest.Digest) bool {
	if !q.any.Load() {
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	known := q.of[d]
	return known != nil && known.believed
}

// settle forgets that a blob could not be read, as it was replaced, or is gone.
func (q *doubts) settle(d digest.Digest) {
	if !q.any.Load() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.of, d)
	delete(q.row, d)
	q.any.Store(len(q.of)+len(q.row) > 0)
}

// read ends the row: the disk gives something back.
func (q *doubts) read() {
	if !q.any.Load() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.row)
	q.any.Store(len(q.of) > 0)
}

func (q *doubts) inRow() []digest.Digest {
	q.mu.Lock()
	defer q.mu.Unlock()
	var row []digest.Digest
	for d := range q.row {
		row = append(row, d)
	}
	return row
}

// doubt decides what is to be thought of a blob that could not be read. The error is ErrDamaged when that is believed,
// ErrBlobNotFound when it was before, and ErrUnreadable when nobody knows yet. It is for whoever has the blob's lock.
func (b *blobs) doubt(d digest.Digest, err error) error {
	cause, ok := errors.AsType[*unreadableError](err)
	if !ok {
		return err
	}
	switch ripe, believed := b.doubts.note(d); {
	case believed:
		return fmt.Errorf("%w, as it can't be read: %s: %w", ErrBlobNotFound, d, cause.err)
	case !ripe:
		return err
	}
	if sick := b.works(); sick != nil {
		return errors.Join(err, sick)
	}
	b.doubts.believe(d)
	return fmt.Errorf("%w: blob %s can't be read, and is taken away: %w", ErrDamaged, d, cause.err)
}

// works returns why a blob is not to blame for that it can't be read: the disk does not work for others either.
func (b *blobs) works() error {
	if err := b.doubts.writes(); err != nil {
		return fmt.Errorf("the disk of the registry takes nothing: %w", err)
	}
	last, found := b.glanceAtOthers()
	if !found && last != nil {
		return fmt.Errorf("the disk of the registry gives back nothing else either: %w", last)
	}
	if row := b.doubts.inRow(); !found && len(row) >= sickAfter {
		return fmt.Errorf("the disk of the registry gives back none of the last %d blobs", len(row))
	}
	return nil
}

// sick returns why the disk is not of use, if it is not: several blobs can't be read, still, and no others.
func (b *blobs) sick() error {
	row := b.doubts.inRow()
	if len(row) < sickAfter {
		return nil
	}
	var last error
	for _, d := range row {
		switch err := b.glance(d); {
		case err == nil:
			b.doubts.read()
			return nil
		case errors.Is(err, ErrUnreadable):
			last = err
		default:
			b.doubts.settle(d)
		}
	}
	if _, found := b.glanceAtOthers(); found || last == nil {
		return nil
	}
	return fmt.Errorf("registry store is not readable: none of several blobs can be read, and nothing is taken away because of that; look at the disk: %w", last)
}

// glanceAtOthers reads of some blobs that were sound, past what memory has of them, until one can be read.
func (b *blobs) glanceAtOthers() (last error, found bool) { //nolint:revive // the error is not that of the function
	for _, other := range b.proofs.some(sickAfter, b.doubts.about) {
		err := b.glance(other)
		if err == nil {
			b.doubts.read()
			return nil, true
		}
		if errors.Is(err, ErrUnreadable) {
			last = err
		}
	}
	return last, false
}

// glance reads the begin of a blob.
func (b *blobs) glance(d digest.Digest) error {
	f, _, err := b.open(d)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	dropCache(f, 0, glanceBytes)
	if _, err := f.Read(make([]byte, glanceBytes)); err != nil && !errors.Is(err, io.EOF) {
		return unreadable(d, err)
	}
	return nil
}

// proven is the size for which a blob counts that can't be looked at any more, as far as it is known.
func (b *blobs) proven(d digest.Digest) int64 { return b.proofs.of(d).size }

// makeWay removes what can't be renamed over.
func (b *blobs) makeWay(d digest.Digest) error {
	if info, err := os.Lstat(b.path(d)); err == nil && info.IsDir() {
		return b.disk.RemoveAll(b.path(d))
	}
	return nil
}

// replaced tells whether another file has the name now than the one that was read.
func (b *blobs) replaced(d digest.Digest, seen fs.FileInfo) bool {
	if seen == nil {
		return false
	}
	info, err := os.Stat(b.path(d))
	return err == nil && stateOf(info) != stateOf(seen)
}

// writes sends some bytes to the disk. One that is full has taken them, for this purpose.
func (s *Store) writes() error {
	f, err := s.temporary("probe-")
	if err == nil {
		_, err = f.Write([]byte(probeName))
		err = errors.Join(err, f.Sync(), f.Close(), ignoreNotExist(s.disk.Remove(f.Name())))
	}
	if noRoom(err) {
		return nil
	}
	return err
}
