package store

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// SyncDirs replaces how directories and files are synced, for tests of disks that fail.
func (s *Store) SyncDirs(sync func(path string, really func() error) error) {
	s.blobs.unsynced.wait()
	s.disk = failing{osDisk{}, sync}
	s.blobs.disk = s.disk
}

type failing struct {
	disk

	sync func(path string, really func() error) error
}

func (f failing) CreateTemp(dir, pattern string) (diskFile, error) {
	file, err := f.disk.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	return failingFile{file, f}, nil
}

func (f failing) SyncFile(path string) error {
	return f.sync(path, func() error { return f.disk.SyncFile(path) })
}

func (f failing) SyncDir(path string) error {
	return f.sync(path, func() error { return f.disk.SyncDir(path) })
}

type failingFile struct {
	diskFile

	on failing
}

func (f failingFile) Sync() error { return f.on.sync(f.Name(), f.diskFile.Sync) }

// Body and PutBody are for tests that damage an index.
var (
	Body    = body
	PutBody = putBody
)

// Disk is for tests that bring a disk of their own.
type (
	Disk     = disk
	DiskFile = diskFile
)

// OSDisk is the file system of the machine.
func OSDisk() Disk { return osDisk{} }

// OnDisk has a store use another disk.
func OnDisk(d Disk, o Options) Options {
	o.disk = d
	return o
}

// OnUsage has a store believe in a disk of another size.
func OnUsage(o Options, ask func() (free, total int64)) Options {
	o.usage = func(string) (usage, bool) {
		free, total := ask()
		return usage{free: free, total: total}, true
	}
	return o
}

// ScrubPaced scrubs with a clock of the test: tick is called in place of waiting for the next tick.
func (s *Store) ScrubPaced(ctx context.Context, rate int64, tick func(d time.Duration)) (ScrubStats, error) {
	return s.scrub(ctx, &pacer{rate: rate, sleep: func(ctx context.Context, d time.Duration) error {
		tick(d)
		return context.Cause(ctx)
	}})
}

// OfferRoom is what a collector does now and then.
func (s *Store) OfferRoom() { s.offerRoom() }

// Holds tells whether a manifest is in a repository, without that it counts as read.
func (s *Store) Holds(name string, d digest.Digest) (found bool) {
	_ = s.view(func(tx *bbolt.Tx) error {
		if repo, exists := readRepo(tx, name); exists {
			rec, err := repo.record(d)
			found = rec != nil
			return err
		}
		return nil
	})
	return found
}

// Collectors is how many run.
func (s *Store) Collectors() int {
	s.pressure.mu.Lock()
	defer s.pressure.mu.Unlock()
	return s.pressure.collectors
}

// Take takes room for bytes and gives it back.
func (s *Store) Take(repository string, n int64) error {
	err := s.take(repository, 0, n, false)
	s.staging.bytes.Add(-n)
	return err
}

// Counted returns when it is known how many blobs there are.
func (s *Store) Counted() { <-s.blobs.ready }

// Broken tells whether the index turned out to be damaged.
func (s *Store) Broken() bool { return s.index.damaged() != nil }
