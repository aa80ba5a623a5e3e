package giteaserver_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/e2e/giteaserver"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestGitea runs everything against one Gitea: its start takes longer than most of this.
func TestGitea(t *testing.T) {
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	var address string
	t.Run("run", func(t *testing.T) {
		s := giteaserver.Start(t)
		address = s.URL
		testAll(t, s)
	})
	client := &http.Client{Timeout: time.Minute}
	if answer, err := client.Get(address); address != "" && err == nil {
		_ = answer.Body.Close()
		t.Error("it answers still when its test has ended")
	}
}

func testAll(t *testing.T, s *giteaserver.Server) {
	t.Run("git over HTTP", func(t *testing.T) { testHTTP(t, s) })
	t.Run("git over SSH", func(t *testing.T) { testSSH(t, s) })
	t.Run("remote", func(t *testing.T) { testRemote(t, s) })
	t.Run("repository", func(t *testing.T) { testRepository(t, s) })
	t.Run("merge", func(t *testing.T) { testMerge(t, s) })
	t.Run("rights of tokens", func(t *testing.T) { testTokens(t, s) })
	t.Run("forge", func(t *testing.T) { forgetest.Run(t, world(t, s)) })
	t.Run("squashed, branch deleted", func(t *testing.T) { testSquashed(t, s) })
	t.Run("work in progress", func(t *testing.T) { testProgress(t, s) })
	t.Run("user without rights", func(t *testing.T) { testStranger(t, s) })
}

// push pushes a commit to a branch and returns what git says.
func push(t *testing.T, address, branch string, args ...string) (string, error) {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work.git")
	gittest.NewRepository(t, work, map[string]string{"pushed": t.Name()}, "new")
	return gittest.TryGit(t, work, append(args, "push", address, "new:refs/heads/"+branch)...)
}

func withLogin(t *testing.T, address, user, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func testHTTP(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "http", map[string]string{"README.md": "hello\n"})
	if out, err := push(t, withLogin(t, r.URL, s.Admin.Name, s.Admin.Password()), "by-password"); err != nil {
		t.Errorf("by password: %v\n%s", err, out)
	}
	if out, err := push(t, withLogin(t, r.URL, "anybody", s.Admin.NewToken(t, giteaserver.WriteRepository)), "by-token"); err != nil {
		t.Errorf("by token: %v\n%s", err, out)
	}
	if out, err := push(t, withLogin(t, r.URL, "anybody", s.Admin.NewToken(t, giteaserver.ReadRepository)), "refused"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("by a token that may read only: %v\n%s", err, out)
	}
	r.Protect(t, "main")
	if out, err := push(t, withLogin(t, r.URL, s.Admin.Name, s.Admin.Password()), "main", "-c", "push.default=nothing"); err == nil || !strings.Contains(out, "rejected") {
		t.Errorf("protected: %v\n%s", err, out)
	}
	if diff := cmp.Diff([]string{"by-password", "by-token", "main"}, r.Branches(t)); diff != "" {
		t.Errorf("branches (-want +got):\n%s", diff)
	}
	gittest.Fsck(t, r.Dir)
}

func testSSH(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "ssh", map[string]string{"README.md": "hello\n"})
	key := gittest.NewKey(t, gittest.Ed25519, "")
	s.Admin.AddKey(t, key.Public)
	write := func(name string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	command := fmt.Sprintf("core.sshCommand=ssh -F none -i %s -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=%s -o StrictHostKeyChecking=yes",
		write("key", key.Private), write("known_hosts", s.KnownHosts))
	if out, err := push(t, r.SSHURL, "by-key", "-c", command); err != nil || r.Tip(t, "by-key") == "" {
		t.Errorf("by key: %v\n%s", err, out)
	}
}

func testRepository(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "repository", nil)
	if branches := r.Branches(t); len(branches) > 0 || r.Tip(t, "main") != "" {
		t.Errorf("an empty repository has the branches %q", branches)
	}
	first := r.Commit(t, "main", map[string]string{"a": "1"})
	second := r.Commit(t, "topic", map[string]string{"b": "1"}, "a")
	if log := gittest.Log(t, r.Dir, "topic"); len(log) != 2 || log[0].Hash != second || log[1].Hash != first {
		t.Errorf("the topic is %+v, want %s on %s", log, second, first)
	}
	if diff := cmp.Diff(map[string]string{"b": "1"}, gittest.Contents(t, r.Dir, "topic")); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	forced := r.Apply(t, gittest.Change{Branch: "topic", From: first, Files: map[string]string{"c": "1"}})
	r.Branch(t, "copy", forced)
	r.DeleteBranch(t, "topic")
	if r.Tip(t, "copy") != forced || !slices.Equal(r.Branches(t), []string{"copy", "main"}) {
		t.Errorf("branches are %q, copy is at %s", r.Branches(t), r.Tip(t, "copy"))
	}
	r.Delete(t)
	if out, err := gittest.TryGit(t, t.TempDir(), "ls-remote", r.URL); err == nil {
		t.Errorf("a deleted repository answers %s", out)
	}
}

