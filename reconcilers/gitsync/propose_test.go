package gitsync_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

const (
	forgePath = "acme/fleet"
	head      = "ocm/default/app"
)

// newForgeStage is newStage with a forge in front of the repository, and a GitSync that makes pull requests.
func newForgeStage(t *testing.T, provider string, files map[string]string) *stage {
	t.Helper()
	s := newStage(t, files)
	s.forge = forgetest.Start(t, provider)
	s.forge.AddRepository(forgePath, s.dir)
	s.forge.AddToken(password, forgetest.Token{User: "ocm-bot", Rights: forgetest.Write})
	s.sync.Spec.Repository.Provider, s.sync.Spec.Repository.APIURL = provider, s.forge.APIURL()
	s.sync.Spec.AutomaticPullRequestCreation = true
	return s
}

// eachForge runs a test with every forge that has a test forge.
func eachForge(t *testing.T, test func(t *testing.T, s *stage)) {
	t.Helper()
	for _, provider := range []string{forge.GitHub, forge.GitLab} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			test(t, newForgeStage(t, provider, map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "image: a:1\n"}))
		})
	}
}

// pulls returns the requests in the form "1 Open main".
func (s *stage) pulls() []string {
	s.t.Helper()
	var all []string
	for _, p := range s.forge.Pulls(s.t, forgePath) {
		all = append(all, fmt.Sprintf("%d %s %s", p.Number, p.State, p.Base))
	}
	return all
}

func (s *stage) wantPulls(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.pulls()); diff != "" {
		s.t.Fatalf("pull requests (-want +got):\n%s", diff)
	}
}

func (s *stage) wantEvent(text string) {
	s.t.Helper()
	events := s.Events()
	if !strings.Contains(strings.Join(events, "\n"), text) {
		s.t.Errorf("events %q, want one with %q", events, text)
	}
}

func TestPropose(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(func(spec *v1alpha1.GitSyncSpec) {
			spec.PullRequestTemplate = &v1alpha1.PullRequestTemplate{Title: "Deploy {{ .Version }}", Labels: []string{"deployment"}}
		})
		s.provide("1.0.0", map[string]string{"a.yaml": "spec:\n  containers:\n  - image: a:2\n"})
		s.reconcile()
		s.wantPulls("1 Open main")
		pull := s.forge.Pull(s.t, forgePath, 1)
		if want := "Pull request #1 is open: " + s.sync.Status.PullRequest.URL; s.wantReady() != want {
			t.Errorf("message %q, want %q", s.wantReady(), want)
		}
		if pull.Title != "Deploy 1.0.0" || pull.Head != head || !cmp.Equal(pull.Labels, []string{"deployment"}) || !strings.Contains(pull.Body, "acme.org/app") || !strings.Contains(pull.Body, "a:2") {
			t.Errorf("pull request %+v", pull)
		}
		s.wantEvent("Created pull request #1: http")
		status := s.sync.Status
		if status.Branch != head || status.Commit != pull.HeadCommit || status.BaseCommit != gittest.Tip(t, s.dir, "main") || status.PullRequest.Digest != status.Digest {
			t.Errorf("status %+v, pull request %+v", status, pull)
		}
		s.wantQuiet(1)
		s.install()
		s.wantQuiet(1)

		// A new version replaces the commit, and the request says so.
		s.provide("1.1.0", map[string]string{"a.yaml": "a: 2\n"})
		s.reconcile()
		s.wantPulls("1 Open main")
		if log := gittest.Log(t, s.dir, head); len(log) != 2 || s.forge.Pull(t, forgePath, 1).Title != "Deploy 1.1.0" {
			t.Errorf("%d commits in the branch, want one upon the base: %+v", len(log), s.forge.Pull(t, forgePath, 1))
		}
		s.wantEvent("Updated pull request #1 for version 1.1.0")
		s.wantQuiet(1)

		// Somebody merges it.
		s.forge.Merge(t, forgePath, 1, "merge")
		s.reconcile()
		if want := "Merged: pull request #1 as " + s.sync.Status.PullRequest.MergeCommit[:7] + ", branch main holds version 1.1.0"; s.wantReady() != want {
			t.Errorf("message %q, want %q", s.wantReady(), want)
		}
		s.wantEvent("Pull request #1 was merged as ")
		s.wantQuiet(0)
		s.install()
		s.wantQuiet(0)

		// The next version is a new request from the same branch.
		s.provide("1.2.0", map[string]string{"a.yaml": "a: 3\n"})
		s.reconcile()
		s.wantPulls("1 Merged main", "2 Open main")
		gittest.Fsck(t, s.dir)
	})
}

