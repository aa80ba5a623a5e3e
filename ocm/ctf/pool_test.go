package ctf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to be that %s", what)
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
}

// openFiles lists the files that this process has open below a directory, those without a name included.
func openFiles(t *testing.T, dir string) []string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not tell which files are open")
	}
	var open []string
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, dir) {
			open = append(open, target)
		}
	}
	return open
}

func repositoryOf(t testing.TB, store *ctf.Store) oci.Storage {
	t.Helper()
	repo, err := store.Repository("a/b")
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// one returns an archive with one manifest, tagged 1.
func one(t testing.TB, content string) []byte {
	t.Helper()
	return archiveOf(t, indexFile(entry("a/b", "1", content)), blobFile(content))
}

func newPool(t *testing.T, room int64) (*ctf.Pool, *ctf.Room, string) {
	t.Helper()
	temp, shared := t.TempDir(), ctf.NewRoom(room)
	pool := ctf.NewPool(ctf.PoolOptions{Options: ctf.Options{TempDir: temp, Room: shared, OneName: true}})
	t.Cleanup(pool.Close)
	return pool, shared, temp
}

// allForms puts an archive of each form into a folder, and returns their names.
func allForms(t *testing.T, dir string) []string {
	t.Helper()
	folder := directory(t, indexFile(entry("a/b", "1", manifest)), blobFile(manifest))
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "x.tar"), one(t, manifest), 0o600),
		os.WriteFile(filepath.Join(dir, "x.tgz"), gzipped(t, one(t, manifest)), 0o600),
		os.Rename(folder, filepath.Join(dir, "folder")))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"x.tar", "x.tgz", "folder"}
}

// TestPoolClosesWhatNobodyReads reads archives of every form, and counts open files and the room that they take.
func TestPoolClosesWhatNobodyReads(t *testing.T) {
	t.Parallel()
	pool, room, temp := newPool(t, 1<<20)
	dir := t.TempDir()
	for _, name := range allForms(t, dir) {
		repo := repositoryOf(t, pool.Store(name, ctf.FileSource{Dir: dir, Name: name, Label: name, Keep: time.Millisecond}))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if m, err := repo.Manifest(t.Context(), "1"); err != nil || string(m.Bytes) != manifest {
					t.Errorf("%s: Manifest = %v, %v", name, m, err)
				}
			})
		}
		all.Wait()
		rc, _, err := repo.Blob(t.Context(), digest.FromString(manifest), -1)
		if err != nil {
			t.Fatal(err)
		}
		if pool.Open() != 1 || name == "x.tgz" && room.Used() == 0 {
			t.Errorf("%s: %d stores are open that take %d bytes while a blob is read, want one", name, pool.Open(), room.Used())
		}
		if got, err := io.ReadAll(rc); err != nil || string(got) != manifest {
			t.Errorf("%s: blob = %q, %v", name, got, err)
		}
		rc.Close()
		rc.Close() // harmless
		eventually(t, name+" is closed and takes no room", func() bool { return pool.Open() == 0 && room.Used() == 0 })
		if left := append(openFiles(t, dir), openFiles(t, temp)...); len(left) > 0 {
			t.Errorf("%s: files are still open: %q", name, left)
		}
	}
}

// TestPoolSeesChanges replaces an archive, by another file and in place, while it is read.
func TestPoolSeesChanges(t *testing.T) {
	t.Parallel()
	pool, _, _ := newPool(t, 1<<20)
	dir := t.TempDir()
	path := filepath.Join(dir, "x.tgz")
	put := func(content string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path+".new", gzipped(t, one(t, content)), 0o600), os.Rename(path+".new", path)); err != nil {
			t.Fatal(err)
		}
	}
	put(manifest)
	repo := repositoryOf(t, pool.Store("x", ctf.FileSource{Dir: dir, Name: "x.tgz", Label: "x", Keep: time.Hour}))
	old, _, err := repo.Blob(t.Context(), digest.FromString(manifest), -1)
	if err != nil {
		t.Fatal(err)
	}
	second := `{"second":true,"layers":[]}`
	put(second)
	if m, err := repo.Manifest(t.Context(), "1"); err != nil || string(m.Bytes) != second {
		t.Errorf("Manifest after the archive was replaced = %v, %v", m, err)
	}
	if got, err := io.ReadAll(old); err != nil || string(got) != manifest {
		t.Errorf("a blob that was opened before = %q, %v", got, err)
	}
	old.Close()
	third := `{"third":true,"layers":[],"config":{}}`
	if err := os.WriteFile(path, gzipped(t, one(t, third)), 0o600); err != nil {
		t.Fatal(err)
	}
	// By its digest, which nobody has told this pool yet: it looks for what is missing in what is there now.
	if m, err := repo.Manifest(t.Context(), digest.FromString(third).String()); err != nil || string(m.Bytes) != third {
		t.Errorf("Manifest after the archive was written anew = %v, %v", m, err)
	}
	if n := pool.Open(); n != 1 {
		t.Errorf("%d stores are open, want the last one only", n)
	}
}

