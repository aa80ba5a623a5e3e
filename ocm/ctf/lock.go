package ctf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// BusyError says that somebody else is writing to an archive.
type BusyError struct {
	// Path is the archive.
	Path string
}

// Error says what to do.
func (e *BusyError) Error() string {
	return fmt.Sprintf("transport archive %s is being written by somebody else; try again when that is done", e.Path)
}

// ErrChanged says that an archive was changed by somebody else since it was
// opened, so that writing it would undo that. Open it again.
var ErrChanged = errors.New("changed by somebody else since it was opened; open it again")

// lock is held by who writes. It is a file of its own, as the one that is written
// is replaced. The system gives it back when the process ends.
type lock struct {
	dir  *os.Root
	name string
	file *os.File
}

func lockName(name string) string { return "." + name + ".lock" }

// takeLock returns nothing if somebody else has the lock.
func takeLock(dir *os.Root, name string) (*lock, error) {
	name = lockName(name)
	f, err := dir.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	ok, err := tryLock(f)
	if ok {
		// The one before may have removed the file after it was opened here.
		ok, err = stillThere(dir, name, f)
	}
	if !ok || err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &lock{dir: dir, name: name, file: f}, nil
}

func stillThere(dir *os.Root, name string, f *os.File) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := dir.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// lockPatience is how long a lock that is held for moments only is waited for.
const lockPatience = 30 * time.Second

// waitLock waits for a lock that is held for moments only. It is nil if that took
// too long.
func waitLock(ctx context.Context, dir *os.Root, name string) (*lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := takeLock(dir, name)
		if l != nil || err != nil {
			return l, err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return nil, nil //nolint:nilnil // documented
			}
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// release removes the file while it is locked, so that it is nobody else's.
func (l *lock) release() error {
	if l == nil {
		return nil
	}
	err := l.dir.Remove(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.file.Close())
}
