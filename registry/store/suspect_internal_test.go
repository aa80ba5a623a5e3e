package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"
)

// TestGuarded tells damage, which becomes an error, from mistakes of this program, which stay panics.
func TestGuarded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	beyond, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Munmap(beyond); err != nil {
			t.Error(err)
		}
	}()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, tc := range map[string]struct {
		run    func() error
		damage bool
		reason string
	}{
		"fault":            {func() error { _ = bytes.Clone(beyond); return nil }, true, "the disk does not give back a page that is mapped"},
		"database":         {func() error { _ = (&bbolt.Bucket{}).Cursor(); return nil }, true, "its own panics are about pages"},
		"index":            {func() error { _ = at(nil, 1); return nil }, false, "it is an error of the caller"},
		"nil":              {func() error { touch(nil); return nil }, false, "nothing was read from the disk"},
		"own":              {func() error { panic("a mistake") }, false, "it says nothing about the disk"},
		"in a transaction": {func() error { return db.View(func(*bbolt.Tx) error { panic("a mistake") }) }, false, "the database has only called it"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); (p == nil) != tc.damage {
					t.Errorf("%s: the panic is %v", tc.reason, p)
				}
			}()
			if err := guarded(tc.run); !errors.Is(err, ErrDamaged) || !tc.damage {
				t.Errorf("%s: got %v", tc.reason, err)
			}
		})
	}
}

func at(b []byte, i int) byte { return b[i] }

func touch(s *Store) { s.uploads = "" }

// FuzzPages walks through pages of anything. It must end, and what it finds must be damage.
func FuzzPages(f *testing.F) {
	path := filepath.Join(f.TempDir(), "index.db")
	db, err := openDatabase(path, true, nil)
	if err != nil {
		f.Fatal(err)
	}
	err = db.Update(preparing(nil))
	for i := range 40 {
		err = errors.Join(err, db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketNames).Put(bytes.Repeat([]byte{byte(i)}, 200), []byte("value"))
		}))
	}
	if err := errors.Join(err, db.Close()); err != nil {
		f.Fatal(err)
	}
	index, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	pageSize := os.Getpagesize()
	for root := range uint64(16) {
		f.Add(index, root, root+1)
	}
	f.Add([]byte{}, uint64(2), uint64(3))
	f.Fuzz(func(t *testing.T, file []byte, root, free uint64) {
		p := newPages(bytes.NewReader(file), int64(len(file)), int64(pageSize), int64(len(file)))
		p.whole = true
		if err := p.check(root, free); err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v, want %v", err, ErrDamaged)
		}
	})
}
