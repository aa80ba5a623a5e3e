package endurance

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// diskSize is what a few versions of the sample component need, and the index of the registry.
const diskSize = "size=4m"

// smallDisk mounts a file system in memory at a folder. Who may not do that gets a folder that can be made unwritable, which
// lets the operator fail at the same place.
func smallDisk(t *testing.T, dir string) disk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return lockedDisk(dir)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, diskSize); err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		// The operator ends before this, and its cluster's folder is removed after it.
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	return disk{complaint: syscall.ENOSPC.Error(), readable: true, fill: func(t *testing.T) {
		t.Helper()
		file, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(file, endless{})
		if closed := file.Close(); !errors.Is(err, syscall.ENOSPC) || closed != nil {
			t.Fatalf("fill the disk: %v, %v", err, closed)
		}
	}, free: func(t *testing.T) {
		t.Helper()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}}
}

// endless is a reader of zeros that never end.
type endless struct{}

// Read implements io.Reader.
func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
