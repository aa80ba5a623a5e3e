package binaries

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPromtool(t *testing.T) { // changes the environment, so not in parallel
	c, err := Open(Options{Dir: t.TempDir(), Source: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if path, err := c.Promtool(t.Context()); !errors.Is(err, ErrNoPackages) {
		t.Errorf("nothing to fetch it with: got %q, %v; want that it can't be had", path, err)
	}
	calls := distribution(t)
	if path, err := c.Promtool(t.Context()); err == nil || errors.Is(err, ErrNoPackages) {
		t.Errorf("a package without it: got %q, %v; want an error that is no reason to do without", path, err)
	}
	if c, err = Open(Options{Dir: t.TempDir(), Source: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(os.Getenv("PATH"), "dpkg"), "#!/bin/sh\n/bin/mkdir -p \"$3/usr/bin\"\necho > \"$3/usr/bin/promtool\"\n")
	path, err := c.Promtool(t.Context())
	if err != nil || !strings.HasSuffix(path, "/usr/bin/promtool") {
		t.Fatalf("from its package: got %q, %v", path, err)
	}
	before, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Promtool(t.Context())
	after, unread := os.ReadFile(calls)
	if err != nil || unread != nil || again != path || !bytes.Equal(after, before) {
		t.Errorf("again: got %q, %v, %v and the calls %s; want what was fetched", again, err, unread, after)
	}
	installed := filepath.Join(t.TempDir(), "promtool")
	write(t, installed, "#!/bin/sh\n")
	t.Setenv("PATH", filepath.Dir(installed))
	if path, err := c.Promtool(t.Context()); err != nil || path != installed {
		t.Errorf("installed: got %q, %v; want %q", path, err, installed)
	}
}
