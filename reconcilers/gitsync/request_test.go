package gitsync

import (
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
)

// TestHeadOf takes no commit for merged that somebody may have pushed after the merge.
func TestHeadOf(t *testing.T) {
	t.Parallel()
	seen, now := h('S').String(), h('N').String()
	for name, test := range map[string]struct {
		provider string
		request  forge.Request
		target   plumbing.Hash
		want     string
		reason   string
	}{
		"open":                {forge.Gitea, forge.Request{Number: 1, State: forge.Open, HeadCommit: seen}, h('N'), now, "git knows better where the branch is"},
		"open, branch gone":   {forge.GitHub, forge.Request{Number: 1, State: forge.Open, HeadCommit: now}, plumbing.ZeroHash, seen, "it is what it was"},
		"merged":              {forge.GitHub, forge.Request{Number: 1, State: forge.Merged, HeadCommit: now}, h('T'), now, "the forge says what was merged"},
		"merged, unknown":     {forge.GitLab, forge.Request{Number: 1, State: forge.Merged}, h('T'), seen, "it is what it was"},
		"merged, Gitea":       {forge.Gitea, forge.Request{Number: 1, State: forge.Merged, HeadCommit: now}, h('N'), seen, "Gitea says where the branch is now"},
		"merged, Gitea, new":  {forge.Gitea, forge.Request{Number: 2, State: forge.Merged, HeadCommit: now}, h('N'), "", "nothing is known of it"},
		"closed, another one": {forge.GitHub, forge.Request{Number: 2, State: forge.Closed, HeadCommit: now}, h('N'), "", "nothing was merged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj := &v1alpha1.GitSync{Spec: v1alpha1.GitSyncSpec{Repository: v1alpha1.GitRepository{Provider: test.provider}}}
			obj.Status.PullRequest = &v1alpha1.PullRequestStatus{Number: 1, HeadCommit: seen}
			r := &run{obj: obj, world: world{target: test.target}}
			if got := r.headOf(&test.request); got != test.want {
				t.Errorf("%q, want %q: %s", got, test.want, test.reason)
			}
		})
	}
}

// TestOwns takes a request for ours that the status names or that says so, and no other.
func TestOwns(t *testing.T) {
	t.Parallel()
	r := &run{obj: &v1alpha1.GitSync{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "app"}}}
	r.obj.Status.PullRequest = &v1alpha1.PullRequestStatus{Number: 3}
	open := []forge.Request{{Number: 1, Base: "main"}, {Number: 2, Base: "develop"}, {Number: 3, Base: "main"}}
	if r.owns(&open[0]) || !r.owns(&open[2]) {
		t.Error("the status names the third one alone")
	}
	if got := r.pick(open, "main"); got == nil || got.Number != 3 {
		t.Errorf("%+v, want ours", got)
	}
	if got := r.pick(open, "develop"); got == nil || got.Number != 2 {
		t.Errorf("%+v, want the only one for develop", got)
	}
	if got := r.pick(open, "none"); got != nil {
		t.Errorf("%+v, want none", got)
	}
}