// TestPoolSeesRemoval closes an archive that is removed.
func TestPoolSeesRemoval(t *testing.T) {
	t.Parallel()
	pool, _, temp := newPool(t, 1<<20)
	path := write(t, "x.tgz", gzipped(t, one(t, manifest)))
	repo := repositoryOf(t, pool.Store("x", ctf.FileSource{Dir: filepath.Dir(path), Name: "x.tgz", Label: "x", Keep: time.Hour}))
	if tags, err := repo.Tags(t.Context()); err != nil || len(tags) != 1 {
		t.Fatalf("Tags = %v, %v", tags, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Tags(t.Context()); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("Tags of what was removed = %v, want ErrNotFound", err)
	}
	eventually(t, "what was removed is closed", func() bool { return pool.Open() == 0 && len(openFiles(t, temp)) == 0 })
}

// TestPoolRoom opens more than there is room for.
func TestPoolRoom(t *testing.T) {
	t.Parallel()
	pool, room, _ := newPool(t, 150<<10)
	dir := t.TempDir()
	var repos []oci.Storage
	var contents []string
	for i := range 3 {
		name := fmt.Sprintf("%d.tgz", i)
		contents = append(contents, strings.Repeat(strconv.Itoa(i), 100<<10))
		if err := os.WriteFile(filepath.Join(dir, name), gzipped(t, one(t, contents[i])), 0o600); err != nil {
			t.Fatal(err)
		}
		repos = append(repos, repositoryOf(t, pool.Store(name, ctf.FileSource{Dir: dir, Name: name, Label: name, Keep: time.Hour})))
	}
	for i, repo := range repos {
		rc, size, err := repo.Blob(t.Context(), digest.FromString(contents[i]), -1)
		if err != nil || size != 100<<10 {
			t.Fatalf("archive %d: Blob = %d, %v", i, size, err)
		}
		if room.Used() != 100<<10 || pool.Open() != 1 {
			t.Errorf("archive %d: %d stores take %d bytes, want that the one before made room", i, pool.Open(), room.Used())
		}
		if other := repos[(i+1)%3]; i == 2 {
			if _, err := other.Tags(t.Context()); !errors.Is(err, ctf.ErrNoRoom) {
				t.Errorf("Tags while another archive is read = %v, want ErrNoRoom", err)
			}
		}
		rc.Close()
	}
}

// slow is a source that opens when it is told to.
type slow struct {
	ctf.FileSource

	begun, release chan struct{}
}

// Open implements ctf.Source.
func (s slow) Open(ctx context.Context, known ctf.Version, o ctf.Options) (*ctf.Store, ctf.Version, error) {
	s.begun <- struct{}{}
	<-s.release
	return s.FileSource.Open(ctx, known, o)
}

// TestPoolGoesOn lets everybody give up who waits for an archive: it is opened nevertheless, and closed as any other.
func TestPoolGoesOn(t *testing.T) {
	t.Parallel()
	pool, room, _ := newPool(t, 1<<20)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.tgz"), gzipped(t, one(t, manifest)), 0o600); err != nil {
		t.Fatal(err)
	}
	from := slow{
		FileSource: ctf.FileSource{Dir: dir, Name: "x.tgz", Label: "x", Keep: time.Millisecond},
		begun:      make(chan struct{}, 9), release: make(chan struct{}),
	}
	repo := repositoryOf(t, pool.Store("x", from))
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := repo.Tags(ctx)
		result <- err
	}()
	<-from.begun
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Tags = %v, want Canceled", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, _, err := repo.Blob(ctx, digest.FromString(manifest), -1); err == nil {
		t.Error("Blob does not end with its context")
	}
	close(from.release)
	eventually(t, "the archive was opened and closed again", func() bool { return pool.Open() == 0 && room.Used() == 0 })
	if tags, err := repo.Tags(t.Context()); err != nil || len(tags) != 1 {
		t.Errorf("Tags = %v, %v", tags, err)
	}
}

