package gitsync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// until reconciles until the pull requests are as wanted.
func (s *stage) until(want ...string) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for s.reconcile(); !cmp.Equal(s.pulls(), want) && time.Now().Before(deadline); {
		s.reconcile()
	}
	s.wantPulls(want...)
}

// wantMergeable checks that a branch can be merged without conflicts, and what comes of that.
func (s *stage) wantMergeable(branch string, want map[string]string) {
	s.t.Helper()
	merged := gittest.Git(s.t, s.dir, "merge-tree", "--write-tree", "main", branch)
	if diff := cmp.Diff(want, gittest.Contents(s.t, s.dir, strings.TrimSpace(merged))); diff != "" {
		s.t.Errorf("files after a merge of %s (-want +got):\n%s", branch, diff)
	}
}

// TestRevert undoes a merge whose branch is still there: that is proposed again, by something that can be merged.
func TestRevert(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"merge", "squash"} {
		for name, forget := range map[string]bool{"": false, ", status lost": true} {
			t.Run(method+name, func(t *testing.T) {
				t.Parallel()
				eachForge(t, func(t *testing.T, s *stage) {
					s.create(nil)
					s.provide("1.0.0", map[string]string{"a.yaml": "image: a:2\n"})
					s.reconcile()
					s.forge.Merge(t, forgePath, 1, method)
					s.reconcile()
					s.wantReady()
					gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a.yaml": "image: a:1\n"})
					if forget {
						s.install()
						s.SetStatus(s.sync, func() { s.sync.Status = v1alpha1.GitSyncStatus{} })
					}
					s.reconcile()
					s.wantReady()
					s.wantPulls("1 Merged main", "2 Open main")
					if parents := s.tip(head).Parents; !cmp.Equal(parents, []string{gittest.Tip(t, s.dir, "main")}) {
						t.Errorf("the branch stands on %v, want the tip of main", parents)
					}
					s.wantMergeable(head, map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "image: a:2\n"})
					s.wantQuiet(1)
					s.forge.Merge(t, forgePath, 2, method)
					s.reconcile()
					s.wantReady()
					s.wantPulls("1 Merged main", "2 Merged main")
					s.wantContents("main", map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "image: a:2\n"})
					s.wantQuiet(0)
				})
			})
		}
	}
}

// TestMergedWithOthers merges a proposal that a reviewer has added to: nobody loses that when the branch is made anew for the next version,
// also when both are seen at once.
func TestMergedWithOthers(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{v1alpha1.ConflictRefuse, v1alpha1.ConflictRebase} {
		for _, method := range []string{"merge", "squash"} {
			for name, seen := range map[string]bool{"": true, ", with a new version": false} {
				t.Run(policy+", "+method+name, func(t *testing.T) {
					t.Parallel()
					s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
					s.create(func(spec *v1alpha1.GitSyncSpec) { spec.ConflictPolicy = policy })
					s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
					s.reconcile()
					gittest.Commit(t, s.dir, head, map[string]string{"docs/note": "reviewer"})
					s.reconcile()
					s.wantReady()
					s.forge.Merge(t, forgePath, 1, method)
					if seen {
						s.reconcile()
						s.wantReady()
					}
					s.provide("1.1.0", map[string]string{"a.yaml": "a: 2\n"})
					s.reconcile()
					s.wantReady()
					s.wantPulls("1 Merged main", "2 Open main")
					s.wantMergeable(head, map[string]string{"README.md": "fleet", "docs/note": "reviewer", "apps/podinfo/a.yaml": "a: 2\n"})
					if parents := s.tip(head).Parents; !cmp.Equal(parents, []string{gittest.Tip(t, s.dir, "main")}) {
						t.Errorf("the branch stands on %v, want the tip of main", parents)
					}
				})
			}
		}
	}
}

// TestPushedAfterMerge keeps what somebody has committed to a branch after it was merged.
func TestPushedAfterMerge(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 2\n"})
		s.reconcile()
		s.forge.Merge(t, forgePath, 1, "merge")
		theirs := gittest.Commit(t, s.dir, head, map[string]string{"late": "x"})
		s.reconcile()
		s.provide("1.1.0", map[string]string{"a.yaml": "a: 3\n"})
		s.reconcile()
		s.wantReady()
		if parents := s.tip(head).Parents; !cmp.Equal(parents, []string{theirs}) {
			t.Errorf("the branch stands on %v, want %s, which nobody has merged", parents, theirs)
		}
	})
}

// TestBody lists what the content changes in the base, and not what others have done there, or to the proposal.
func TestBody(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "image: a:2\n"})
		s.reconcile()
		gittest.Commit(t, s.dir, "main", map[string]string{"other/team.yaml": "image: team:9\n"})
		s.provide("1.1.0", map[string]string{"a.yaml": "image: a:2\n"})
		s.reconcile()
		for _, step := range []struct{ version, want string }{{"1.1.0", "a:2"}, {"1.2.0", "a:3"}} {
			body := s.forge.Pull(t, forgePath, 1).Body
			if strings.Contains(body, "team") || strings.Contains(body, "note") || !strings.Contains(body, "apps/podinfo/a.yaml") || !strings.Contains(body, step.want) || !strings.Contains(body, step.version) {
				t.Errorf("version %s: the text is\n%s", step.version, body)
			}
			gittest.Commit(t, s.dir, head, map[string]string{"note": step.version})
			s.provide("1.2.0", map[string]string{"a.yaml": "image: a:3\n"})
			s.reconcile()
		}
	})
}

