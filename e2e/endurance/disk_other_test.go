//go:build !linux

package endurance

import (
	"os"
	"testing"
)

// smallDisk is a folder that can be made unwritable.
func smallDisk(t *testing.T, dir string) disk {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return lockedDisk(dir)
}
