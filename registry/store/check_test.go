package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestCheckOfFullDisk: who pulls must not lose a store because nothing more fits into it.
func TestCheckOfFullDisk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err   error
		sound bool
	}{
		"full disk":   {syscall.ENOSPC, true},
		"used quota":  {syscall.EDQUOT, true},
		"text alone":  {errors.New("file resize error: " + syscall.ENOSPC.Error()), true},
		"broken disk": {syscall.EIO, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, c := t.TempDir(), &clock{}
			s, err := store.Open(dir, store.Options{Now: c.Now})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			check := func() error {
				c.Advance(time.Minute)
				return s.Check(t.Context())
			}
			if err := errors.Join(s.Writable(), check(), s.Writable()); err != nil {
				t.Fatalf("sound store: %v", err)
			}
			blobs := filepath.Join(dir, "blobs")
			s.SyncDirs(func(string, func() error) error { return tc.err })
			if err := check(); (err == nil) != tc.sound {
				t.Errorf("got %v, want that the store is sound: %t", err, tc.sound)
			}
			if err := s.Writable(); !errors.Is(err, tc.err) {
				t.Errorf("it is writable but for %v, want %v", err, tc.err)
			}
			if err := errors.Join(os.Remove(blobs), os.WriteFile(blobs, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := check(); err == nil {
				t.Error("a store that can't be read is called sound because its disk is full, too")
			}
			s.SyncDirs(func(_ string, really func() error) error { return really() })
			if err := errors.Join(os.Remove(blobs), check(), s.Writable()); err != nil {
				t.Errorf("with room again: %v", err)
			}
		})
	}
}
