package registry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestDamagedIndex changes a manifest on the disk. That is no mistake of the client, and has to be in the log.
func TestDamagedIndex(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(log *bytes.Buffer) (*client, *store.Store) {
		s, err := store.Open(dir, store.Options{NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		o := registry.Options{Authorizer: auth.AllowAll(), Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))}
		return &client{t: t, handler: registry.NewHandler(s, o)}, s
	}
	c, s := open(&bytes.Buffer{})
	image := c.artifact("a", "v1", "layer")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(filepath.Join(dir, "index.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("bodies")).Put([]byte(image.Digest), []byte("{}"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c, s = open(&log)
	defer s.Close()
	c.expect(500, "UNKNOWN", "GET", "/v2/a/manifests/v1", nil)
	c.expect(500, "UNKNOWN", "GET", "/v2/a/manifests/"+image.Digest.String(), nil)
	if got := log.String(); strings.Count(got, "registry request failed") != 2 || !strings.Contains(got, "damaged") || !strings.Contains(got, image.Digest.String()) {
		t.Errorf("log: %s", got)
	}
}
