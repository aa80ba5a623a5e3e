package filelock

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestReleasedWhileForking: a child that is being forked has the file too, for as long as it takes to run its program.
func TestReleasedWhileForking(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := Try(path)
	if err != nil {
		t.Fatal(err)
	}
	child, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(child) })
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Try(path)
	if err != nil {
		t.Fatalf("the lock is still held: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}
