package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

const defaultLeaseTTL = time.Hour

// Options configures Open.
type Options struct {
	// NoSync leaves out every fsync. It is for tests: a crash may then lose or tear content.
	NoSync bool
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// LeaseTTL is how long content that nothing keeps stays after it was last pushed or asked
	// for; an hour when zero. It has to be longer than a client takes from the first blob of an
	// artifact to its manifest.
	LeaseTTL time.Duration
	// MaxBlobBytes is the greatest size of a blob, whoever writes it; zero is no limit.
	MaxBlobBytes int64
	// MaxStagedBytes is the greatest size of all uploads in progress together; zero is no limit.
	MaxStagedBytes int64
	// MaxBytes is the greatest size of all blobs, uploads in progress and quarantine together; zero is what the disk has.
	MaxBytes int64
	// Reserve is how much of the disk is left free, so that the index can be written; when zero, 64 MiB or one percent of the
	// disk, whichever is less. A negative number is none.
	Reserve int64
	// HighWater and LowWater are percentages of MaxBytes, else of the disk: above the first, collections free what is not
	// needed until the second is reached. They are 85 and 75 when zero.
	HighWater, LowWater int
	// Grace is how long content that nothing keeps stays under pressure after it was pushed or asked for; a minute when zero.
	Grace time.Duration
	// Notify is told what happens to repositories; it may be nil. It must not block, and not call the store.
	Notify func(Notice)
	// Log is told what Open had to do that nobody expects of it; it may be nil.
	Log func(message string)

	// disk is the file system of the machine when nil.
	disk disk
	// usage asks the file system of a directory for its size; that of the machine when nil.
	usage func(dir string) (usage, bool)
}

// Store keeps blobs and manifests in a directory. It is safe for use by many goroutines.
type Store struct {
	uploads string
	disk    disk
	blobs   *blobs
	index   *index
	leases  *leases
	locks   locks
	now     func() time.Time
	maxBlob int64
	staging staging

	room     *room
	pressure *pressure
	refusals refusals
	losses   *losses
	notify   func(Notice)
	reads    reads

	collecting, scrubbing sync.Mutex
	scrubbed              scrubbed

	check verdict
	close struct {
		sync.Once
		err error
	}
	// open is held for reading by whatever uses the index, so that Close can wait for it.
	open struct {
		sync.RWMutex
		closed bool
	}
}

