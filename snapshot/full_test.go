package snapshot_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// TestFull has a store without room for the end of what is written: what is to be done about it is said once.
func TestFull(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"of the content": 2 << 10, "of the config": 1<<10 - 1} {
		s, err := store.Open(t.TempDir(), store.Options{NoSync: true, MaxBytes: 1 << 10, Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		repository, err := snapshot.Embedded(s).Repository("default/app")
		if err != nil {
			t.Fatal(err)
		}
		_, err = snapshot.Write(t.Context(), repository, snapshot.Meta{Kind: snapshot.Opaque}, func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("x", size))
			return err
		})
		if !errors.Is(err, snapshot.ErrStorageFull) || !errors.Is(err, store.ErrStorageFull) {
			t.Fatalf("no room for the end %s: %v", name, err)
		}
		if got := err.Error(); !strings.Contains(got, "--registry-max-size") || strings.Count(got, "full") != 1 {
			t.Errorf("no room for the end %s: %q does not say once what is to be done", name, got)
		}
	}
}
