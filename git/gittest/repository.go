package gittest

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Modes of files in git.
const (
	Regular    = "100644"
	Executable = "100755"
	Symlink    = "120000"
)

// NewRepository makes a bare repository whose default branch is branch, and returns the branch's first commit, which has the files. Without
// files the repository is empty and the commit "".
func NewRepository(t testing.TB, dir string, files map[string]string, branch string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	Git(t, filepath.Dir(dir), "init", "--quiet", "--bare", "--initial-branch="+branch, dir)
	Config(t, dir, "http.receivepack", "true") // git would want REMOTE_USER, which a server without a login has not
	if len(files) == 0 {
		return ""
	}
	return Commit(t, dir, branch, files)
}

// NewLargeRepository is NewRepository with a first commit of that many files, which no compression makes smaller, and that many bytes in
// all. Files have names like dir-03/file-0042.bin.
func NewLargeRepository(t testing.TB, dir, branch string, files int, size int64) string {
	t.Helper()
	NewRepository(t, dir, nil, branch)
	content := rand.NewChaCha8([32]byte{1})
	reader, writer := io.Pipe()
	go func() {
		w := bufio.NewWriter(writer)
		writeCommit(w, Change{Branch: branch, Message: "many bytes"}, "")
		for i := range files {
			share := size / int64(files)
			if i == 0 {
				share += size % int64(files)
			}
			fmt.Fprintf(w, "M %s inline dir-%02d/file-%04d.bin\ndata %d\n", Regular, i%16, i, share)
			_, _ = io.CopyN(w, content, share) // an error of the pipe is an error of the command
			fmt.Fprintln(w)
		}
		_ = writer.CloseWithError(w.Flush()) // never fails
	}()
	feed(t, dir, reader, "-c", "core.compression=0", "-c", "pack.compression=0", "-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
	_ = reader.Close() // ends the writer where the command did not read everything
	return Tip(t, dir, branch)
}

// Change is a commit that somebody else makes in a bare repository, as if it were pushed.
type Change struct {
	// Branch gets the commit.
	Branch string
	// From is what the commit is based on; the branch's tip, if it has one, when empty. Another one moves the branch by force.
	From string
	// Root makes a commit without a parent, by force.
	Root bool
	// Message is the commit's; "a foreign commit" when empty.
	Message string
	// Files are added or changed: path to content, or to target for a Symlink.
	Files map[string]string
	// Modes of Files that are not Regular.
	Modes map[string]string
	// Remove lists paths, of files or folders, that are removed first.
	Remove []string
}

// Commit makes a foreign commit on the tip of a branch, which is made if it does not exist, and returns the commit.
func Commit(t testing.TB, dir, branch string, files map[string]string, remove ...string) string {
	t.Helper()
	return Apply(t, dir, Change{Branch: branch, Files: files, Remove: remove})
}

// Apply makes a foreign commit and returns it.
func Apply(t testing.TB, dir string, c Change) string {
	t.Helper()
	from := c.From
	if from == "" && !c.Root {
		from = Tip(t, dir, c.Branch)
	}
	var stream strings.Builder
	writeCommit(&stream, c, from)
	for _, path := range c.Remove {
		fmt.Fprintf(&stream, "D %s\n", quote(path))
	}
	for _, path := range slices.Sorted(maps.Keys(c.Files)) {
		mode := c.Modes[path]
		if mode == "" {
			mode = Regular
		}
		fmt.Fprintf(&stream, "M %s inline %s\ndata %d\n%s\n", mode, quote(path), len(c.Files[path]), c.Files[path])
	}
	feed(t, dir, strings.NewReader(stream.String()), "fast-import", "--quiet", "--force")
	return Tip(t, dir, c.Branch)
}

// writeCommit writes the beginning of a commit in the language of git fast-import.
func writeCommit(w io.Writer, c Change, from string) {
	if c.Message == "" {
		c.Message = "a foreign commit"
	}
	// Without reset a commit that has no parent would be based on what fast-import finds in the branch.
	if c.Root {
		fmt.Fprintf(w, "reset refs/heads/%s\n", c.Branch)
	}
	fmt.Fprintf(w, "commit refs/heads/%s\ncommitter %s <%s> %s\ndata %d\n%s\n", c.Branch, somebody, somebodyEmail, someDate, len(c.Message), c.Message)
	if from != "" {
		fmt.Fprintf(w, "from %s^0\n", from)
	}
}

// quote writes a path so that fast-import reads it as it is.
func quote(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(path) + `"`
}

// Branch lets a branch point to a commit or to another branch's tip, whatever it pointed to before.
func Branch(t testing.TB, dir, name, from string) {
	t.Helper()
	Git(t, dir, "branch", "--force", "--no-track", name, from)
}

// DeleteBranch deletes a branch.
func DeleteBranch(t testing.TB, dir, name string) {
	t.Helper()
	Git(t, dir, "update-ref", "-d", "refs/heads/"+name)
}

// Config sets an option of a repository, such as uploadpack.allowFilter or receive.denyNonFastForwards.
func Config(t testing.TB, dir, key, value string) {
	t.Helper()
	Git(t, dir, "config", key, value)
}

// LikeForge lets a repository be fetched from as forges do: parts of it by filters, and any commit by its hash.
func LikeForge(t testing.TB, dir string) {
	t.Helper()
	Config(t, dir, "uploadpack.allowFilter", "true")
	Config(t, dir, "uploadpack.allowAnySHA1InWant", "true")
}

// Hook installs a hook, such as pre-receive, that is a shell script. It replaces an earlier one; an empty script removes it.
func Hook(t testing.TB, dir, name, script string) {
	t.Helper()
	path := filepath.Join(dir, "hooks", name)
	if script == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	// Renamed into its place: a program that is open for writing in any process can't be run.
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// Protect refuses every push to the branch with the words of a forge, by the hook pre-receive.
func Protect(t testing.TB, dir, branch string) {
	t.Helper()
	Hook(t, dir, "pre-receive", fmt.Sprintf(`while read -r old new ref; do
  if [ "$ref" = 'refs/heads/%[1]s' ]; then
    echo 'error: Not allowed to push to protected branch %[1]s' >&2
    exit 1
  fi
done`, branch))
}

// Clone clones from a URL or a folder into a folder of the test and returns that; the default branch is checked out.
func Clone(t testing.TB, from string, args ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	Git(t, t.TempDir(), slices.Concat(args, []string{"clone", "--quiet", from, dir})...)
	return dir
}
