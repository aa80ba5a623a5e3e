package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// maxFreeWritten is how many free pages a transaction writes down at most. A start that does not find them written reads the
// whole index for them, and one that writes all of a large number again and again makes pushes slow.
const maxFreeWritten = 2048

type index struct {
	db   *bbolt.DB
	path string
	disk disk
	ops  chan *operation
	done chan struct{}
}

type operation struct {
	apply  func(tx *bbolt.Tx) error
	result chan error
}

// openIndex opens the index of a directory, and makes it when there is none. A file that is no database is put aside: all
// that it knew is written again by those who miss it, but not by a process that does not start.
func openIndex(dir string, d disk, noSync bool, log func(string)) (*index, error) {
	x := &index{path: filepath.Join(dir, "index.db"), disk: d, ops: make(chan *operation), done: make(chan struct{})}
	err := x.open(dir, noSync, log)
	if err != nil && invalid(err) {
		aside := x.path + ".damaged"
		log(fmt.Sprintf("the registry index is damaged, and begins anew; the old one is %s: %v", aside, err))
		if err = d.Rename(x.path, aside); err == nil {
			err = x.open(dir, noSync, log)
		}
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

func (x *index) open(dir string, noSync bool, log func(string)) error {
	if err := createIndex(dir, x.path, x.disk, noSync); err != nil {
		return err
	}
	db, err := openDatabase(x.path, noSync)
	if err != nil {
		return err
	}
	x.db = db
	ready := false
	err = db.View(func(tx *bbolt.Tx) error {
		ready = prepared(tx)
		return nil
	})
	if err == nil && !ready {
		err = x.disk.Commit(x.path, func() error { return db.Update(preparing(log)) })
	}
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return nil
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
			db, err := openDatabase(temp, noSync)
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

func openDatabase(path string, noSync bool) (*bbolt.DB, error) {
	return bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: time.Second, NoSync: noSync, NoGrowSync: noSync, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
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
	if x.db.NoFreelistSync {
		x.db.NoFreelistSync = false
		err = x.disk.Commit(x.path, func() error { return x.db.Update(func(*bbolt.Tx) error { return nil }) })
	}
	return errors.Join(err, x.db.Close())
}

func (x *index) view(read func(tx *bbolt.Tx) error) error { return x.db.View(read) }

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
		batch := []*operation{op}
		for more := true; more && len(batch) < 128; {
			select {
			case next, open := <-x.ops:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		x.commit(batch)
	}
}

// commit writes a batch in one transaction. An operation that fails is answered and left out,
// and the others begin again.
func (x *index) commit(batch []*operation) {
	for len(batch) > 0 {
		failed := -1
		stats := x.db.Stats()
		x.db.NoFreelistSync = stats.FreePageN+stats.PendingPageN > maxFreeWritten
		err := x.disk.Commit(x.path, func() error {
			return x.db.Update(func(tx *bbolt.Tx) error {
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
