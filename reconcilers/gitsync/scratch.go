package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	// scratchPrefix begins the names of the folders in which processes keep what they fetch, and lockSuffix ends those of the files
	// beside them by which it is known whether the process is alive.
	scratchPrefix = "ocm-git-"
	lockSuffix    = ".lock"
)

// newScratch returns a private folder of this process, which goes with the context, and removes those that processes have left behind
// which were killed.
func newScratch(ctx context.Context, parent string) (string, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", fmt.Errorf("folder for git repositories: %w", err)
	}
	if canSweep {
		sweep(parent)
	}
	lock, err := newLock(parent)
	if err != nil {
		return "", fmt.Errorf("folder for git repositories: %w", err)
	}
	dir := strings.TrimSuffix(lock.Name(), lockSuffix)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", errors.Join(fmt.Errorf("folder for git repositories: %w", err), lock.Close())
	}
	context.AfterFunc(ctx, func() {
		_ = os.RemoveAll(dir)
		_ = os.Remove(lock.Name())
		_ = lock.Close()
	})
	return dir, nil
}

// newLock makes a file and locks it. Another process that sweeps may have removed it in between, which is found out.
func newLock(parent string) (*os.File, error) {
	for {
		file, err := os.CreateTemp(parent, scratchPrefix+"*"+lockSuffix)
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(file)
		if err != nil {
			return nil, errors.Join(err, file.Close(), os.Remove(file.Name()))
		}
		if locked && isStill(file) {
			return file, nil
		}
		if err := file.Close(); err != nil {
			return nil, err
		}
	}
}

// isStill tells whether the name of an open file is still its own.
func isStill(file *os.File) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(file.Name())
	return err == nil && os.SameFile(opened, named)
}

// sweep removes the folders of processes that are gone. What can't be removed is left: the next process tries again.
func sweep(parent string) {
	locks, err := filepath.Glob(filepath.Join(parent, scratchPrefix+"*"+lockSuffix))
	if err != nil {
		return
	}
	for _, name := range locks {
		file, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if locked, err := tryLock(file); err == nil && locked && isStill(file) {
			if os.RemoveAll(strings.TrimSuffix(name, lockSuffix)) == nil {
				_ = os.Remove(name)
			}
		}
		_ = file.Close()
	}
}
