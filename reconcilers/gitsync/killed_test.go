package gitsync_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestKilled lets the process die before each of its writes to the status: whatever was done by then is found again, and not done twice.
func TestKilled(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		for version, file := range map[string]string{"1.0.0": "a: 1\n", "1.1.0": "a: 2\n"} {
			s.provide(version, map[string]string{"a.yaml": file})
			for range 4 {
				s.Refuse("status GitSync", errors.New("the process is gone"))
				for range 3 {
					_, _ = s.syncs.Try(t.Context(), s.sync)
				}
				s.Refuse("status GitSync", nil)
				s.install()
				if _, err := s.syncs.Try(t.Context(), s.sync); err != nil { // one more write gets through each time
					t.Fatal(err)
				}
			}
			s.reconcile()
			s.wantReady()
			s.wantPulls("1 Open main")
			if log := gittest.Log(t, s.dir, head); len(log) != 2 || len(gittest.Branches(t, s.dir)) != 2 {
				t.Errorf("%d commits and branches %v, want one of ours upon the base", len(log), gittest.Branches(t, s.dir))
			}
			s.wantQuiet(1)
		}
		gittest.Fsck(t, s.dir)
	})
}

// TestLostRequest creates a pull request whose answer is lost.
func TestLostRequest(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.forge.Lose(func(r *http.Request) bool { return r.Method == http.MethodPost })
		s.reconcile()
		commit := s.sync.Status.LastPushedCommit
		if commit == "" || s.sync.Status.PullRequest != nil {
			t.Fatalf("status %+v, want the push in it and no pull request", s.sync.Status)
		}
		s.forge.Lose(nil)
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
		if s.sync.Status.LastPushedCommit != commit || gittest.Tip(t, s.dir, head) != commit {
			t.Errorf("the push was repeated: %s, %s", commit, gittest.Tip(t, s.dir, head))
		}
	})
}

// TestForgeRefuses pushes although the forge wants no pull request, and says why there is none.
func TestForgeRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		world  func(s *stage)
		reason string
	}{
		"unknown token": {func(s *stage) { s.apiToken("another") }, v1alpha1.AuthenticationFailedReason},
		"token without rights": {func(s *stage) {
			s.forge.AddToken("reader", forgetest.Token{User: "r", Rights: forgetest.Read})
			s.apiToken("reader")
		}, v1alpha1.CreatePullRequestFailedReason},
		"unknown repository": {func(s *stage) {
			s.forge.Rename(forgePath, "acme/other")
			s.forge.AddToken(password, forgetest.Token{User: "x"})
		}, v1alpha1.CreatePullRequestFailedReason},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachForge(t, func(t *testing.T, s *stage) {
				test.world(s)
				s.create(nil)
				s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
				s.reconcile()
				s.wantNotReady(test.reason)
				commit := s.sync.Status.LastPushedCommit
				s.forget()
				s.reconcile()
				if tip := gittest.Tip(t, s.dir, head); commit == "" || tip != commit {
					t.Errorf("branch at %s, last push %s, want one push", tip, commit)
				}
				if events, writes := s.Events(), s.Writes(); len(events)+len(writes) > 0 {
					t.Errorf("the same failure again is said again: %q, %q", events, writes)
				}
			})
		})
	}
}

// TestRateLimited waits for as long as the forge says.
func TestRateLimited(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.forge.SetLimit(&forgetest.Limit{Reset: time.Now().Add(30 * time.Minute)})
		result := s.reconcile()
		if result.RequeueAfter < 20*time.Minute || result.RequeueAfter > 31*time.Minute {
			t.Errorf("asked again after %s, want half an hour: %v", result.RequeueAfter, reconcilertest.Conditions(s.sync))
		}
		if s.sync.Status.LastPushedCommit == "" {
			t.Error("the push waits for the forge")
		}
		s.forge.SetLimit(nil)
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
	})
}

func (s *stage) apiToken(token string) {
	secret := s.secret()
	s.Change(secret, func() { secret.Data["apiToken"] = []byte(token) })
}

// TestSupersede changes where pull requests come from and go to.
func TestSupersede(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		gittest.Branch(t, s.dir, "production", "main")
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.change(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Open main")
		if _, there := gittest.Branches(t, s.dir)[head]; !there {
			t.Error("the branch of before was deleted")
		}
		s.change(func(spec *v1alpha1.GitSyncSpec) {
			spec.PullRequestTemplate = &v1alpha1.PullRequestTemplate{Base: "production"}
		})
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Closed main", "3 Open production")
		s.wantQuiet(1)
		s.change(func(spec *v1alpha1.GitSyncSpec) {
			spec.PullRequestTemplate, spec.AutomaticPullRequestCreation = nil, false
		})
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Closed main", "3 Closed production")
		s.wantQuiet(0)
	})
}

// TestDelivered closes the request when others have brought the content to the base branch.
func TestDelivered(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a.yaml": "a: 1\n"})
		deadline := time.Now().Add(time.Minute)
		for s.reconcile(); s.pulls()[0] != "1 Closed main" && time.Now().Before(deadline); {
			s.reconcile()
		}
		s.wantPulls("1 Closed main")
		s.wantReady()
		s.wantQuiet(0)
		// What was closed by us may be proposed again.
		gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a.yaml": "a: 0\n"})
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Open main")
	})
}

// TestOtherRepository closes the request in the repository of before, if the token is for its host.
func TestOtherRepository(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		other := s.server.Dir("acme/other.git")
		gittest.NewRepository(t, other, map[string]string{"README.md": "other"}, "main")
		s.forge.AddRepository("acme/other", other)
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.change(func(spec *v1alpha1.GitSyncSpec) { spec.Repository.URL = s.server.RepositoryURL("acme/other.git") })
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main")
		if pulls := s.forge.Pulls(t, "acme/other"); len(pulls) != 1 || s.sync.Status.PullRequest.Number != 1 {
			t.Errorf("pull requests %+v", pulls)
		}
	})
}