// panicking is a source whose content its parser can't stand.
type panicking struct{ ctf.FileSource }

// Open implements ctf.Source.
func (panicking) Open(context.Context, ctf.Version, ctf.Options) (*ctf.Store, ctf.Version, error) {
	panic("at the disco")
}

func TestPoolErrors(t *testing.T) {
	t.Parallel()
	pool, _, _ := newPool(t, 1<<20)
	if _, err := repositoryOf(t, pool.Store("x", panicking{})).Tags(t.Context()); err == nil || !strings.Contains(err.Error(), "panic") || !strings.Contains(panics.Stack(err), "panicking") {
		t.Errorf("Tags = %v, want the panic", err)
	}
	path := write(t, "x.tar", one(t, manifest))
	store := pool.Store("y", ctf.FileSource{Dir: filepath.Dir(path), Name: "x.tar", Label: "y"})
	if _, err := repositoryOf(t, store).PushManifest(t.Context(), "", []byte(`{"layers":[]}`), "2"); err == nil || !strings.Contains(err.Error(), "reading only") {
		t.Errorf("PushManifest = %v, want that it is for reading", err)
	}
	if blobs, err := store.Blobs(t.Context()); err != nil || len(blobs) != 1 {
		t.Errorf("Blobs = %v, %v", blobs, err)
	}
	pool.Close()
	if _, err := repositoryOf(t, store).Tags(t.Context()); err == nil {
		t.Error("a pool that was closed opens archives")
	}
}

// writeBelow writes to an archive below a directory.
func writeBelow(t *testing.T, dir, name string) error {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return ctf.UpdateBelow(t.Context(), root, name, name, ctf.Options{OneName: true, TempDir: t.TempDir()}, func(s *ctf.Store) error {
		_, err := repositoryOf(t, s).PushManifest(t.Context(), "", []byte(`{"layers":[]}`), "2")
		return err
	})
}

// TestBelowLeadsNowhereElse tries to get at files of others.
func TestBelowLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o700), os.Mkdir(filepath.Join(dir, "mine"), 0o700),
		os.WriteFile(filepath.Join(theirs, "x.tar"), one(t, manifest), 0o600),
		os.Symlink("../theirs/x.tar", filepath.Join(dir, "mine", "link.tar")),
		os.Symlink(filepath.Join(theirs, "x.tar"), filepath.Join(dir, "mine", "absolute.tar")),
		os.Symlink("../theirs", filepath.Join(dir, "mine", "folder")),
		os.Symlink("theirs", filepath.Join(dir, "alias")),
		os.Link(filepath.Join(theirs, "x.tar"), filepath.Join(dir, "mine", "hard.tar"))); err != nil {
		t.Fatal(err)
	}
	pool, _, _ := newPool(t, 1<<20)
	for _, name := range []string{
		"mine/../theirs/x.tar", "../theirs/x.tar", "/theirs/x.tar", theirs + "/x.tar", "mine//x.tar", "mine/./x.tar", "mine/link.tar", "mine/absolute.tar",
		"mine/folder/x.tar", "mine/hard.tar", "alias/x.tar", "Theirs/x.tar", "theirs/X.TAR", ".", "", "mine", "theirs/x.tar/blobs",
	} {
		repo := repositoryOf(t, pool.Store(name, ctf.FileSource{Dir: dir, Name: name, Label: name}))
		if tags, err := repo.Tags(t.Context()); err == nil {
			t.Errorf("%q was opened: %v", name, tags)
		}
		if strings.Contains(name, "X.TAR") || strings.Contains(name, "Theirs") || name == "mine" {
			continue // files and folders that may be made
		}
		if err := writeBelow(t, dir, name); err == nil {
			t.Errorf("%q was written to", name)
		}
	}
	if after, err := os.ReadFile(filepath.Join(theirs, "x.tar")); err != nil || !bytes.Equal(after, one(t, manifest)) {
		t.Errorf("their archive changed: %v", err)
	}
}
