package store_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// TestPowerLossOfQuarantine cuts the power around blobs that are damaged: while they are moved to quarantine, removed because
// there is no room for them, pushed again, and when the process is killed before each of that. Nobody gets what was damaged, and
// what was pushed again stays.
func TestPowerLossOfQuarantine(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	sc := &scenario{t: t, clock: &clock{}, rec: &recorder{Disk: store.OSDisk(), base: t.TempDir(), lazy: map[string]bool{}}}
	sc.open()
	const config, shared = "{}", "a layer that several have"
	first, second := sc.item("team/a", "v1", nil, config, shared), sc.item("team/b", "v1", nil, config, shared)
	sc.last = first
	sc.push(first, second)
	sc.damage(first, shared)
	sc.push(second)
	sc.damage(second, shared)
	// It is killed between the quarantine and the push, and while that goes on.
	for _, at := range []struct{ what, path string }{
		{"create", "uploads/blob-"}, {"rename", "blobs/sha256"}, {"sync directory", "blobs/sha256/"},
	} {
		sc.kill(at.what, at.path, first)
		sc.push(first)
		sc.damage(first, shared)
	}
	sc.push(first)
	for _, what := range []string{"mkdir", "rename", "remove all"} {
		sc.killDamage(what, first, shared)
		sc.push(first, second)
	}
	if err := sc.store.Close(); err != nil {
		t.Fatal(err)
	}
	problems, disks := sc.cut(seed, 10)
	for _, p := range problems {
		t.Errorf("power is cut after %q, and of what was not synced %s is on the disk: %v", p.step, p.outcome, p.err)
	}
	t.Logf("%d steps left %d different disks; the seed is %d", len(sc.rec.events), disks, seed)
}

// killDamage damages a blob, and ends the process before an operation with which it is taken away.
func (sc *scenario) killDamage(what string, i *item, content string) {
	sc.t.Helper()
	d := digest.FromString(content)
	path := blobPath(sc.dir(), d)
	sc.rec.doubt("before damage", func(w *wanted) { w.hurt[content] = true })
	bad := bytes.Repeat([]byte("!"), len(content))
	err := sc.rec.do("damage", path, func() error { return os.WriteFile(path, bad, 0o600) }, func(m *model) {
		n := m.get(sc.rec.rel(path))
		n.data, n.synced = bad, bad
	})
	if err != nil {
		sc.t.Fatal(err)
	}
	sc.rec.dies = func(did, where string) bool {
		return did == what && (strings.Contains(where, "quarantine") || where == path)
	}
	_, _, err = sc.repository(i.repo).OpenBlob(sc.t.Context(), d)
	if !errors.Is(err, store.ErrDamaged) || !errors.Is(err, errKilled) && sc.rec.dead {
		sc.t.Fatalf("killed before %s: %v", what, err)
	}
	_ = sc.store.Close()
	sc.rec.dies, sc.rec.dead = nil, false
	sc.open()
}