// TestElsewhere proposes to another branch than the one that it builds upon, which has the content already.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		gittest.Branch(t, s.dir, "develop", "main")
		gittest.Commit(t, s.dir, "develop", map[string]string{"apps/podinfo/a.yaml": "a: 1\n", "unfinished": "x"})
		s.create(func(spec *v1alpha1.GitSyncSpec) {
			spec.CommitTemplate.BaseBranch = "develop"
			spec.PullRequestTemplate = &v1alpha1.PullRequestTemplate{Base: "main"}
		})
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
		s.wantContents(head, map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "a: 1\n"})
		s.forge.Merge(t, forgePath, 1, "merge")
		s.reconcile()
		s.wantReady()
		s.wantContents("main", map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "a: 1\n"})
		s.wantQuiet(0)
	})
}

// TestBaseChanged proposes to another branch: what the new base lacks is what it had, and what the old one has is not brought to it.
func TestBaseChanged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		develop map[string]string
		want    []string
		reason  string
	}{
		"has it":   {map[string]string{"apps/podinfo/a.yaml": "a: 1\n"}, []string{"1 Closed main"}, "nothing is proposed to it, and the old one is superseded"},
		"lacks it": {map[string]string{"develop": "x"}, []string{"1 Closed main", "2 Open develop"}, "the branch is made anew"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachForge(t, func(t *testing.T, s *stage) {
				gittest.Branch(t, s.dir, "develop", "main")
				gittest.Commit(t, s.dir, "develop", test.develop)
				gittest.Commit(t, s.dir, "main", map[string]string{"main-only": "x"})
				s.create(nil)
				s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
				s.reconcile()
				s.wantPulls("1 Open main")
				s.change(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.BaseBranch = "develop" })
				s.reconcile()
				s.wantReady()
				s.wantPulls(test.want...)
				if parents := s.tip(head).Parents; len(test.want) > 1 && !cmp.Equal(parents, []string{gittest.Tip(t, s.dir, "develop")}) {
					t.Errorf("the branch stands on %v, want the tip of develop: %s", parents, test.reason)
				}
				s.wantQuiet(len(test.want) - 1)
			})
		})
	}
}

// TestProposedByOthers leaves what people have proposed from the branch to them.
func TestProposedByOthers(t *testing.T) {
	t.Parallel()
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "a: 1\n"})
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	s.openByHand()
	s.create(nil)
	for range 3 {
		s.reconcile()
		s.wantReady()
		s.wantPulls("1 Open main")
		if got := s.forge.Pull(t, forgePath, 1); got.Title != "by hand" || len(got.Comments) > 0 || s.sync.Status.PullRequest != nil {
			t.Errorf("the request is %+v, the status %+v", got, s.sync.Status.PullRequest)
		}
		s.install()
	}
}

// TestAdoptedWhenDelivered closes what an object has proposed that knows nothing of it any more, as the base has the content.
func TestAdoptedWhenDelivered(t *testing.T) {
	t.Parallel()
	eachForge(t, func(t *testing.T, s *stage) {
		s.create(nil)
		s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
		s.reconcile()
		gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a.yaml": "a: 1\n"})
		s.install()
		s.SetStatus(s.sync, func() { s.sync.Status = v1alpha1.GitSyncStatus{} })
		s.until("1 Closed main")
		s.wantReady()
		s.wantQuiet(0)
	})
}

// TestOtherBranch pushes to a branch beside the base, without pull requests: others follow it, so it only grows.
func TestOtherBranch(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	gittest.Config(t, s.dir, "receive.denyNonFastForwards", "true")
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.reconcile()
	s.wantReady()
	first := s.tip("deploy")
	if !cmp.Equal(first.Parents, []string{gittest.Tip(t, s.dir, "main")}) || strings.Contains(first.Message, "Ocm-Base") {
		t.Errorf("the first commit is %+v, want it upon main, and not to be replaced", first)
	}
	s.wantQuiet(0)
	s.provide("1.1.0", map[string]string{"a": "2"})
	s.reconcile()
	s.wantReady()
	second := s.tip("deploy")
	if !cmp.Equal(second.Parents, []string{first.Hash}) {
		t.Errorf("the second commit stands on %v, want %s", second.Parents, first.Hash)
	}
	gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a": "x"})
	s.wantQuiet(0)
	s.install()
	s.wantQuiet(0)
	if log := gittest.Log(t, s.dir, "deploy"); len(log) != 3 {
		t.Errorf("%d commits, want one for each version upon that of main: what becomes of main after that changes nothing", len(log))
	}
	gittest.Fsck(t, s.dir)
}

// TestNothingInIt says so when a forge finds nothing to merge in a branch that others have made.
func TestNothingInIt(t *testing.T) {
	t.Parallel()
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet", "apps/podinfo/a.yaml": "a: 1\n"})
	gittest.Branch(t, s.dir, head, "main")
	gittest.Commit(t, s.dir, "main", map[string]string{"apps/podinfo/a.yaml": "a: 2\n"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	s.reconcile()
	if message := s.wantNotReady(v1alpha1.CreatePullRequestFailedReason); !strings.Contains(message, "delete branch "+head) {
		t.Errorf("message %q", message)
	}
	gittest.DeleteBranch(t, s.dir, head)
	s.reconcile()
	s.wantReady()
	s.wantPulls("1 Open main")
}
