// Package filelock takes advisory locks on files, so that processes that know nothing of each other can agree on who
// builds a binary, who uses a port, or whose cluster lives in a folder. The kernel drops a lock when its holder dies,
// therefore no lock is ever stale. It works on Unix only.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrLocked says that somebody else holds the lock.
var ErrLocked = errors.New("file is locked by another process")

// retryInterval is how often Acquire looks again; flock(2) itself can't be waited for with a context.
const retryInterval = 100 * time.Millisecond

// Lock is a lock that is held. The file stays when the lock is released: removing it would let two holders lock two
// different files of the same name.
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
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the lock on %s: %w", path, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Release gives the lock back. Releasing it twice does nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	if err := file.Close(); err != nil { // closing drops the lock
		return fmt.Errorf("release lock: %w", err)
	}
	return nil
}

func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
