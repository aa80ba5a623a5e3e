package forgetest_test

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
)

// site is a test forge with one repository, and our own client of it.
type site struct {
	*forgetest.Server

	dir, path string
	forge     forge.Forge
}

func open(t *testing.T, provider string) *site {
	t.Helper()
	s := &site{Server: forgetest.Start(t, provider), dir: forgetest.NewBare(t, "main", "next"), path: "acme/fleet"}
	s.AddRepository(s.path, s.dir)
	s.AddToken("a-token", forgetest.Token{User: "ocm-bot", Rights: forgetest.Write})
	var err error
	if s.forge, err = forge.New(forge.Options{Provider: provider, RepositoryURL: s.URL + "/" + s.path, APIURL: s.APIURL(), Token: "a-token"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", s.dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", args[0], err, out)
	}
	return strings.TrimSpace(string(out))
}

// propose opens a request for a new branch with one commit.
func (s *site) propose(t *testing.T, branch string) *forge.Request {
	t.Helper()
	forgetest.Advance(t, s.dir, branch, "main")
	r, err := s.forge.Create(t.Context(), forge.Draft{Title: "Deliver " + branch, Head: branch, Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// both runs a test for each of the two forges.
func both(t *testing.T, run func(t *testing.T, s *site, provider string)) {
	t.Helper()
	for _, provider := range []string{forge.GitHub, forge.GitLab} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			run(t, open(t, provider), provider)
		})
	}
}

// TestPushes: what is pushed with git changes requests as the real ones do it.
func TestPushes(t *testing.T) {
	t.Parallel()
	type state = forge.State
	for name, c := range map[string]struct {
		push           func(t *testing.T, s *site)
		github, gitlab state
		reason         string
	}{
		"head is deleted":        {func(t *testing.T, s *site) { s.git(t, "update-ref", "-d", "refs/heads/ocm/a") }, forge.Closed, forge.Closed, "both close it"},
		"base is deleted":        {func(t *testing.T, s *site) { s.git(t, "update-ref", "-d", "refs/heads/main") }, forge.Closed, forge.Open, "only GitHub closes it"},
		"head is pushed to base": {func(t *testing.T, s *site) { s.git(t, "update-ref", "refs/heads/main", "refs/heads/ocm/a") }, forge.Merged, forge.Merged, "both see that somebody merged it by hand"},
		"head is put on base":    {func(t *testing.T, s *site) { s.git(t, "update-ref", "refs/heads/ocm/a", "refs/heads/main") }, forge.Closed, forge.Open, "without commits there is nothing to merge"},
		"head has more commits":  {func(t *testing.T, s *site) { forgetest.Advance(t, s.dir, "ocm/a", "") }, forge.Open, forge.Open, ""},
		"base has more commits":  {func(t *testing.T, s *site) { forgetest.Advance(t, s.dir, "main", "") }, forge.Open, forge.Open, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, func(t *testing.T, s *site, provider string) {
				created := s.propose(t, "ocm/a")
				c.push(t, s)
				want := map[string]state{forge.GitHub: c.github, forge.GitLab: c.gitlab}[provider]
				read, err := s.forge.Get(t.Context(), created.Number)
				if err != nil || read.State != want || (want == forge.Merged && read.MergeCommit != created.HeadCommit) {
					t.Errorf("%+v, %v; want %s (%s)", read, err, want, c.reason)
				}
				if want != forge.Open {
					return
				}
				if tip := s.git(t, "rev-parse", "ocm/a"); read.HeadCommit != tip {
					t.Errorf("head is at %s, want %s", read.HeadCommit, tip)
				}
			})
		})
	}
}

// TestMergedByGit: what the forge merged is in the repository, with all that both sides have, and git has nothing against it.
func TestMergedByGit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		for i, method := range []string{"merge", "squash", "rebase"} {
			branch := "ocm/" + method
			created := s.propose(t, branch)
			forgetest.Advance(t, s.dir, branch, "")
			before := forgetest.Advance(t, s.dir, "main", "")
			tip := s.Merge(t, s.path, created.Number, method)
			if at := s.git(t, "rev-parse", "main"); at != tip {
				t.Fatalf("%s: main is at %s, want %s", method, at, tip)
			}
			s.git(t, "merge-base", "--is-ancestor", before, "main")
			if diff := s.git(t, "diff", "--name-only", before, "main"); strings.Count(diff, method+"-") != 2 || strings.Contains(diff, "main-") {
				t.Errorf("%s: it brought %q, want the two files of its commits", method, diff)
			}
			commits := s.git(t, "rev-list", "--count", "--first-parent", before+"..main")
			if want := map[string]string{"merge": "1", "squash": "1", "rebase": "2"}[method]; commits != want {
				t.Errorf("%s: %s commits, want %s", method, commits, want)
			}
			if p := s.Pulls(t, s.path)[i]; p.State != forge.Merged || p.Number != created.Number {
				t.Errorf("%s: %+v", method, p)
			}
		}
		s.git(t, "fsck", "--strict")
	})
}

