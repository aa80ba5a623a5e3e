package gittest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// File is a file in a commit.
type File struct {
	// Mode is Regular, Executable, Symlink, or 160000 for a submodule.
	Mode string
	// Content is the target of a Symlink, and empty for a submodule.
	Content string
	// Hash is that of the blob.
	Hash string
}

// Files returns what a branch or commit has, by path.
func Files(t testing.TB, dir, revision string) map[string]File {
	t.Helper()
	files := map[string]File{}
	var names []string
	var wanted bytes.Buffer
	for line := range strings.SplitSeq(Git(t, dir, "ls-tree", "-r", "-z", "--full-tree", revision), "\x00") {
		if line == "" {
			continue
		}
		meta, name, _ := strings.Cut(line, "\t")
		fields := strings.Fields(meta)
		files[name] = File{Mode: fields[0], Hash: fields[2]}
		if fields[1] == "blob" {
			names = append(names, name)
			fmt.Fprintln(&wanted, fields[2])
		}
	}
	contents := feed(t, dir, &wanted, "cat-file", "--batch")
	for _, name := range names {
		header, rest, _ := bytes.Cut(contents, []byte("\n"))
		var hash, kind string
		var size int
		if _, err := fmt.Sscan(string(header), &hash, &kind, &size); err != nil || size+1 > len(rest) {
			t.Fatalf("read %s of %s in %s: %q: %v", name, revision, dir, header, err)
		}
		file := files[name]
		file.Content = string(rest[:size])
		files[name], contents = file, rest[size+1:]
	}
	return files
}

// Contents is Files without modes, for comparisons with what was given to Commit.
func Contents(t testing.TB, dir, revision string) map[string]string {
	t.Helper()
	contents := map[string]string{}
	for path, file := range Files(t, dir, revision) {
		contents[path] = file.Content
	}
	return contents
}

// Tip returns the commit of a branch, and "" where there is no such branch.
func Tip(t testing.TB, dir, branch string) string {
	t.Helper()
	out, err := TryGit(t, dir, "rev-parse", "--verify", "--quiet", "refs/heads/"+branch)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// Tree returns the tree of a commit, or of the folder in it as in "main:some/folder".
func Tree(t testing.TB, dir, revision string) string {
	t.Helper()
	if !strings.Contains(revision, ":") {
		revision += "^{tree}"
	}
	return strings.TrimSpace(Git(t, dir, "rev-parse", "--verify", revision))
}

// Branches returns all branches and their commits.
func Branches(t testing.TB, dir string) map[string]string {
	t.Helper()
	branches := map[string]string{}
	for line := range strings.Lines(Git(t, dir, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads")) {
		hash, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		branches[name] = hash
	}
	return branches
}

// LogEntry is a commit.
type LogEntry struct {
	Hash, Tree                string
	Parents                   []string
	Author, AuthorEmail       string
	Committer, CommitterEmail string
	Message                   string
}

// Log returns the commits of a branch or commit, newest first; none where the branch does not exist.
func Log(t testing.TB, dir, branch string) []LogEntry {
	t.Helper()
	if _, err := TryGit(t, dir, "rev-parse", "--verify", "--quiet", branch); err != nil {
		return nil
	}
	var entries []LogEntry
	out := Git(t, dir, "log", "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%B%x00%x01", branch)
	for record := range strings.SplitSeq(out, "\x01\n") {
		fields := strings.Split(record, "\x00")
		if len(fields) < 8 {
			continue // behind the last one
		}
		entries = append(entries, LogEntry{
			Hash: fields[0], Tree: fields[1], Parents: strings.Fields(fields[2]), Author: fields[3], AuthorEmail: fields[4],
			Committer: fields[5], CommitterEmail: fields[6], Message: fields[7],
		})
	}
	return entries
}

// Fsck fails the test if git fsck --strict has anything to say about the repository. Objects that nothing refers to are no fault: a branch
// that moved leaves them behind.
func Fsck(t testing.TB, dir string) {
	t.Helper()
	out, err := TryGit(t, dir, "fsck", "--strict", "--full", "--no-dangling", "--no-progress")
	var faults []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "notice: ") { // of branches that are not there yet
			faults = append(faults, line)
		}
	}
	if err != nil || len(faults) > 0 {
		t.Errorf("git fsck --strict in %s: %v\n%s", dir, err, strings.Join(faults, ""))
	}
}
