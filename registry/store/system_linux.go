package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// diskUsage asks the file system of a directory for its size, and for what is left of it to those who are not root.
func diskUsage(dir string) (usage, bool) {
	var s unix.Statfs_t
	// Some file systems have no blocks, and tell nothing by that: those in memory without a limit, and those of other programs.
	if err := unix.Statfs(dir, &s); err != nil || s.Frsize <= 0 || s.Blocks == 0 {
		return usage{}, false
	}
	block := s.Frsize
	free := int64(s.Bavail) * block //nolint:gosec // no file system has 8 EiB
	return usage{
		free: free, total: int64(s.Blocks-s.Bfree)*block + free, //nolint:gosec // as above
		freeFiles: int64(s.Ffree), files: int64(s.Files), //nolint:gosec // as above
	}, true
}

// dropCache asks the system to forget the bytes of a file, so that they are read from the disk, and take no room from others'.
// It is a wish: what can't be forgotten stays.
func dropCache(f *os.File, offset, length int64) {
	_ = unix.Fadvise(int(f.Fd()), offset, length, unix.FADV_DONTNEED)
}

// startSync asks the system to begin to write a file. What syncs of several files have to wait for is written together then.
func startSync(f diskFile) {
	if file, ok := f.(*os.File); ok {
		_ = unix.SyncFileRange(int(file.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	}
}