// Open opens the store in a directory, which it creates when needed. What uploads left there
// when the process ended is removed.
func Open(dir string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LeaseTTL <= 0 {
		o.LeaseTTL = defaultLeaseTTL
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	if o.Notify == nil {
		o.Notify = func(Notice) {}
	}
	if o.disk == nil {
		o.disk = osDisk{}
	}
	if o.usage == nil {
		o.usage = diskUsage
	}
	if o.NoSync {
		o.disk = noSync{o.disk}
	}
	s := &Store{
		uploads: filepath.Join(dir, "uploads"),
		disk:    o.disk,
		blobs: &blobs{
			dir: filepath.Join(dir, "blobs"), disk: o.disk, tally: newTally(),
			made: map[string]bool{}, settling: locks{held: map[key]*keyLock{}}, proofs: proofs{states: map[digest.Digest]state{}},
		},
		leases:  newLeases(o.LeaseTTL, o.Grace, o.Now),
		locks:   locks{held: map[key]*keyLock{}},
		now:     o.Now,
		maxBlob: o.MaxBlobBytes,
		staging: staging{max: o.MaxStagedBytes, files: map[string]bool{}},
	}
	if err := makeDir(s.disk, s.blobs.dir); err != nil {
		return nil, fmt.Errorf("create registry directory: %w", err)
	}
	// It asks the disk how large it is, for which there has to be something on it.
	s.guard(dir, o)
	// The index holds the lock of the directory; nothing may be touched before.
	x, err := openIndex(dir, s.disk, o.NoSync, o.Log)
	if err != nil {
		return nil, err
	}
	s.index = x
	if err := s.prepare(dir); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return s, nil
}

func (s *Store) prepare(dir string) error {
	if err := s.disk.RemoveAll(s.uploads); err != nil {
		return fmt.Errorf("remove what uploads left behind: %w", err)
	}
	if err := s.disk.Mkdir(s.uploads); err != nil {
		return fmt.Errorf("create upload directory: %w", err)
	}
	if err := errors.Join(s.purge(), syncDir(s.disk, dir)); err != nil {
		return err
	}
	if err := s.restore(); err != nil {
		return err
	}
	s.countBlobs()
	return nil
}

// restore takes over what the process before has left when it was stopped in order. One that was killed leaves nothing, and an index
// that was given up has nothing; then the files are counted.
func (s *Store) restore() error {
	left := false
	err := s.index.view(func(tx *bbolt.Tx) error {
		state := tx.Bucket(bucketState)
		if saved := state.Get(keyLeases); saved != nil {
			left = true
			s.leases.load(saved)
		}
		if saved := state.Get(keyTotals); saved != nil {
			left = true
			s.blobs.set(counted(saved))
		}
		return nil
	})
	if err != nil || !left {
		return err
	}
	err = s.index.update(func(tx *bbolt.Tx) error {
		state := tx.Bucket(bucketState)
		return errors.Join(state.Delete(keyLeases), state.Delete(keyTotals))
	})
	if noRoom(err) {
		return nil // it serves what it has; who knows too much of the past at the next start is corrected by a collection
	}
	return err
}

// Close waits for what is being written and closes the store. Leases are kept for the next start.
func (s *Store) Close() error {
	s.close.Do(func() {
		s.blobs.unsynced.wait()
		s.losses.close()
		s.open.Lock()
		defer s.open.Unlock()
		s.open.closed = true
		saved := s.leases.save()
		totals := binary.AppendVarint(binary.AppendVarint(nil, s.blobs.count.Load()), s.blobs.bytes.Load())
		err := s.index.update(func(tx *bbolt.Tx) error {
			state := tx.Bucket(bucketState)
			if !s.blobs.sure() {
				return state.Put(keyLeases, saved) // the next start counts
			}
			return errors.Join(state.Put(keyLeases, saved), state.Put(keyTotals, totals))
		})
		if err == nil {
			err = s.restoreIndex()
		}
		s.close.err = errors.Join(err, s.index.close())
	})
	return s.close.err
}

// restoreIndex writes the index again when its file was taken away: the system keeps such a file only as long as it is open.
// A file that is there now is somebody else's.
func (s *Store) restoreIndex() (err error) {
	path := s.index.path
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := s.temporary("index-")
	if err != nil {
		return fmt.Errorf("write the registry index again: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreNotExist(s.disk.Remove(f.Name()))) }()
	err = s.index.view(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = s.disk.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the registry index again: %w", err)
	}
	return syncDir(s.disk, filepath.Dir(path))
}

// view and update are the only ways to the index: they keep it open while they run.
func (s *Store) view(read func(tx *bbolt.Tx) error) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.open.closed {
		return fmt.Errorf("registry store: %w", ErrClosed)
	}
	return s.index.view(read)
}

func (s *Store) update(apply func(tx *bbolt.Tx) error) error {
	s.open.RLock()
	defer s.open.RUnlock()
	if s.open.closed {
		return fmt.Errorf("registry store: %w", ErrClosed)
	}
	return fullIndex(s.index.update(apply))
}

// temporary makes a file to be written. The directory for it is made again when somebody took it away.
func (s *Store) temporary(pattern string) (diskFile, error) {
	f, err := s.disk.CreateTemp(s.uploads, pattern)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := makeDir(s.disk, s.uploads); err != nil {
		return nil, err
	}
	return s.disk.CreateTemp(s.uploads, pattern)
}

// Stats is how much a store holds.
type Stats struct {
	// Blobs and Bytes are the number and the total size of the blobs on the disk.
	Blobs, Bytes int64
	// Staged and StagedBytes are the number of uploads in progress and the total size of what they have written.
	Staged, StagedBytes int64
	// Quarantined and QuarantinedBytes are the number and the total size of the damaged blobs that are kept to be looked at.
	Quarantined, QuarantinedBytes int64
}

// Stats returns how much the store holds.
func (s *Store) Stats() Stats {
	damaged, damagedBytes := s.blobs.damaged.holds()
	return Stats{
		Blobs: max(0, s.blobs.count.Load()), Bytes: max(0, s.blobs.bytes.Load()), Staged: s.staging.open.Load(), StagedBytes: s.staging.bytes.Load(),
		Quarantined: damaged, QuarantinedBytes: damagedBytes,
	}
}
