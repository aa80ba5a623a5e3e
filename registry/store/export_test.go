package store

import "os"

// SyncDirs replaces how directories and the probe are synced, for tests of disks that fail.
func (s *Store) SyncDirs(sync func(f *os.File) error) { s.blobs.fsync = sync }
