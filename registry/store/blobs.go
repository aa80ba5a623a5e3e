package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// blobs are the files of the store: blobs/<algorithm>/<first two digits>/<digits>.
type blobs struct {
	dir  string
	disk disk

	mu sync.Mutex
	// made are the directories that this process knows to be on the disk, with all that is in them.
	made map[string]bool
	// settling has a lock for each of them that is being made.
	settling locks

	tally

	proofs   proofs
	doubts   *doubts
	unsynced unsynced
	damaged  *quarantine
	// lock is that of a blob, for those who do not come from a push.
	lock func(d digest.Digest) (unlock func())
	// lost is told what is not there any more.
	lost func(k key, detail string)
	// named tells whether a manifest names a blob.
	named func(d digest.Digest) bool
}

func (b *blobs) path(d digest.Digest) string {
	encoded := d.Encoded()
	return filepath.Join(b.dir, d.Algorithm().String(), encoded[:2], encoded)
}

// size returns the length of a blob's file, or ErrBlobNotFound, or ErrUnreadable.
func (b *blobs) size(d digest.Digest) (int64, error) {
	info, err := os.Stat(b.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%s: %w", d, ErrBlobNotFound)
	}
	if err != nil {
		return 0, unreadable(d, err)
	}
	if !info.Mode().IsRegular() {
		return 0, &unreadableError{d, errNoFile}
	}
	return info.Size(), nil
}

func (b *blobs) open(d digest.Digest) (*os.File, fs.FileInfo, error) {
	// Files don't care for the flag; but what else somebody may have put there is not to be waited for.
	f, err := os.OpenFile(b.path(d), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("%s: %w", d, ErrBlobNotFound)
	}
	if err != nil {
		return nil, nil, unreadable(d, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return nil, nil, errors.Join(&unreadableError{d, errNoFile}, f.Close())
	}
	if err != nil {
		return nil, nil, errors.Join(unreadable(d, err), f.Close())
	}
	return f, info, nil
}

// place moves a finished temporary file to where its digest says, and has it synced. What the file holds by then is not
// known: it lay there with a name while it was written, so the first who opens it looks. From here on the file is not the
// caller's.
func (b *blobs) place(temp string, u *syncing, size int64) error {
	d := u.digest
	target := b.path(d)
	old, oldErr := b.size(d)
	switch {
	case errors.Is(oldErr, ErrUnreadable):
		if err := b.makeWay(d); err != nil {
			return fmt.Errorf("store blob %s: %w", d, err)
		}
		old = b.proven(d)
	case oldErr != nil:
		old = absent
	}
	end := b.change(d)
	if err := b.rename(temp, target); err != nil {
		end(old, old)
		return fmt.Errorf("store blob %s: %w", d, err)
	}
	end(old, size)
	b.doubts.settle(d)
	b.proofs.forget(d)
	b.hand(u)
	return nil
}

// rename moves a file into a directory, and makes the directory again when somebody took it away.
func (b *blobs) rename(temp, target string) error {
	for again := false; ; again = true {
		if err := b.settle(filepath.Dir(target)); err != nil {
			return err
		}
		err := b.disk.Rename(temp, target)
		if again || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.forget(filepath.Dir(target))
	}
}

func (b *blobs) remove(d digest.Digest) (int64, error) {
	size, err := b.size(d)
	if errors.Is(err, ErrUnreadable) {
		size, err = b.proven(d), b.makeWay(d)
	}
	if err != nil {
		return 0, err
	}
	end := b.change(d)
	if err := ignoreNotExist(b.disk.Remove(b.path(d))); err != nil {
		end(size, size)
		return 0, fmt.Errorf("remove blob %s: %w", d, err)
	}
	end(size, absent)
	b.proofs.forget(d)
	b.unsynced.forget(d)
	b.doubts.settle(d)
	return size, nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settle makes a directory, the ones above it, and the names that are in it already, durable, once in the
// life of the process. What is there may come from one that was killed. Pushes into other directories don't wait for it.
func (b *blobs) settle(dir string) error {
	if b.settled(dir) {
		return nil
	}
	defer b.settling.lock(key(dir))()
	if b.settled(dir) {
		return nil
	}
	fresh := b.disk.Mkdir(dir) == nil
	if !fresh {
		if err := makeDir(b.disk, dir); err != nil {
			return fmt.Errorf("create blob directory: %w", err)
		}
	}
	parent := filepath.Dir(dir)
	path := []string{parent}
	if !b.settled(parent) {
		path = []string{filepath.Dir(b.dir), b.dir, parent}
	}
	if !fresh {
		path = append(path, dir)
	}
	for _, name := range path {
		if err := syncDir(b.disk, name); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made[parent], b.made[dir] = true, true
	return nil
}

func (b *blobs) settled(dir string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.made[dir]
}

// forget makes settle look at a directory, and the ones above it, again.
func (b *blobs) forget(dir string) {
	defer b.settling.lock(key(dir))()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.made, dir)
	delete(b.made, filepath.Dir(dir))
}
