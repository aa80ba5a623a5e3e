package nodes

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

// TestTakeOver: who only looks whether there can be nodes holds the lock as well, but removes nothing.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	holder, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if lock, err := takeOver(t.Context(), path, 0); lock != nil || err != nil {
		t.Errorf("from somebody who stays: got %v, %v; want neither lock nor error", lock, err)
	}
	time.AfterFunc(200*time.Millisecond, func() {
		if err := holder.Release(); err != nil {
			t.Error(err)
		}
	})
	lock, err := takeOver(t.Context(), path, deadline)
	if err != nil || lock == nil {
		t.Fatalf("from somebody who passes by: got %v, %v; want the lock", lock, err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}
