//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gitsync

import (
	"errors"
	"os"
	"syscall"
)

// canSweep tells that the lock of a process that is gone can be taken.
const canSweep = true

// tryLock takes the lock of an open file, which ends with the process at the latest. It tells whether it got it.
func tryLock(file *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		}
		return err == nil, err
	}
}
