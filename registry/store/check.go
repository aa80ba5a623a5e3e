package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
)

// probeName is no digest, so nobody takes what a crash leaves of a probe for a blob.
const probeName = "probe"

// checkEvery keeps readiness probes from wearing the disk.
const checkEvery = 5 * time.Second

// verdict is what the last check has found.
type verdict struct {
	sync.Mutex
	at time.Time
	// err says why the store is of no use.
	err error
	// unwritable says why it takes nothing new. It is read without the lock, which is held as long as the disk takes.
	unwritable atomic.Pointer[error]
}

// Check proves that the store can be read and written: it sends a file the way of a blob and reads it back, and does the same
// to the index. A disk that is full is no error, because what is there can be read still; Writable tells about it. A verdict
// holds for some seconds.
func (s *Store) Check(ctx context.Context) error {
	s.check.Lock()
	defer s.check.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := s.index.damaged(); err != nil {
		return err
	}
	now := s.now()
	if age := now.Sub(s.check.at); age >= 0 && age < checkEvery {
		return s.check.err
	}
	s.check.at, s.check.err = now, s.checkRead()
	var unwritable error
	probe := []byte(rand.Text())
	for _, write := range []func([]byte) error{s.checkFile, s.checkIndex} {
		err := write(probe)
		unwritable = errors.Join(unwritable, err)
		if !noRoom(err) {
			s.check.err = errors.Join(s.check.err, err)
		}
	}
	s.check.unwritable.Store(&unwritable)
	return s.check.err
}

// Writable returns why the last check could not write; nil before the first one. It waits for no disk.
func (s *Store) Writable() error {
	if found := s.check.unwritable.Load(); found != nil {
		return *found
	}
	return nil
}

// noRoom recognises a disk or a quota that is used up. The index knows some of its errors by their text only.
func noRoom(err error) bool {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		if err != nil && (errors.Is(err, full) || strings.Contains(err.Error(), full.Error())) {
			return true
		}
	}
	return false
}

// checkRead is for a disk that can't be written: it looks into the directory of blobs and the index.
func (s *Store) checkRead() error {
	dir, err := os.Open(s.blobs.dir)
	if ignoreNotExist(err) != nil {
		return fmt.Errorf("registry store is not readable: %w", err)
	}
	if err == nil {
		// A directory that was taken away is made again with the next blob.
		_, err = dir.Readdirnames(1)
		if err = errors.Join(err, dir.Close()); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("registry store is not readable: %w", err)
		}
	}
	if err := s.blobs.sick(); err != nil {
		return err
	}
	return s.view(func(tx *bbolt.Tx) error {
		if got := tx.Bucket(bucketState).Get(keyFormat); string(got) != format {
			return fmt.Errorf("%w: registry index has the format %q, and had %q", ErrDamaged, got, format)
		}
		return nil
	})
}

func (s *Store) checkFile(probe []byte) (err error) {
	f, err := s.temporary("probe-")
	if err != nil {
		return fmt.Errorf("registry store is not writable: %w", err)
	}
	name := f.Name()
	defer func() { err = errors.Join(err, f.Close(), ignoreNotExist(s.disk.Remove(name))) }()
	if _, err := f.Write(probe); err != nil {
		return fmt.Errorf("registry store is not writable: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("registry store is not writable: %w", err)
	}
	placed := filepath.Join(s.blobs.dir, probeName)
	if err := s.blobs.rename(name, placed); err != nil {
		return fmt.Errorf("registry store is not writable: %w", err)
	}
	name = placed
	got, err := os.ReadFile(placed)
	if err != nil {
		return fmt.Errorf("registry store is not readable: %w", err)
	}
	if !bytes.Equal(got, probe) {
		return errors.New("registry store gives back other bytes than were written")
	}
	return nil
}

func (s *Store) checkIndex(probe []byte) error {
	err := s.update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketState).Put(keyProbe, probe) })
	if err != nil {
		return fmt.Errorf("registry index is not writable: %w", err)
	}
	return s.view(func(tx *bbolt.Tx) error {
		if !bytes.Equal(tx.Bucket(bucketState).Get(keyProbe), probe) {
			return errors.New("registry index gives back other bytes than were written")
		}
		return nil
	})
}
