package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// maxFreeWritten is how many free pages a transaction writes down at most. A start that does not find them written reads the
// whole index for them, and one that writes all of a large number again and again makes pushes slow.
const maxFreeWritten = 2048

type index struct {
	db *bbolt.DB
	// file is that of the database, which may have lost its name.
	file *os.File
	path string
	disk disk
	log  func(string)
	ops  chan *operation
	done chan struct{}
	// coming is how many changes are announced, and will be in ops as soon as what they name is on the disk.
	coming atomic.Int64
	rot    rot
}

type operation struct {
	apply  func(tx *bbolt.Tx) error
	result chan error
}

// openIndex opens the index of a directory, and makes it when there is none. One that is damaged is put aside: all that it knew
// is written again by those who miss it, but not by a process that does not start.
func openIndex(dir string, d disk, noSync bool, log func(string)) (*index, error) {
	x := &index{
		path: filepath.Join(dir, "index.db"), disk: d, log: log,
		ops: make(chan *operation), done: make(chan struct{}), rot: rot{found: make(chan struct{})},
	}
	err := x.examine()
	if err == nil {
		err = x.open(dir, noSync)
	}
	if errors.Is(err, ErrDamaged) {
		// It has passed the look at it, and was put aside all the same.
		err = x.open(dir, noSync)
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open registry index %s: another process has the directory open", x.path)
	}
	if err != nil {
		return nil, fmt.Errorf("open registry index %s: %w", x.path, err)
	}
	go x.run()
	return x, nil
}

func (x *index) open(dir string, noSync bool) error {
	if err := createIndex(dir, x.path, x.disk, noSync); err != nil {
		return err
	}
	var db *bbolt.DB
	err := guarded(func() (err error) {
		db, err = openDatabase(x.path, noSync, &x.file)
		return err
	})
	if err != nil {
		if errors.Is(err, ErrDamaged) {
			return both(err, x.putAside(err))
		}
		return err
	}
	ready := false
	stuck, err := look(db, func(tx *bbolt.Tx) error {
		ready = prepared(tx)
		return nil
	})
	if err == nil && !ready {
		err = x.disk.Commit(x.path, func() (err error) {
			stuck, err = change(db, preparing(x.log))
			return err
		})
	}
	if err == nil {
		x.db = db
		return nil
	}
	if errors.Is(err, ErrDamaged) {
		err = both(err, x.putAside(err))
	}
	if stuck {
		return err
	}
	return errors.Join(err, db.Close())
}

// look has a function read the database. It tells whether that has left it in a state in which it can't be closed.
func look(db *bbolt.DB, read func(tx *bbolt.Tx) error) (stuck bool, err error) {
	begun := false
	err = guarded(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			begun = true
			return read(tx)
		})
	})
	return !begun && errors.Is(err, ErrDamaged), err
}

// change has a function change the database, and tells the same as look. It does not use bbolt's own, which reads the whole
// database after a panic, in a goroutine that panics again.
func change(db *bbolt.DB, apply func(tx *bbolt.Tx) error) (stuck bool, err error) {
	var tx *bbolt.Tx
	err = guarded(func() (err error) {
		if tx, err = db.Begin(true); err != nil {
			return err
		}
		if err := apply(tx); err != nil {
			return both(err, tx.Rollback())
		}
		return tx.Commit()
	})
	if !errors.As(err, new(*panicError)) {
		return false, err
	}
	return tx == nil || errors.Is(guarded(tx.Rollback), ErrDamaged), err
}

// both leaves an error as it is when there is no other.
func both(err, other error) error {
	if other == nil {
		return err
	}
	return errors.Join(err, other)
}

// createIndex makes a new index under another name first. Without that a crash could leave one that can't be opened, because
// its first pages are torn. Whoever opens it makes its name durable, as it may have been left by a process that was killed.
func createIndex(dir, path string, d disk, noSync bool) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What is left here by a crash goes with what uploads have left.
	uploads := filepath.Join(dir, "uploads")
	if err := makeDir(d, uploads); err != nil {
		return err
	}
	f, err := d.CreateTemp(uploads, "index-")
	if err != nil {
		return err
	}
	temp, err := f.Name(), f.Close()
	if err == nil {
		err = d.Commit(temp, func() error {
			db, err := openDatabase(temp, noSync, nil)
			if err != nil {
				return err
			}
			return errors.Join(db.Update(preparing(nil)), db.Close())
		})
	}
	if err == nil {
		err = giveName(d, temp, path)
	}
	return errors.Join(err, ignoreNotExist(d.Remove(temp)))
}

