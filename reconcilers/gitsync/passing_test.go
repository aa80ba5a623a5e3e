package gitsync_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestAskedAndFailed proposes anew what was declined, as somebody has asked for, though the forge fails at first.
func TestAskedAndFailed(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.forge.Close(t, forgePath, 1)
		s.Change(s.sync, func() { s.sync.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "web hook"} })
		s.reconcile()
		s.wantNotReady(v1alpha1.PullRequestClosedReason)
		s.wantPulls("1 Closed main")

		s.Change(s.sync, func() { s.sync.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
		failures := 2
		s.forge.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || failures == 0 {
				return false
			}
			failures--
			w.WriteHeader(http.StatusBadGateway)
			return true
		})
		for failures > 0 {
			s.reconcile()
			s.wantNotReady(v1alpha1.CreatePullRequestFailedReason)
		}
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Open main")
	})
}

// TestHiddenRepository forgets nothing while the token may not see the repository.
func TestHiddenRepository(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.forge.Close(t, forgePath, 1)
		s.reconcile()
		s.wantNotReady(v1alpha1.PullRequestClosedReason)
		s.forge.AddToken("stranger", forgetest.Token{User: "stranger"})
		s.apiToken("stranger")
		past := metav1.NewTime(s.sync.Status.LastPushTime.Add(-time.Hour))
		s.SetStatus(s.sync, func() { s.sync.Status.LastPushTime = &past })
		s.reconcile()
		if message := s.wantNotReady(v1alpha1.CreatePullRequestFailedReason); !strings.Contains(message, "rights of the token") {
			t.Errorf("message %q, want one that names the rights of the token", message)
		}
		s.apiToken(password)
		s.reconcile()
		s.wantNotReady(v1alpha1.PullRequestClosedReason)
		s.wantPulls("1 Closed main")
	})
}

// TestUnseenBranch tries again, soon, where a forge doesn't know yet of a branch that was just pushed.
func TestUnseenBranch(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		unseen := true
		s.forge.Fault(func(w http.ResponseWriter, r *http.Request) bool {
			if unseen && r.Method == http.MethodPost {
				unseen = false
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return false
		})
		if result := s.reconcile(); result.RequeueAfter > time.Minute {
			t.Errorf("asked again after %s, want soon: %s", result.RequeueAfter, reconcilertest.Message(s.sync, "Ready"))
		}
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
	})
}

// TestSpelling takes other spellings of an address for the same repository.
func TestSpelling(t *testing.T) {
	t.Parallel()
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	s.reconcile()
	before := *s.sync.Status.PullRequest
	s.forget()
	url := s.sync.Spec.Repository.URL
	for _, spelled := range []string{url + "/", strings.TrimSuffix(url, ".git"), url} {
		s.change(func(spec *v1alpha1.GitSyncSpec) { spec.Repository.URL = spelled })
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
		if got := *s.sync.Status.PullRequest; got != before {
			t.Errorf("%s: the pull request is %+v, was %+v", spelled, got, before)
		}
	}
	if events := strings.Join(s.Events(), "\n"); strings.Contains(events, "Closed") || strings.Contains(events, "left open") {
		t.Errorf("events %s", events)
	}
}

// TestRefusedOnce reads neither branches nor content again as long as the verdict on them can be no other.
func TestRefusedOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"bad": "1", ".git/config": "x"})
	s.reconcile()
	s.wantNotReady(v1alpha1.InvalidContentReason)
	s.wantQuiet(0)
	s.provide("1.1.0", map[string]string{"good": "1"})
	s.reconcile()
	s.wantReady()
	before := s.tip("main").Hash

	s.change(func(spec *v1alpha1.GitSyncSpec) { spec.ConflictPolicy = v1alpha1.ConflictRefuse })
	s.reconcile()
	gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/theirs": "2"})
	s.reconcile()
	s.wantNotReady(v1alpha1.ForeignChangesReason)
	s.wantQuiet(0)
	gittest.Commit(t, s.dir, "main", nil, "apps/podinfo/theirs")
	s.reconcile()
	s.wantReady()
	if log := gittest.Log(t, s.dir, "main"); len(log) != 4 || log[2].Hash != before {
		t.Errorf("%d commits, want no more of ours", len(log))
	}
}

// TestOldImages asks for all files whose images are compared at once.
func TestOldImages(t *testing.T) {
	t.Parallel()
	before, after := map[string]string{"README.md": "fleet"}, map[string]string{}
	for _, name := range []string{"a.yaml", "b.yaml", "c.yaml", "d.yaml"} {
		before["apps/podinfo/"+name], after[name] = "image: "+name+":1\n", "image: "+name+":2\n"
	}
	s := newForgeStage(t, forge.GitHub, before)
	gittest.LikeForge(t, s.dir)
	s.create(nil)
	s.provide("1.0.0", after)
	s.forget()
	s.reconcile()
	s.wantReady()
	fetches := 0
	for _, r := range s.server.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/git-upload-pack") {
			fetches++
		}
	}
	if body := s.forge.Pull(t, forgePath, 1).Body; !strings.Contains(body, "d.yaml:1") || fetches != 2 {
		t.Errorf("%d fetches, want one of the commit and one of the files: %s", fetches, body)
	}
}