func testMerge(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "merge", map[string]string{"a": "1"})
	r.Commit(t, "one", map[string]string{"b": "1"})
	r.Commit(t, "two", map[string]string{"c": "1"})
	one, two := r.Propose(t, s.Admin, "one", "main"), r.Propose(t, s.Admin, "two", "main")
	r.Label(t, one.Number, "urgent")
	tip := r.Merge(t, one.Number, giteaserver.Merge, true)
	r.Close(t, two.Number)
	pulls := r.PullRequests(t)
	if len(pulls) != 2 || !pulls[0].Merged || pulls[0].MergeCommit != tip || pulls[1].Merged || pulls[1].State != "closed" {
		t.Errorf("got %+v, want one that is merged as %s and one that is closed", pulls, tip)
	}
	if diff := cmp.Diff([]string{"urgent"}, pulls[0].LabelNames()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if !slices.Equal(r.Branches(t), []string{"main", "two"}) || gittest.Contents(t, r.Dir, "main")["b"] != "1" {
		t.Errorf("branches are %q, main has %v", r.Branches(t), gittest.Contents(t, r.Dir, "main"))
	}
	r.Reopen(t, two.Number)
	r.Retitle(t, two.Number, "WIP: two")
	if again := r.PullRequest(t, two.Number); again.State != "open" || !again.Draft || again.Head.Commit != r.Tip(t, "two") {
		t.Errorf("opened again: %+v", again)
	}
}

func testTokens(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "tokens", map[string]string{"a": "1"})
	r.Commit(t, "one", map[string]string{"b": "1"})
	draft := forge.Draft{Title: "one", Head: "one", Base: "main"}
	for name, tc := range map[string]struct {
		reason string
		scopes []string
		want   error
	}{
		"other scope": {reason: "it is for something else", scopes: []string{giteaserver.ReadUser}, want: forge.ErrForbidden},
		"read":        {reason: "it may not write", scopes: []string{giteaserver.ReadRepository}, want: forge.ErrForbidden},
		"write":       {reason: "it is all that a request without labels needs", scopes: []string{giteaserver.WriteRepository}},
	} {
		created, err := open(t, r, s.Admin.NewToken(t, tc.scopes...)).Create(t.Context(), draft)
		if !errors.Is(err, tc.want) || (err == nil) != (created != nil) {
			t.Errorf("%s: got %+v, %v; want %v: %s", name, created, err, tc.want, tc.reason)
		}
		if err != nil && !strings.Contains(err.Error(), giteaserver.WriteRepository) {
			t.Errorf("%s: %v does not say which scope the token lacks", name, err)
		}
	}
}