func TestClosedElsewhere(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.forge.Close(t, forgePath, 1)
		gittest.DeleteBranch(t, s.dir, head)
		for range 2 {
			s.reconcile()
			s.wantNotReady(v1alpha1.PullRequestClosedReason)
			s.wantPulls("1 Closed main")
			if branches := gittest.Branches(t, s.dir); len(branches) != 1 {
				t.Errorf("branches %v, want that the deleted one is left alone", branches)
			}
		}
		s.forget()
		s.reconcile()
		if writes, events := s.Writes(), s.Events(); len(writes)+len(events) > 0 || len(s.server.Requests()) != 1 {
			t.Errorf("writes %q, events %q, %d requests", writes, events, len(s.server.Requests()))
		}

		s.Change(s.sync, func() { s.sync.Annotations = map[string]string{meta.ReconcileRequestAnnotation: "now"} })
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Open main")
		s.forge.Close(t, forgePath, 2)
		s.reconcile()
		s.wantNotReady(v1alpha1.PullRequestClosedReason)

		s.provide("1.1.0", map[string]string{"a.yaml": "a: 2\n"})
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Closed main", "2 Closed main", "3 Open main")
	})
}

// TestSignatures names in a pull request what was verified, and nothing that was verified of another version.
func TestSignatures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reconciled string
		verified   bool
		want       bool
	}{
		"verified":      {"1.0.0", true, true},
		"moved on":      {"1.1.0", true, false},
		"not by source": {"1.0.0", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
			cv := reconcilertest.ComponentVersion("app", "example.com/ocm", "acme.org/app", ">=1.0.0")
			s.Create(cv)
			s.SetStatus(cv, func() {
				cv.Status.ReconciledVersion, cv.Status.Verified = test.reconciled, true
				cv.Status.Signatures = []v1alpha1.VerifiedSignature{{Name: "release-signature", Algorithm: "RSASSA-PKCS1-V1_5", Digest: "d", KeyFingerprint: "f", Time: metav1.Now()}}
			})
			s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
			s.SetStatus(s.resource, func() { s.resource.Status.Origins[0].Verified = test.verified })
			s.create(nil)
			s.reconcile()
			if body := s.forge.Pull(t, forgePath, 1).Body; strings.Contains(body, "release-signature") != test.want {
				t.Errorf("body %s, want the signature in it: %v", body, test.want)
			}
		})
	}
}

// TestFound takes a pull request that somebody has opened from the branch, and keeps the commits there.
func TestFound(t *testing.T) {
	t.Parallel()
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	number := s.openByHand()
	s.create(nil)
	s.reconcile()
	s.wantReady()
	if request := s.sync.Status.PullRequest; request.Number != number {
		t.Errorf("pull request #%d, want #%d, which was there", request.Number, number)
	}
	s.wantPulls("1 Open main")
	s.wantEvent("Found pull request #1 of branch " + head)
}

// openByHand lets somebody push a branch of the name that is used later, and propose it.
func (s *stage) openByHand() int64 {
	s.t.Helper()
	gittest.Branch(s.t, s.dir, head, "main")
	gittest.Commit(s.t, s.dir, head, map[string]string{"theirs": "x"})
	return s.forge.Propose(s.t, forgePath, forgetest.Pull{Title: "by hand", Head: head, Base: "main", HeadRepository: forgePath, Author: "somebody"})
}
