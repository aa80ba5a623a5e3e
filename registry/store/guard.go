package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// guard sets up what watches over room and damage.
func (s *Store) guard(dir string, o Options) {
	kept := int64(maxQuarantinedBytes)
	if o.MaxBytes > 0 {
		kept = min(kept, o.MaxBytes/20)
	}
	s.blobs.damaged = &quarantine{dir: filepath.Join(dir, "quarantine"), disk: s.disk, now: o.Now, most: kept}
	s.blobs.lost, s.blobs.unsynced = s.lose, newUnsynced()
	s.blobs.lock = func(d digest.Digest) func() { return s.locks.lock(blobKey(d)) }
	s.blobs.named = func(d digest.Digest) bool {
		used, err := s.referenced(blobKey(d))
		return used || err != nil
	}
	s.blobs.doubts = newDoubts(o.Now, s.writes)
	s.notify, s.losses = o.Notify, newLosses()
	s.refusals = refusals{notify: o.Notify, now: o.Now, most: o.MaxBytes, all: map[string]refusal{}}
	s.pressure = newPressure()
	s.reads = newReads()
	s.room = newRoom(o, s.used, func() (usage, bool) { return o.usage(dir) })
}

// used is what counts for Options.MaxBytes.
func (s *Store) used() int64 {
	return max(0, s.blobs.bytes.Load()) + s.staging.bytes.Load() + s.blobs.damaged.bytes.Load()
}

// purge removes what a process that was killed has left beside its uploads.
func (s *Store) purge() error {
	err := ignoreNotExist(s.disk.Remove(filepath.Join(s.blobs.dir, probeName)))
	return errors.Join(err, s.blobs.damaged.load())
}

// fullIndex makes the error of an index without room one that says what to do.
func fullIndex(err error) error {
	if !noRoom(err) || errors.Is(err, ErrStorageFull) {
		return err
	}
	return &StorageFullError{Err: plain(err)}
}

// plain is what the system says about a disk that is full, without the names of files that are others with each try.
func plain(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return syscall.ENOSPC
}

// missing adds the repository to the error of a blob that is linked to it. Others that use a blob that is gone hear of it.
func (r *Repository) missing(d digest.Digest, err error) error {
	if errors.Is(err, ErrBlobNotFound) {
		r.store.lose(blobKey(d), goneBlob(d))
	}
	return fmt.Errorf("repository %s: %w", r.name, err)
}

func goneBlob(d digest.Digest) string     { return fmt.Sprintf("blob %s is gone", d) }
func goneManifest(d digest.Digest) string { return fmt.Sprintf("manifest %s is gone", d) }

// dropBody takes the bytes of a damaged manifest away, so that it can be pushed again. It is for whoever has the manifest's
// lock.
func (s *Store) dropBody(d digest.Digest) error {
	err := s.update(func(tx *bbolt.Tx) error {
		if d.Algorithm().FromBytes(body(tx, d)) == d {
			return nil
		}
		return deleteBody(tx, d)
	})
	if err != nil {
		return fmt.Errorf("take manifest %s away: %w", d, err)
	}
	s.losses.manifests.Add(1)
	s.lose(manifestKey(d), fmt.Sprintf("manifest %s is damaged, and was taken away", d))
	return nil
}
