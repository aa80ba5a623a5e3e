package store

import "os"

// SyncDirs replaces how directories are synced, for tests of disks that fail.
func (s *Store) SyncDirs(sync func(dir *os.File) error) { s.blobs.fsync = sync }
