package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// errSuspect is why an index is put aside that the process before could not read.
var errSuspect = errors.New("the process before found that it can't be read")

// rot is what is known of the damage of an index that is in use. Nothing is asked of the database after the first find: it
// panics with locks held, and what it would write is made of what it has read.
type rot struct {
	once  sync.Once
	found chan struct{}
	err   error
	// stuck is set when the database can't even be closed.
	stuck atomic.Bool
}

// Watch returns when the index turns out to be damaged, with an error that matches ErrDamaged. The store is of no use then:
// the process has to end, and the next one that opens the store begins a new index. It returns nil when the context is over.
func (s *Store) Watch(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.index.rot.found:
		return s.index.rot.err
	}
}

// damaged returns what was found.
func (x *index) damaged() error {
	select {
	case <-x.rot.found:
		return x.rot.err
	default:
		return nil
	}
}

// suspect notes the first error that says that the index is damaged: on the disk, as the process may not live to tell anybody.
func (x *index) suspect(err error, stuck bool) error {
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	if stuck {
		x.rot.stuck.Store(true)
	}
	x.rot.once.Do(func() {
		x.rot.err = fmt.Errorf("the registry index is damaged, and begins anew when the process starts again: %w", err)
		message := x.rot.err.Error()
		if p := (*panicError)(nil); errors.As(err, &p) {
			message += "\n" + string(p.stack)
		}
		x.log(message)
		if err := x.mark(err.Error()); err != nil {
			x.log(fmt.Sprintf("the next start does not know of the damaged registry index: %v", err))
		}
		close(x.rot.found)
	})
	return err
}

// panicError is a panic of the database.
type panicError struct {
	value any
	stack []byte
}

// Error implements error.
func (e *panicError) Error() string {
	return fmt.Sprintf("the database can't read a page: %v", e.value)
}

// guarded makes errors of what the database does about damage: it panics, and reads of what the disk does not give back are
// faults, which end the process unless the goroutine asks for panics. All other panics are mistakes of this program, and go on.
func guarded(run func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if !ofDatabase(p) {
			panic(p)
		}
		err = fmt.Errorf("%w: %w", ErrDamaged, &panicError{p, debug.Stack()})
	}()
	return run()
}

const (
	databasePackage = "go.etcd.io/bbolt"
	ownPackage      = "github.com/ocm-operator/ocm-operator/"
)

// ofDatabase tells panics of the database from those of its user, within the deferred function that has recovered. A fault has
// an address, unlike the use of a nil pointer, and only the mapping of the index has addresses that may fault. Everything else
// belongs to whoever comes first on the stack: the texts of the database are many, and not promised.
func ofDatabase(value any) bool {
	if fault, is := value.(interface {
		runtime.Error
		Addr() uintptr
	}); is && fault.Addr() != 0 {
		return true
	}
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	for panicking := false; ; {
		frame, more := frames.Next()
		switch {
		case frame.Function == "runtime.gopanic":
			panicking = true
		case panicking && strings.HasPrefix(frame.Function, databasePackage):
			return true
		case panicking && strings.HasPrefix(frame.Function, ownPackage), !more:
			return false
		}
	}
}

func (x *index) marker() string { return x.path + ".suspect" }

// mark leaves word for the next process.
func (x *index) mark(why string) (err error) {
	uploads := filepath.Join(filepath.Dir(x.path), "uploads")
	if err := makeDir(x.disk, uploads); err != nil {
		return err
	}
	f, err := x.disk.CreateTemp(uploads, "suspect-")
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, why+"\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = x.disk.Rename(f.Name(), x.marker())
	}
	if err != nil {
		return errors.Join(err, ignoreNotExist(x.disk.Remove(f.Name())))
	}
	return syncDir(x.disk, filepath.Dir(x.path))
}

// examine looks at an index before it is used, and puts one aside that is damaged. The lock is held meanwhile, because what
// another process is writing looks damaged.
func (x *index) examine() error {
	switch info, err := os.Lstat(x.path); {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Size() == 0:
		return x.unmark()
	case err != nil:
		return err
	}
	var db *bbolt.DB
	var file *os.File
	err := guarded(func() (err error) {
		db, err = openReadOnly(x.path, &file)
		return err
	})
	if err == nil {
		defer func() { _ = db.Close() }() // nothing was written
		err = x.sound(db, file)
	}
	if err != nil && (invalid(err) || errors.Is(err, ErrDamaged) || errors.Is(err, errSuspect)) {
		return x.putAside(err)
	}
	return err
}

func (x *index) sound(db *bbolt.DB, file *os.File) error {
	switch _, err := os.Lstat(x.marker()); {
	case err == nil:
		return errSuspect
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	_, err := look(db, func(tx *bbolt.Tx) error {
		err := checkPages(tx, file, false, never)
		if err != nil || orderly(tx) {
			return err
		}
		// Whatever has killed the process before may be a page that ends this one, too.
		return checkPages(tx, file, true, never)
	})
	return err
}

// orderly tells whether the process before has closed the index.
func orderly(tx *bbolt.Tx) bool {
	state := tx.Bucket(bucketState)
	return state != nil && state.Get(keyTotals) != nil
}

// putAside keeps one damaged index for those who want to know what has happened to it. All that it knew is written again by
// those who miss it. The name is gone for good before the marker is: else the next start would know of neither.
func (x *index) putAside(why error) error {
	aside := x.path + ".damaged"
	x.log(fmt.Sprintf("the registry index is damaged, and begins anew; the old one is %s: %v", aside, why))
	if err := x.disk.Rename(x.path, aside); err != nil {
		return err
	}
	if err := syncDir(x.disk, filepath.Dir(x.path)); err != nil {
		return err
	}
	return x.unmark()
}

func (x *index) unmark() error {
	if _, err := os.Lstat(x.marker()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := ignoreNotExist(x.disk.Remove(x.marker())); err != nil {
		return err
	}
	return syncDir(x.disk, filepath.Dir(x.path))
}