// giveName leaves alone what another process has made meanwhile, on file systems that can.
func giveName(d disk, temp, path string) error {
	err := d.Link(temp, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return d.Rename(temp, path)
}

// openDatabase gives the file of the database to those who want it.
func openDatabase(path string, noSync bool, file **os.File) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, NoSync: noSync, NoGrowSync: noSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, OpenFile: openFile(file),
	})
}

func openFile(file **os.File) func(string, int, os.FileMode) (*os.File, error) {
	return func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		if file != nil {
			*file = f
		}
		return f, err
	}
}

func openReadOnly(path string, file **os.File) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: true, OpenFile: openFile(file)})
}

func preparing(log func(string)) func(tx *bbolt.Tx) error {
	return func(tx *bbolt.Tx) error {
		emptied, err := prepare(tx)
		if emptied && err == nil {
			log("the registry index has an old format, and was emptied; its content is written again by those who need it")
		}
		return err
	}
}

// invalid tells whether a file is no database, or no complete one.
func invalid(err error) bool {
	return errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) ||
		errors.Is(err, bolterrors.ErrVersionMismatch) || strings.Contains(err.Error(), "file size too small")
}

// close writes down which pages are free, however many they are, for a quick start.
func (x *index) close() error {
	close(x.ops)
	<-x.done
	var err error
	if x.damaged() == nil && x.db.NoFreelistSync {
		x.db.NoFreelistSync = false
		err = x.disk.Commit(x.path, func() error { return x.transact(func(*bbolt.Tx) error { return nil }) })
	}
	if x.damaged() != nil && x.rot.stuck.Load() {
		return err
	}
	return errors.Join(err, x.db.Close())
}

// view has a function read the index. What it has read counts only if there is no error.
func (x *index) view(read func(tx *bbolt.Tx) error) error {
	if err := x.damaged(); err != nil {
		return err
	}
	stuck, err := look(x.db, read)
	return x.suspect(err, stuck)
}

func (x *index) transact(apply func(tx *bbolt.Tx) error) error {
	if err := x.damaged(); err != nil {
		return err
	}
	stuck, err := change(x.db, apply)
	return x.suspect(err, stuck)
}

// update applies one change and returns when it is on the disk. Changes that arrive while another
// one is being written share the next transaction: the disk is the bottleneck of small pushes.
// An operation may be applied twice, and only the last time counts.
func (x *index) update(apply func(tx *bbolt.Tx) error) error {
	op := &operation{apply: apply, result: make(chan error, 1)}
	x.ops <- op
	return <-op.result
}

func (x *index) run() {
	defer close(x.done)
	for op := range x.ops {
		x.commit(x.gather(op))
	}
}

const (
	// maxBatch is how many changes share a transaction.
	maxBatch = 128
	// joinWindow is how long a transaction waits for changes that are announced: no longer than it takes itself.
	joinWindow = 3 * time.Millisecond
)

// gather returns a change with all that are there, too, or are about to be.
func (x *index) gather(first *operation) []*operation {
	batch := []*operation{first}
	window := time.NewTimer(joinWindow)
	defer window.Stop()
	for len(batch) < maxBatch {
		select {
		case next, open := <-x.ops:
			if !open {
				return batch
			}
			batch = append(batch, next)
			continue
		default:
		}
		if x.coming.Load() == 0 {
			return batch
		}
		select {
		case next, open := <-x.ops:
			if !open {
				return batch
			}
			batch = append(batch, next)
		case <-window.C:
			return batch
		}
	}
	return batch
}

// commit writes a batch in one transaction. An operation that fails is answered and left out,
// and the others begin again.
func (x *index) commit(batch []*operation) {
	for len(batch) > 0 {
		failed := -1
		stats := x.db.Stats()
		x.db.NoFreelistSync = stats.FreePageN+stats.PendingPageN > maxFreeWritten
		err := x.disk.Commit(x.path, func() error {
			return x.transact(func(tx *bbolt.Tx) error {
				for i, op := range batch {
					if err := op.apply(tx); err != nil {
						failed = i
						return err
					}
				}
				return nil
			})
		})
		if failed < 0 {
			for _, op := range batch {
				op.result <- err
			}
			return
		}
		batch[failed].result <- err
		batch = append(batch[:failed:failed], batch[failed+1:]...)
	}
}
