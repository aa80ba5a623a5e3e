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
