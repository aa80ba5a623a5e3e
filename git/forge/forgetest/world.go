package forgetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// Tokens of NewWorld.
const (
	// WriteToken may read and write.
	WriteToken = "glpat-a-token-that-may-write"
	// ReadToken may read.
	ReadToken = "glpat-a-token-that-may-read"
)

// NewWorld starts a test forge with one repository that has the branches main and next, and one fork of it. method is how people merge there: merge, squash or rebase.
func NewWorld(t testing.TB, provider, path, method string) (World, *Server) {
	t.Helper()
	s := Start(t, provider)
	s.AddToken(WriteToken, Token{User: "ocm-bot", Rights: Write})
	s.AddToken(ReadToken, Token{User: "reader", Rights: Read})
	dir := NewBare(t, "main", "next")
	s.AddRepository(path, dir)
	fork := NewBare(t)
	if _, err := bare(fork).run(t.Context(), "fetch", "-q", dir, "+refs/heads/*:refs/heads/*"); err != nil {
		t.Fatal(err)
	}
	s.AddRepository("stranger/fleet", fork)
	w := World{
		Provider: provider, RepositoryURL: s.URL + "/" + path + ".git", APIURL: s.APIURL(), Token: WriteToken, ReadToken: ReadToken,
		Base: "main", OtherBase: "next", NoChanges: provider == forge.GitHub,
		Branch: func(t testing.TB, branch string) string { t.Helper(); return Advance(t, dir, branch, "main") },
		EmptyBranch: func(t testing.TB, branch string) {
			t.Helper()
			if _, err := bare(dir).run(t.Context(), "branch", branch, "main"); err != nil {
				t.Fatal(err)
			}
		},
		ForkRequest: func(t testing.TB, branch string) int64 {
			t.Helper()
			Advance(t, fork, branch, "main")
			return s.Propose(t, path, Pull{Title: "From a fork", Head: branch, Base: "main", HeadRepository: "stranger/fleet", Author: "stranger"})
		},
		Label:     func(t testing.TB, number int64, label string) { t.Helper(); s.Label(t, path, number, label) },
		MarkDraft: func(t testing.TB, number int64) { t.Helper(); s.MarkDraft(t, path, number) },
		Merge:     func(t testing.TB, number int64) string { t.Helper(); return s.Merge(t, path, number, method) },
		Close:     func(t testing.TB, number int64) { t.Helper(); s.Close(t, path, number) },
		Describe:  func(t testing.TB, number int64, text string) { t.Helper(); s.Describe(t, path, number, text) },
		Comments: func(t testing.TB, number int64) []string {
			t.Helper()
			var texts []string
			for _, c := range s.Pull(t, path, number).Comments {
				texts = append(texts, c.Body)
			}
			return texts
		},
	}
	return w, s
}

// Propose opens a request on behalf of a person, who may have made the change in a fork, and returns its number.
func (s *Server) Propose(t testing.TB, path string, p Pull) int64 {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	r, from := s.repository(path), s.repository(p.HeadRepository)
	if r == nil || from == nil {
		t.Fatalf("there is no repository %s or %s", path, p.HeadRepository)
	}
	opened, err := s.add(t.Context(), r, from, p)
	if err != nil {
		t.Fatal(err)
	}
	return opened.Number
}

// NewBare makes a bare repository whose branches have one commit.
func NewBare(t testing.TB, branches ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository.git")
	if _, err := runGit(t.Context(), t.TempDir(), "init", "-q", "--bare", "--initial-branch=main", dir); err != nil {
		t.Fatal(err)
	}
	for _, branch := range branches {
		if branch != branches[0] {
			if _, err := bare(dir).run(t.Context(), "branch", branch, branches[0]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		Advance(t, dir, branch, "")
	}
	return dir
}

// Advance adds a commit with a file of its own to a branch of a bare repository, and returns it. A branch that does not exist begins at base, or with nothing.
func Advance(t testing.TB, dir, branch, base string) string {
	t.Helper()
	commit, err := bare(dir).advance(t.Context(), t.TempDir(), branch, base)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func (b bare) advance(ctx context.Context, scratch, branch, base string) (string, error) {
	old := b.branch(ctx, branch)
	parent := old
	if parent == "" && base != "" {
		parent = b.branch(ctx, base)
	}
	count := 0
	if parent != "" {
		count = b.ahead(ctx, "", parent)
	}
	file := filepath.Join(scratch, "content")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%s %d\n", branch, count), 0o600); err != nil {
		return "", err
	}
	blob, err := b.run(ctx, "hash-object", "-w", file)
	if err != nil {
		return "", err
	}
	tree, err := b.grown(ctx, scratch, parent, fmt.Sprintf("%s-%d.txt", filepath.Base(branch), count), blob)
	if err != nil {
		return "", err
	}
	parents := []string{parent}
	if parent == "" {
		parents = nil
	}
	commit, err := b.commit(ctx, tree, fmt.Sprintf("Change %d of %s", count, branch), parents...)
	if err != nil {
		return "", err
	}
	_, err = b.run(ctx, "update-ref", "refs/heads/"+branch, commit, old)
	return commit, err
}

// grown returns the tree of a commit with one file more.
func (b bare) grown(ctx context.Context, scratch, parent, name, blob string) (string, error) {
	index := "GIT_INDEX_FILE=" + filepath.Join(scratch, "index")
	if parent != "" {
		if _, err := b.with(ctx, index, "read-tree", parent); err != nil {
			return "", err
		}
	}
	if _, err := b.with(ctx, index, "update-index", "--add", "--cacheinfo", "100644,"+blob+","+name); err != nil {
		return "", err
	}
	return b.with(ctx, index, "write-tree")
}