// open returns the tested implementation for the repository.
func open(t *testing.T, r *giteaserver.Repository, token string) forge.Forge {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	f, err := forge.New(forge.Options{Provider: forge.Gitea, RepositoryURL: strings.TrimSuffix(r.URL, ".git"), APIURL: u.Scheme + "://" + u.Host + "/api/v1", Token: token, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// world is what the conformance tests of forges need.
func world(t *testing.T, s *giteaserver.Server) forgetest.World {
	t.Helper()
	r := s.NewRepository(t, "forge", map[string]string{"README.md": "hello\n"})
	r.Commit(t, "release", map[string]string{"release": "1"})
	stranger := s.NewUser(t, "stranger")
	fork := r.Fork(t, stranger)
	count := 0
	return forgetest.World{
		Provider: forge.Gitea, RepositoryURL: strings.TrimSuffix(r.URL, ".git"), APIURL: s.URL + "/api/v1",
		Token: s.Admin.NewToken(t, giteaserver.WriteRepository, giteaserver.WriteIssue), ReadToken: s.Admin.NewToken(t, giteaserver.ReadRepository),
		Base: "main", OtherBase: "release",
		Branch: func(t testing.TB, branch string) string {
			count++
			return r.Commit(t, branch, map[string]string{fmt.Sprintf("file-%d", count): branch})
		},
		EmptyBranch: func(t testing.TB, branch string) { r.Branch(t, branch, r.Tip(t, "main")) },
		ForkRequest: func(t testing.TB, branch string) int64 {
			fork.Commit(t, branch, map[string]string{"of-a-fork": "1"})
			return r.Propose(t, stranger, stranger.Name+":"+branch, "main").Number
		},
		Label:     r.Label,
		MarkDraft: func(t testing.TB, number int64) { r.Retitle(t, number, "WIP: "+r.PullRequest(t, number).Title) },
		Merge:     func(t testing.TB, number int64) string { return r.Merge(t, number, giteaserver.Merge, false) },
		Close:     r.Close, Describe: r.Describe, Comments: r.Comments,
	}
}

// testSquashed: the commit that base gets is another one than the branch had, and the branch is gone.
func testSquashed(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "squashed", map[string]string{"a": "1"})
	f := open(t, r, s.Admin.Token)
	r.Commit(t, "one", map[string]string{"b": "1"})
	tip := r.Commit(t, "one", map[string]string{"c": "1"})
	created, err := f.Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	merged := r.Merge(t, created.Number, giteaserver.Squash, true)
	read, err := f.Get(t.Context(), created.Number)
	if err != nil || read.State != forge.Merged || read.MergeCommit != merged || merged == tip || read.Head != "one" {
		t.Errorf("got %+v, %v; want it merged as %s", read, err, merged)
	}
	if r.Tip(t, "one") != "" {
		t.Error("the branch is there still")
	}
	if found, err := f.Open(t.Context(), "one"); err != nil || len(found) > 0 {
		t.Errorf("still open: %+v, %v", found, err)
	}
	if err := f.Close(t.Context(), created.Number, "too late"); err != nil || len(r.Comments(t, created.Number)) > 0 {
		t.Errorf("close after the merge: %v, comments %q", err, r.Comments(t, created.Number))
	}
	// The same branch again, from the new tip.
	r.Apply(t, gittest.Change{Branch: "one", From: merged, Files: map[string]string{"d": "1"}})
	again, err := f.Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"})
	if err != nil || again.Number == created.Number {
		t.Errorf("the next one: %+v, %v", again, err)
	}
}

// testProgress: Gitea keeps a draft's mark in the title.
func testProgress(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "progress", map[string]string{"a": "1"})
	f := open(t, r, s.Admin.Token)
	r.Commit(t, "one", map[string]string{"b": "1"})
	created, err := f.Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	for _, mark := range []string{"WIP: ", "[WIP] ", "wip: "} {
		r.Retitle(t, created.Number, mark+"one")
		if pull := r.PullRequest(t, created.Number); !pull.Draft {
			t.Errorf("Gitea takes %q for no draft", pull.Title)
		}
		read, err := f.Get(t.Context(), created.Number)
		if err != nil || !read.Draft || read.Title != "one" {
			t.Errorf("%s: got %+v, %v; want a draft", mark, read, err)
		}
		if _, err := f.Update(t.Context(), created.Number, forge.Draft{Title: "two", Head: "one", Base: "main"}); err != nil {
			t.Error(err)
		}
		if pull := r.PullRequest(t, created.Number); !pull.Draft || !strings.HasSuffix(pull.Title, "two") {
			t.Errorf("%s: the update made %+v of it; want a draft still", mark, pull)
		}
	}
}

// testStranger: a user who is known, and may read what is public.
func testStranger(t *testing.T, s *giteaserver.Server) {
	stranger := s.NewUser(t, "nobody")
	public := s.NewRepository(t, "public", map[string]string{"a": "1"})
	public.Commit(t, "one", map[string]string{"b": "1"})
	private := s.Admin.NewRepository(t, "private", map[string]string{"a": "1"}, true)
	private.Commit(t, "one", map[string]string{"b": "1"})
	f := open(t, public, s.Admin.Token)
	created, err := f.Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	theirs := open(t, public, stranger.Token)
	if _, err := theirs.Update(t.Context(), created.Number, forge.Draft{Title: "changed", Head: "one", Base: "main"}); !errors.Is(err, forge.ErrForbidden) {
		t.Errorf("update: %v, want ErrForbidden", err)
	}
	if err := theirs.Close(t.Context(), created.Number, ""); !errors.Is(err, forge.ErrForbidden) {
		t.Errorf("close: %v, want ErrForbidden", err)
	}
	if _, err := open(t, private, stranger.Token).Open(t.Context(), "one"); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("a repository that is private: %v, want ErrNotFound", err)
	}
	if _, err := open(t, private, stranger.Token).Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"}); !errors.Is(err, forge.ErrNotFound) {
		t.Errorf("create in a repository that is private: %v, want ErrNotFound", err)
	}
	private.Allow(t, stranger, "write")
	if _, err := open(t, private, stranger.Token).Create(t.Context(), forge.Draft{Title: "one", Head: "one", Base: "main"}); err != nil {
		t.Errorf("create as a collaborator: %v", err)
	}
	if pull := public.PullRequest(t, created.Number); pull.State != "open" || pull.Title != "one" {
		t.Errorf("it was changed: %+v", pull)
	}
}
