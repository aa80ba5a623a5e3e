package ctf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// push stores a blob, and a manifest that only differs by its tag.
func push(t testing.TB, store *ctf.Store, tag string, blob []byte) error {
	t.Helper()
	repo := repositoryOf(t, store)
	desc := ocispec.Descriptor{Digest: digest.FromBytes(blob), Size: int64(len(blob))}
	if err := repo.PushBlob(t.Context(), desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(blob)), nil }); err != nil {
		return err
	}
	_, err := repo.PushManifest(t.Context(), "", fmt.Appendf(nil, `{"tag":%q,"layers":[{"digest":%q,"size":%d}]}`, tag, desc.Digest, desc.Size), tag)
	return err
}

// whole reads everything that an archive promises.
func whole(t testing.TB, path string) []string {
	t.Helper()
	store, err := ctf.Open(path, ctf.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatalf("the archive is no longer one: %v", err)
	}
	defer store.Discard()
	repo := repositoryOf(t, store)
	tags, err := repo.Tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		m, err := repo.Manifest(t.Context(), tag)
		if err != nil {
			t.Fatalf("%s: %v", tag, err)
		}
		parsed, err := m.Image()
		if err != nil {
			t.Fatal(err)
		}
		for _, layer := range parsed.Layers {
			rc, _, err := repo.Blob(t.Context(), layer.Digest, layer.Size)
			if err != nil {
				t.Fatalf("%s: %v", tag, err)
			}
			if _, err := io.Copy(io.Discard, rc); err != nil {
				t.Fatalf("%s: %v", tag, err)
			}
			rc.Close()
		}
	}
	return tags
}

// TestTwoMakers make one archive: the second one is told who is first.
func TestTwoMakers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.tar")
	o := ctf.Options{TempDir: t.TempDir()}
	first, err := ctf.Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ctf.Create(path, o); !errors.As(err, new(*ctf.BusyError)) {
		t.Errorf("Create of what somebody else makes = %v, want *BusyError", err)
	}
	if err := errors.Join(push(t, first, "1", []byte("one")), first.Close()); err != nil {
		t.Fatal(err)
	}
	if tags := whole(t, path); len(tags) != 1 {
		t.Errorf("tags = %v, want 1", tags)
	}
	nothingLeft(t, path)
}

// nothingLeft wants no hidden files beside an archive.
func nothingLeft(t *testing.T, path string) {
	t.Helper()
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestTwoWriters have read the same archive, and all want to write to it.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	path := write(t, "x.tar", one(t, manifest))
	var stores []*ctf.Store
	for range 3 {
		store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, store)
	}
	if err := push(t, stores[0], "2", []byte("two")); err != nil {
		t.Fatal(err)
	}
	if err := push(t, stores[1], "3", []byte("three")); !errors.As(err, new(*ctf.BusyError)) {
		t.Errorf("PushBlob while somebody else writes = %v, want *BusyError", err)
	}
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := push(t, stores[2], "3", []byte("three")); !errors.Is(err, ctf.ErrChanged) {
		t.Errorf("PushBlob after somebody else has written = %v, want ErrChanged", err)
	}
	for _, store := range stores[1:] {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	if tags := whole(t, path); len(tags) != 2 {
		t.Errorf("tags = %v, want 1 and 2", tags)
	}
	nothingLeft(t, path)
}

// TestManyWritersOfADirectory writes to a directory from several stores at once, as several processes do.
func TestManyWritersOfADirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x")
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			store, err := ctf.Create(path, ctf.Options{})
			if err != nil {
				t.Errorf("Create: %v", err)
				return
			}
			for j := range 5 {
				if err := push(t, store, fmt.Sprintf("%d.%d", i, j), fmt.Appendf(nil, "%d %d", i, j)); err != nil {
					t.Error(err)
				}
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tags := whole(t, path); len(tags) != 30 {
		t.Errorf("%d tags, want those of all writers: %v", len(tags), tags)
	}
}

