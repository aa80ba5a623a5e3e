//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package ctf

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// nonblocking keeps a pipe that took the place of a file from blocking who opens
// it.
const nonblocking = syscall.O_NONBLOCK

// names returns how many names a file has.
func names(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink) //nolint:unconvert // its type differs between systems
	}
	return 1
}

// unsupported tells whether a file system can't synchronise directories.
func unsupported(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP)
}

// tryLock takes the lock of an open file, which ends with the process at the
// latest. It tells whether it got it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		}
		return err == nil, err
	}
}
