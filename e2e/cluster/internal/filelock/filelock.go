// Package filelock takes advisory locks on files, so that processes that know nothing of each other can agree on who
// builds a binary, who uses a port, or whose cluster lives in a folder. The kernel drops a lock when its holder dies,
// therefore no lock is ever stale. It works on Unix only.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("file is locked by another process")

// retryInterval is how often Acquire looks again; flock(2) itself can't be waited for with a context.
const retryInterval = 100 * time.Millisecond

// Lock is a lock that is held, as long as somebody keeps the value: the garbage collector gives it back.
type Lock struct{ file *os.File }

// Try takes the lock on path, creating the file and its folder, and returns ErrLocked when it is taken. A second Try
// in the same process is refused as well.
func Try(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("create folder of lock file: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	switch err := flock(file, syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil && !stillAt(path, file):
		// The former holder has removed the file after we opened it; the next one would lock another file.
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrLocked), file.Close())
	case err == nil:
		return &Lock{file: file}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrLocked), file.Close())
	default:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
	}
}

// Acquire waits for the lock on path until it gets it, ctx ends, or giveUp says that it is no longer needed; then it
// returns neither lock nor error. giveUp may be nil.
func Acquire(ctx context.Context, path string, giveUp func() bool) (*Lock, error) {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		lock, err := Try(path)
		if !errors.Is(err, ErrLocked) {
			return lock, err
		}
		if giveUp != nil && giveUp() {
			return nil, nil //nolint:nilnil // documented: neither lock nor error
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock on %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Release gives the lock back and leaves the file. Releasing it twice does nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	// Closing alone would leave the lock with a child that was forked at this moment, until it runs its program.
	if err := errors.Join(flock(file, syscall.LOCK_UN), file.Close()); err != nil {
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

// Remove gives the lock back and removes the file. After a Release it does nothing.
func (l *Lock) Remove() error {
	if l == nil || l.file == nil {
		return nil
	}
	// Removed while it is held, so that nobody's file is removed but our own.
	if err := os.Remove(l.file.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("remove lock file: %w", err), l.Release())
	}
	return l.Release()
}

// stillAt tells whether the file is the one that has this path.
func stillAt(path string, file *os.File) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	ours, err := file.Stat()
	return err == nil && os.SameFile(there, ours)
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