// TestDiscard writes to an archive and changes its mind.
func TestDiscard(t *testing.T) {
	t.Parallel()
	data := one(t, manifest)
	path := write(t, "x.tar", data)
	store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(push(t, store, "2", []byte("two")), store.Discard()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the archive changed: %v", err)
	}
	none := filepath.Join(t.TempDir(), "none.tar")
	if store, err = ctf.Create(none, ctf.Options{TempDir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(push(t, store, "2", []byte("two")), store.Discard()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(none)); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestPartial reads an archive that lacks a blob, as one is that was written for somebody who has it.
func TestPartial(t *testing.T) {
	t.Parallel()
	blob := digest.FromString("they have it")
	m := fmt.Sprintf(`{"layers":[{"digest":%q,"size":12}]}`, blob)
	for name, path := range map[string]string{
		"archive": write(t, "x.tgz", gzipped(t, one(t, m))), "directory": directory(t, indexFile(entry("a/b", "1", m)), blobFile(m)),
	} {
		store, err := ctf.Open(path, ctf.Options{TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		repo := repositoryOf(t, store)
		if got, err := repo.Manifest(t.Context(), "1"); err != nil || string(got.Bytes) != m {
			t.Errorf("%s: Manifest = %v, %v", name, got, err)
		}
		if _, _, err := repo.Blob(t.Context(), blob, 12); !errors.Is(err, oci.ErrNotFound) || !strings.Contains(err.Error(), "left out") {
			t.Errorf("%s: Blob = %v, want ErrNotFound that says why", name, err)
		}
		for desc, want := range map[*ocispec.Descriptor]bool{
			{Digest: blob, Size: 12}:                                      false,
			{Digest: digest.FromString(m), Size: int64(len(m))}:           true,
			{Digest: digest.FromString(m), Size: int64(len(m)) + 1}:       false,
			{Digest: digest.FromString(m), Size: -1}:                      true,
			{Digest: digest.FromString("somebody else's"), Size: 1 << 40}: false,
		} {
			if has, err := repo.Has(t.Context(), *desc); err != nil || has != want {
				t.Errorf("%s: Has(%v) = %t, %v, want %t", name, *desc, has, err, want)
			}
		}
		if has, err := repo.HasManifest(t.Context(), digest.FromString(m)); err != nil || !has {
			t.Errorf("%s: HasManifest = %t, %v", name, has, err)
		}
		if all, err := store.Blobs(t.Context()); err != nil || len(all) != 1 || all[0] != digest.FromString(m) {
			t.Errorf("%s: Blobs = %v, %v", name, all, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestManyBlobs bounds what a list of blobs takes.
func TestManyBlobs(t *testing.T) {
	t.Parallel()
	path := directory(t, indexFile(""), blobFile("a"), blobFile("b"), blobFile("c"))
	store, err := ctf.Open(path, ctf.Options{Entries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Blobs(t.Context()); !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("Blobs = %v, want ErrTooLarge", err)
	}
}

// killed is set for a process that writes archives until it is killed.
const killed = "CTF_TEST_WRITE_UNTIL_KILLED"

// TestWriteUntilKilled is the process that TestKilledWriters kills.
func TestWriteUntilKilled(t *testing.T) {
	path := os.Getenv(killed)
	if path == "" {
		return // it is no test of its own
	}
	for i := 0; ; i++ {
		store, err := ctf.Create(path, ctf.Options{TempDir: filepath.Dir(filepath.Dir(path))})
		if err != nil {
			t.Fatal(err)
		}
		blob := make([]byte, 1<<20)
		for j := range blob {
			blob[j] = byte(i * j)
		}
		if err := errors.Join(push(t, store, fmt.Sprint("v", i%5), blob), store.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledWriters kills processes while they write. What was there must stay whole, and be written to again.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"x.tar", "x.tgz", "folder"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "below", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			store, err := ctf.Create(path, ctf.Options{TempDir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(push(t, store, "first", []byte("first")), store.Close()); err != nil {
				t.Fatal(err)
			}
			for range 6 {
				killWriter(t, path)
				if tags := whole(t, path); tags[0] != "first" {
					t.Errorf("tags = %v, want that the first is still there", tags)
				}
			}
			if store, err = ctf.Create(path, ctf.Options{TempDir: t.TempDir()}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(push(t, store, "last", []byte("last")), store.Close()); err != nil {
				t.Fatal(err)
			}
			if name == "folder" {
				return // what is left is removed when it is old enough
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
				t.Errorf("files are left: %v, %v", left, err)
			}
		})
	}
}

// killWriter kills a process that writes to an archive, at any moment.
func killWriter(t *testing.T, path string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriteUntilKilled$")
	child.Env = append(os.Environ(), killed+"="+path)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(30*time.Millisecond + rand.N(60*time.Millisecond))
	child.Process.Kill()
	child.Wait()
}
