package registry_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
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
	if err := storetest.DamageManifest(dir, image.Digest); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c, s = open(&log)
	defer s.Close()
	c.expect(500, "UNKNOWN", "GET", "/v2/a/manifests/v1", nil)
	c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/v1", nil)
	c.expect(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/manifests/"+image.Digest.String(), nil)
	if got := log.String(); strings.Count(got, "registry request failed") != 1 || !strings.Contains(got, "damaged") || !strings.Contains(got, image.Digest.String()) {
		t.Errorf("log: %s", got)
	}
}

// TestDamagedBlob changes a blob on the disk and pulls it: nobody gets its bytes, the log says so once, and a push that looks
// whether it is there repairs it.
func TestDamagedBlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var log bytes.Buffer
	o := registry.Options{Authorizer: auth.AllowAll(), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))}
	c := &client{t: t, handler: registry.NewHandler(s, o)}
	c.artifact("a", "v1", "layer")
	layer := digest.FromString("layer")
	path := filepath.Join(dir, "blobs", "sha256", layer.Encoded()[:2], layer.Encoded())
	if err := os.WriteFile(path, []byte("LAYER"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.expect(500, "UNKNOWN", "GET", "/v2/a/blobs/"+layer.String(), nil)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/a/blobs/"+layer.String(), nil)
	c.expect(404, "BLOB_UNKNOWN", "HEAD", "/v2/a/blobs/"+layer.String(), nil)
	if got := log.String(); strings.Count(got, "registry request failed") != 1 || !strings.Contains(got, "damaged") || !strings.Contains(got, layer.String()) {
		t.Errorf("log: %s", got)
	}
	c.artifact("a", "v1", "layer")
	c.expect(200, "", "GET", "/v2/a/blobs/"+layer.String(), nil)
}

// TestUnreadableBlob pulls a blob that the disk does not give back. Whoever asks comes again, until it is known that this does
// not pass.
func TestUnreadableBlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var seconds atomic.Int64
	s, err := store.Open(dir, store.Options{NoSync: true, Now: func() time.Time { return time.Unix(1_700_000_000+seconds.Load(), 0) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := &client{t: t, handler: registry.NewHandler(s, registry.Options{Authorizer: auth.AllowAll()})}
	c.artifact("a", "v1", "layer")
	layer := digest.FromString("layer")
	path := filepath.Join(dir, "blobs", "sha256", layer.Encoded()[:2], layer.Encoded())
	if err := errors.Join(os.Remove(path), os.Symlink(path, path)); err != nil {
		t.Fatal(err)
	}
	c.expect(503, "UNKNOWN", "GET", "/v2/a/blobs/"+layer.String(), nil)
	c.expect(503, "UNKNOWN", "HEAD", "/v2/a/blobs/"+layer.String(), nil)
	seconds.Add(5)
	c.expect(500, "UNKNOWN", "GET", "/v2/a/blobs/"+layer.String(), nil)
	c.expect(404, "BLOB_UNKNOWN", "GET", "/v2/a/blobs/"+layer.String(), nil)
	c.artifact("a", "v1", "layer")
	c.expect(200, "", "GET", "/v2/a/blobs/"+layer.String(), nil)
}
