package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

// entry is one entry of an archive.
type entry struct {
	kind    byte
	name    string
	content string // or the target of a link
	mode    int64
}

func file(name, content string) entry   { return entry{tar.TypeReg, name, content, 0o644} }
func script(name, content string) entry { return entry{tar.TypeReg, name, content, 0o755} }
func link(name, target string) entry    { return entry{tar.TypeSymlink, name, target, 0o777} }
func hard(name, target string) entry    { return entry{tar.TypeLink, name, target, 0o644} }
func dir(name string) entry             { return entry{tar.TypeDir, name, "", 0o755} }

// archive is a tar archive of entries.
func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := tar.Header{Typeflag: e.kind, Name: e.name, Mode: e.mode}
		switch e.kind {
		case tar.TypeReg:
			h.Size = int64(len(e.content))
		case tar.TypeSymlink, tar.TypeLink:
			h.Linkname = e.content
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if _, err := io.WriteString(w, e.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// header is a header as no library writes it.
func header(kind byte, name, target string, size int64) []byte {
	b := make([]byte, 512)
	copy(b[:100], name)
	copy(b[100:], "0000644\x00")
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00")
	copy(b[148:], "        ")
	b[156] = kind
	copy(b[157:257], target)
	copy(b[257:], "ustar\x0000")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// git runs the real git in a directory, with no configuration but its own.
func git(t testing.TB, dir string, in io.Reader, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, in
	cmd.Env = append(
		os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	)
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

func writer(t testing.TB) *pack.Writer {
	t.Helper()
	w, err := pack.New(t.TempDir(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func build(t testing.TB, w *pack.Writer, entries ...entry) plumbing.Hash {
	t.Helper()
	built, err := tree.Build(t.Context(), w, bytes.NewReader(archive(t, entries...)), tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return built.Tree
}

func graft(t testing.TB, w *pack.Writer, have tree.Source, root plumbing.Hash, subPath string, leaf plumbing.Hash, prune bool) plumbing.Hash {
	t.Helper()
	h, err := tree.Graft(t.Context(), w, have, root, subPath, leaf, prune)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// push commits a tree and has the real git take it as a branch of a bare repository, which must be sound afterwards.
func push(t testing.TB, dir string, w *pack.Writer, root plumbing.Hash, parents ...plumbing.Hash) plumbing.Hash {
	t.Helper()
	commit := take(t, dir, w, root, parents...)
	fsck(t, dir)
	return commit
}

// take is push without the question whether the repository is sound.
func take(t testing.TB, dir string, w *pack.Writer, root plumbing.Hash, parents ...plumbing.Hash) plumbing.Hash {
	t.Helper()
	var content bytes.Buffer
	fmt.Fprintf(&content, "tree %s\n", root)
	for _, p := range parents {
		fmt.Fprintf(&content, "parent %s\n", p)
	}
	content.WriteString("author a <a@example.org> 1700000000 +0000\ncommitter a <a@example.org> 1700000000 +0000\n\nx\n")
	commit, err := w.Object(plumbing.CommitObject, content.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := w.Reader(commit)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	git(t, dir, r, "index-pack", "--strict", "--stdin", "--fix-thin")
	git(t, dir, nil, "update-ref", "refs/heads/main", commit.String())
	return commit
}

func fsck(t testing.TB, dir string) {
	t.Helper()
	if out := git(t, dir, nil, "fsck", "--strict", "--full", "--no-progress", "--no-reflogs"); strings.TrimSpace(out) != "" {
		t.Errorf("fsck: %s", out)
	}
}

// stored is a Source of a real repository, read by the git command.
type stored struct {
	t   testing.TB
	dir string
}

func (s stored) Tree(_ context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	s.t.Helper()
	return pack.DecodeTree([]byte(git(s.t, s.dir, nil, "cat-file", "tree", h.String())))
}

// theirs is a tree that is in a real repository, made of lines as `git ls-tree` prints them; content is that of files.
func theirs(t testing.TB, dir string, files map[string]string) plumbing.Hash {
	t.Helper()
	index := filepath.Join(t.TempDir(), "index")
	var in strings.Builder
	for path, content := range files {
		mode, content, _ := strings.Cut(content, " ")
		h := content
		if mode != "160000" {
			h = strings.TrimSpace(git(t, dir, strings.NewReader(content), "hash-object", "-w", "--stdin"))
		}
		in.WriteString(mode + " " + h + "\t" + path + "\n")
	}
	git(t, dir, strings.NewReader(in.String()), "--git-dir="+dir, "-c", "core.bare=true", "update-index", "--index-info")
	h := strings.TrimSpace(git(t, dir, nil, "write-tree", "--missing-ok"))
	if err := os.Rename(filepath.Join(dir, "index"), index); err != nil {
		t.Fatal(err)
	}
	return plumbing.NewHash(h)
}

// list is a tree as lines of mode and path.
func list(t testing.TB, have tree.Source, root plumbing.Hash) map[string]object.TreeEntry {
	t.Helper()
	all := map[string]object.TreeEntry{}
	var walk func(h plumbing.Hash, path string)
	walk = func(h plumbing.Hash, path string) {
		if h.IsZero() || h == tree.Empty() {
			return
		}
		entries, err := have.Tree(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Mode == filemode.Dir {
				walk(e.Hash, path+e.Name+"/")
				continue
			}
			all[path+e.Name] = e
		}
	}
	walk(root, "")
	return all
}

// refused tells whether an error is a verdict about content.
func refused(err error) bool {
	return errors.As(err, new(*tree.PathError)) || errors.As(err, new(*tree.LimitError))
}
