package store

// SyncDirs replaces how directories and files are synced, for tests of disks that fail.
func (s *Store) SyncDirs(sync func(path string, really func() error) error) {
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
