package registryserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
)

// TestDamagedIndexEndsTheProcess takes the pages of the index away while it is in use. The process has to end, and the next one works.
func TestDamagedIndexEndsTheProcess(t *testing.T) {
	t.Parallel()
	client, o := reconcilertest.New(t).Client, optionsOf(t)
	r := newRegistry(t, client, o)
	if _, err := storetest.Fill(t.Context(), r.Store(), 3); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.watch(t.Context()) }()
	path := filepath.Join(o.Dir, "index.db")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	metas := int64(2 * os.Getpagesize())
	_, err = f.WriteAt(make([]byte, info.Size()-metas), metas)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store().Scrub(t.Context(), 0); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("the scrub says %v", err)
	}
	if err := <-ended; !errors.Is(err, store.ErrDamaged) {
		t.Errorf("the process ends with %v", err)
	}
	if err := r.probe(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("the check says %v", err)
	}
	if err := r.store.Close(); err != nil && !errors.Is(err, store.ErrDamaged) {
		t.Fatal(err)
	}
	again := newRegistry(t, client, o)
	if _, err := storetest.Fill(t.Context(), again.Store(), 3); err != nil {
		t.Errorf("the next process takes nothing: %v", err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Errorf("nobody can look at what happened: %v", err)
	}
}