// TestConflict: what cannot be merged is not, and stays open.
func TestConflict(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		created := s.propose(t, "ocm/main")
		// A file of the same name with other content in the base.
		other := forgetest.Advance(t, s.dir, "x/main", "main")
		s.git(t, "update-ref", "refs/heads/main", other)
		address, method := s.APIURL()+"/repos/acme/fleet/pulls/1/merge", http.MethodPut
		want := http.StatusMethodNotAllowed
		if provider == forge.GitLab {
			address, want = s.APIURL()+"/projects/acme%2Ffleet/merge_requests/1/merge", http.StatusUnprocessableEntity
		}
		if status := s.ask(t, method, address); status != want {
			t.Errorf("merge with conflicts: %d, want %d", status, want)
		}
		if p := s.Pull(t, s.path, created.Number); p.State != forge.Open || p.MergeCommit != "" {
			t.Errorf("%+v", p)
		}
	})
}

// ask sends a request with the token of the site.
func (s *site) ask(t *testing.T, method, address string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer a-token")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestLose: a request whose answer is lost was done, and is found by who asks again.
func TestLose(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		forgetest.Advance(t, s.dir, "ocm/a", "main")
		s.Lose(func(r *http.Request) bool { return r.Method == http.MethodPost })
		draft := forge.Draft{Title: "Deliver", Head: "ocm/a", Base: "main"}
		if created, err := s.forge.Create(t.Context(), draft); err == nil {
			t.Fatalf("the answer was not lost: %+v", created)
		}
		s.Lose(nil)
		if found, err := s.forge.Open(t.Context(), "ocm/a"); err != nil || len(found) != 1 {
			t.Errorf("found %v, %v", found, err)
		}
		if _, err := s.forge.Create(t.Context(), draft); !errors.Is(err, forge.ErrExists) {
			t.Errorf("again: %v, want ErrExists", err)
		}
	})
}

// TestLimit: a limit that is reached is told, with the time when it ends, and ends then.
func TestLimit(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		for _, burst := range []bool{false, true} {
			reset := time.Now().Add(time.Hour)
			s.SetLimit(&forgetest.Limit{Remaining: 1, Reset: reset, Burst: burst})
			if _, err := s.forge.Open(t.Context(), "ocm/a"); err != nil {
				t.Errorf("the last one: %v", err)
			}
			_, err := s.forge.Open(t.Context(), "ocm/a")
			limit, ok := errors.AsType[*forge.RateLimitedError](err)
			if !ok || limit.Until.Before(reset.Add(-time.Minute)) || limit.Until.After(reset.Add(time.Minute)) {
				t.Errorf("one too many: %v", err)
			}
			s.SetLimit(&forgetest.Limit{Reset: time.Now().Add(-time.Second), Burst: burst})
			if _, err := s.forge.Open(t.Context(), "ocm/a"); err != nil {
				t.Errorf("after the reset: %v", err)
			}
		}
	})
}

// TestLog: everything that was asked is there, also what a fault has answered, and tokens are not.
func TestLog(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		created := s.propose(t, "ocm/a")
		if err := s.forge.Close(t.Context(), created.Number, "bye"); err != nil {
			t.Fatal(err)
		}
		var writes []string
		for _, r := range s.Requests() {
			if r.Method != http.MethodGet {
				writes = append(writes, r.Method)
			}
			if r.User != "ocm-bot" || r.Status >= 300 || r.Status < 200 || strings.Contains(r.Header.Get("Authorization")+r.Header.Get("Private-Token"), "a-token") {
				t.Errorf("%+v", r)
			}
		}
		// Create, close, comment.
		want := []string{"POST", map[string]string{forge.GitHub: "PATCH", forge.GitLab: "PUT"}[provider], "POST"}
		if !slices.Equal(writes, want) {
			t.Errorf("%s, want %s", writes, want)
		}
		s.Forget()
		s.Fault(func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true })
		if _, err := s.forge.Get(t.Context(), created.Number); err == nil {
			t.Error("the fault did not answer")
		}
		if log := s.Requests(); len(log) != 1 || !strings.HasSuffix(log[0].Path, "/1") {
			t.Errorf("%+v", log)
		}
	})
}

// TestSecrets: who has no token, or one without rights, does not see that a repository exists.
func TestSecrets(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, s *site, provider string) {
		s.propose(t, "ocm/a")
		s.AddToken("nothing", forgetest.Token{User: "nobody"})
		f, err := forge.New(forge.Options{Provider: provider, RepositoryURL: s.URL + "/" + s.path, APIURL: s.APIURL(), Token: "nothing"})
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string]func(context.Context) error{
			"read":  func(ctx context.Context) error { _, err := f.Get(ctx, 1); return err },
			"list":  func(ctx context.Context) error { _, err := f.Open(ctx, "ocm/a"); return err },
			"write": func(ctx context.Context) error { return f.Close(ctx, 1, "") },
		} {
			if err := ask(t.Context()); !errors.Is(err, forge.ErrNotFound) {
				t.Errorf("%s: %v, want ErrNotFound", name, err)
			}
		}
	})
}
