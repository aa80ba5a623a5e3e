package pack_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/pack"
)

// git runs the real git in a directory, with no configuration but its own.
func git(t testing.TB, dir string, in io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, in
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func bare(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, nil, "init", "--bare", "--quiet", "--initial-branch=main")
	return dir
}

func writer(t testing.TB, limit int64) *pack.Writer {
	t.Helper()
	w, err := pack.New(t.TempDir(), limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return w
}

func blob(t testing.TB, w *pack.Writer, content []byte) plumbing.Hash {
	t.Helper()
	h, err := w.Blob(int64(len(content)), bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func put(t testing.TB, w *pack.Writer, kind plumbing.ObjectType, content []byte) plumbing.Hash {
	t.Helper()
	h, err := w.Object(kind, content)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func folder(t testing.TB, w *pack.Writer, entries ...object.TreeEntry) plumbing.Hash {
	t.Helper()
	content, err := pack.EncodeTree(entries)
	if err != nil {
		t.Fatal(err)
	}
	return put(t, w, plumbing.TreeObject, content)
}

func commit(t testing.TB, w *pack.Writer, tree plumbing.Hash, message string) plumbing.Hash {
	t.Helper()
	who := "a <a@example.org> 1700000000 +0000"
	return put(t, w, plumbing.CommitObject, fmt.Appendf(nil, "tree %s\nauthor %s\ncommitter %s\n\n%s\n", tree, who, who, message))
}

func all(t testing.TB, w *pack.Writer, tips ...plumbing.Hash) []byte {
	t.Helper()
	r, size, err := w.Reader(tips...)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(content)) != size {
		t.Fatalf("the pack has %d bytes, and was announced with %d", len(content), size)
	}
	return content
}

func random(t testing.TB, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	if _, err := rand.Read(content); err != nil {
		t.Fatal(err)
	}
	return content
}

// TestGitReadsPack writes objects of every kind and of sizes around every bound, and has the real git take them.
func TestGitReadsPack(t *testing.T) {
	t.Parallel()
	w := writer(t, 64<<20)
	var entries []object.TreeEntry
	for _, size := range []int{0, 1, 15, 16, 2047, 2048, 64 << 10, 256 << 10, 256<<10 + 1, 3 << 20} {
		content := random(t, size)
		h := blob(t, w, content)
		if want := plumbing.ComputeHash(plumbing.BlobObject, content); h != want {
			t.Errorf("blob of %d bytes: got %s, want %s", size, h, want)
		}
		entries = append(entries, object.TreeEntry{Name: fmt.Sprintf("f%d", size), Mode: filemode.Regular, Hash: h})
	}
	tip := commit(t, w, folder(t, w, entries...), "all sizes")
	tag := put(t, w, plumbing.TagObject, fmt.Appendf(nil, "object %s\ntype commit\ntag v1\ntagger a <a@example.org> 1700000000 +0000\n\none\n", tip))
	dir := bare(t)
	git(t, dir, bytes.NewReader(all(t, w, tag)), "index-pack", "--strict", "--stdin")
	git(t, dir, nil, "update-ref", "refs/heads/main", tip.String())
	git(t, dir, nil, "update-ref", "refs/tags/v1", tag.String())
	if out := git(t, dir, nil, "fsck", "--strict", "--full"); strings.TrimSpace(out) != "" {
		t.Errorf("fsck: %s", out)
	}
	if got := strings.Count(git(t, dir, nil, "ls-tree", "-r", "main"), "\n"); got != len(entries) {
		t.Errorf("git sees %d files, want %d", got, len(entries))
	}
	other := bare(t)
	git(t, other, bytes.NewReader(all(t, w)), "unpack-objects", "--strict", "-q")
	if got := git(t, other, nil, "cat-file", "-t", tag.String()); got != "tag\n" {
		t.Errorf("got %q, want a tag", got)
	}
}

func TestNothingTwice(t *testing.T) {
	t.Parallel()
	w := writer(t, 64<<20)
	small, large := []byte("small"), random(t, 1<<20)
	blob(t, w, small)
	blob(t, w, large)
	_, before, err := w.Reader()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		blob(t, w, large)
		blob(t, w, small)
	}
	known := random(t, 1<<20)
	w.Known(plumbing.ComputeHash(plumbing.BlobObject, known))
	theirs := plumbing.ComputeHash(plumbing.BlobObject, []byte("theirs"))
	w.SetKnown(func(h plumbing.Hash) bool { return h == theirs })
	blob(t, w, known)
	if h := blob(t, w, []byte("theirs")); h != theirs {
		t.Errorf("got %s, want %s", h, theirs)
	}
	_, after, err := w.Reader()
	if err != nil {
		t.Fatal(err)
	}
	if before != after || w.Objects() != 2 {
		t.Errorf("%d objects, and %d bytes have become %d", w.Objects(), before, after)
	}
	if _, err := w.Content(theirs, 10); !errors.Is(err, pack.ErrNotFound) {
		t.Errorf("what was left out: got %v, want %v", err, pack.ErrNotFound)
	}
	got, err := w.Content(plumbing.ComputeHash(plumbing.BlobObject, large), 1<<20)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("the blob that was read back differs: %v", err)
	}
	if _, err := w.Content(plumbing.ComputeHash(plumbing.BlobObject, large), 1<<20-1); !errors.As(err, new(*pack.TooLargeError)) {
		t.Errorf("more than wanted: got %v", err)
	}
}

// TestReaderOfTips leaves out what a commit does not need, from between other objects.
func TestReaderOfTips(t *testing.T) {
	t.Parallel()
	w := writer(t, 1<<20)
	file := func(name string, content string) object.TreeEntry {
		return object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: blob(t, w, []byte(content))}
	}
	old := commit(t, w, folder(t, w, file("a", "1"), file("b", "2")), "given up")
	sub := folder(t, w, file("c", "3"))
	module := object.TreeEntry{Name: "m", Mode: filemode.Submodule, Hash: plumbing.NewHash(strings.Repeat("5", 40))}
	tip := commit(t, w, folder(t, w, file("a", "1"), module, object.TreeEntry{Name: "d", Mode: filemode.Dir, Hash: sub}), "kept")
	dir := bare(t)
	git(t, dir, bytes.NewReader(all(t, w, tip)), "index-pack", "--strict", "--stdin")
	git(t, dir, nil, "update-ref", "refs/heads/main", tip.String())
	if out := git(t, dir, nil, "fsck", "--strict", "--full", "--unreachable", "--no-reflogs"); strings.TrimSpace(out) != "" {
		t.Errorf("fsck: %s", out)
	}
	if got := strings.Fields(git(t, dir, nil, "count-objects", "-v")); !cmp.Equal(got[4:6], []string{"in-pack:", "5"}) {
		t.Errorf("got %v, want 5 objects", got)
	}
	if _, size, err := w.Reader(old, tip); err != nil || size != int64(len(all(t, w))) {
		t.Errorf("both tips: %d bytes, %v", size, err)
	}
	if first, second := all(t, w, tip), all(t, w, tip); !bytes.Equal(first, second) {
		t.Error("the second read differs from the first")
	}
}

func TestEmptyPack(t *testing.T) {
	t.Parallel()
	w := writer(t, 1<<20)
	dir := bare(t)
	git(t, dir, bytes.NewReader(all(t, w)), "index-pack", "--strict", "--stdin")
	if out := git(t, dir, nil, "fsck", "--strict"); strings.Contains(out, "error") {
		t.Errorf("fsck: %s", out)
	}
}

// TestFailedBlobLeavesNoTrace breaks off between two blobs that are whole.
func TestFailedBlobLeavesNoTrace(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	for name, c := range map[string]struct {
		size    int64
		content io.Reader
		want    error
		reason  string
	}{
		"small and short":  {10, strings.NewReader("123"), pack.ErrSize, "the header says how much there is"},
		"small and long":   {2, strings.NewReader("123"), pack.ErrSize, "what follows would be lost"},
		"large and short":  {1 << 20, bytes.NewReader(make([]byte, 1<<19)), pack.ErrSize, "found when all is written"},
		"large and long":   {1 << 20, bytes.NewReader(make([]byte, 1<<20+1)), pack.ErrSize, "found when all is written"},
		"negative":         {-1, strings.NewReader(""), pack.ErrSize, "no such size"},
		"broken":           {10, iotest.ErrReader(lost), lost, "the cause is told"},
		"broken later":     {1 << 20, io.MultiReader(bytes.NewReader(make([]byte, 1<<19)), iotest.ErrReader(lost)), lost, "the cause is told"},
		"broken at end":    {1 << 20, io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(lost)), lost, "a digest is known at the end only"},
		"small and at end": {3, io.MultiReader(strings.NewReader("123"), iotest.ErrReader(lost)), lost, "a digest is known at the end only"},
		"never":            {3, idle{}, io.ErrNoProgress, "a reader that gives nothing is not waited for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := writer(t, 8<<20)
			first := blob(t, w, []byte("first"))
			content := c.content
			if name == "never" {
				content = io.MultiReader(strings.NewReader("123"), c.content)
			}
			if _, err := w.Blob(c.size, content); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v: %s", err, c.want, c.reason)
			}
			second := blob(t, w, []byte("second"))
			if w.Objects() != 2 {
				t.Errorf("%d objects, want 2", w.Objects())
			}
			dir := bare(t)
			git(t, dir, bytes.NewReader(all(t, w)), "unpack-objects", "--strict", "-q")
			git(t, dir, nil, "cat-file", "-e", first.String())
			git(t, dir, nil, "cat-file", "-e", second.String())
		})
	}
}

// idle never has anything and never ends.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestBounded(t *testing.T) {
	t.Parallel()
	w := writer(t, 100<<10)
	kept := blob(t, w, random(t, 50<<10))
	for _, size := range []int{60 << 10, 1 << 20} {
		tooLarge := new(pack.TooLargeError)
		if _, err := w.Blob(int64(size), bytes.NewReader(random(t, size))); !errors.As(err, &tooLarge) || tooLarge.Limit != 100<<10 {
			t.Errorf("%d bytes: got %v", size, err)
		}
	}
	blob(t, w, random(t, 10<<10))
	if size := len(all(t, w)); size > 100<<10 {
		t.Errorf("the pack has %d bytes", size)
	}
	if _, err := w.Content(kept, 1<<20); err != nil {
		t.Error(err)
	}
}

func TestPrivateFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := pack.New(dir, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	blob(t, w, random(t, 300<<10))
	if files, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(files) > 0 {
		t.Errorf("a process that is killed would leave %v behind: %v", files, err)
	}
	r, _, err := w.Reader()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want %v", err, os.ErrClosed)
	}
	if _, err := w.Object(plumbing.BlobObject, random(t, 100<<10)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want %v", err, os.ErrClosed)
	}
	if _, err := pack.New(filepath.Join(dir, "missing"), 1<<20); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, os.ErrNotExist)
	}
}

func TestObjectRefusesKinds(t *testing.T) {
	t.Parallel()
	w := writer(t, 1<<20)
	for _, kind := range []plumbing.ObjectType{plumbing.InvalidObject, plumbing.OFSDeltaObject, plumbing.REFDeltaObject, plumbing.AnyObject} {
		if _, err := w.Object(kind, nil); err == nil || w.Objects() > 0 {
			t.Errorf("%s was written: %v", kind, err)
		}
	}
}

// TestTreeOrder compares the order of entries with that of the real git.
func TestTreeOrder(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	w := writer(t, 1<<20)
	file, sub := blob(t, w, []byte("x")), folder(t, w, object.TreeEntry{Name: "x", Mode: filemode.Regular, Hash: blob(t, w, []byte("x"))})
	git(t, dir, bytes.NewReader(all(t, w)), "unpack-objects", "-q")
	var in strings.Builder
	var entries []object.TreeEntry
	for i, name := range []string{"a", "a.b", "a-b", "a0", "ab", "a b", "B", "b", "\u00e9", "z", "foo", "foo.txt", "foo-bar", "foo0", "m"} {
		e := object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: file}
		switch {
		case name == "m":
			e.Mode, e.Hash = filemode.Submodule, plumbing.NewHash(strings.Repeat("a", 40))
		case i%3 == 0:
			e.Mode, e.Hash = filemode.Dir, sub
		case i%3 == 1:
			e.Mode = filemode.Executable
		}
		kind := map[bool]string{true: "tree", false: "blob"}[e.Mode == filemode.Dir]
		if e.Mode == filemode.Submodule {
			kind = "commit"
		}
		fmt.Fprintf(&in, "%06o %s %s\t%s\n", uint32(e.Mode), kind, e.Hash, name)
		entries = append(entries, e)
	}
	want := strings.TrimSpace(git(t, dir, strings.NewReader(in.String()), "mktree", "--missing"))
	if got := folder(t, w, entries...); got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
	read, err := w.Tree(context.Background(), plumbing.NewHash(want))
	if err != nil || len(read) != len(entries) {
		t.Errorf("read back: %v, %v", read, err)
	}
}

func TestTreeKeepsModes(t *testing.T) {
	t.Parallel()
	w := writer(t, 1<<20)
	odd := []object.TreeEntry{
		{Name: "old", Mode: 0o100664, Hash: plumbing.NewHash(strings.Repeat("1", 40))},
		{Name: "wide", Mode: 0o040755, Hash: plumbing.NewHash(strings.Repeat("2", 40))},
	}
	got, err := w.Tree(t.Context(), folder(t, w, odd...))
	if diff := cmp.Diff(odd, got); diff != "" || err != nil {
		t.Errorf("entries (-want +got):\n%s%v", diff, err)
	}
	if _, err := w.Tree(t.Context(), blob(t, w, []byte("x"))); !errors.Is(err, pack.ErrNotFound) {
		t.Errorf("a blob as a tree: %v", err)
	}
}

func TestTreeRefuses(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no mode": "name", "no octal": "10x644 a\x00" + strings.Repeat("h", 20), "long mode": "10000000000 a\x00" + strings.Repeat("h", 20),
		"no name": "100644 \x00" + strings.Repeat("h", 20), "no hash": "100644 a\x00", "half a hash": "100644 a\x00" + strings.Repeat("h", 19), "no end": "100644 a",
	} {
		if got, err := pack.DecodeTree([]byte(content)); !errors.Is(err, pack.ErrMalformedTree) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	for name, entries := range map[string][]object.TreeEntry{
		"twice": {{Name: "a", Mode: filemode.Regular}, {Name: "a", Mode: filemode.Dir}}, "slash": {{Name: "a/b"}}, "NUL": {{Name: "a\x00b"}}, "empty": {{}},
	} {
		if _, err := pack.EncodeTree(entries); !errors.Is(err, pack.ErrMalformedTree) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
