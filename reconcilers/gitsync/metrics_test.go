package gitsync_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// TestMetrics counts what was done, and drops the series of an object with it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := newForgeStage(t, forge.GitHub, map[string]string{"README.md": "fleet"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
	s.reconcile()
	const want = `# HELP ocm_git_pull_request_open Whether a GitSync has an open pull request (1) or not (0).
# TYPE ocm_git_pull_request_open gauge
ocm_git_pull_request_open{name="app",namespace="default"} 1
# HELP ocm_git_pull_requests_total What was done with pull requests, by forge, and whether it has succeeded.
# TYPE ocm_git_pull_requests_total counter
ocm_git_pull_requests_total{action="close",provider="gitea",result="failed"} 0
ocm_git_pull_requests_total{action="close",provider="gitea",result="succeeded"} 0
ocm_git_pull_requests_total{action="close",provider="github",result="failed"} 0
ocm_git_pull_requests_total{action="close",provider="github",result="succeeded"} 0
ocm_git_pull_requests_total{action="close",provider="gitlab",result="failed"} 0
ocm_git_pull_requests_total{action="close",provider="gitlab",result="succeeded"} 0
ocm_git_pull_requests_total{action="create",provider="gitea",result="failed"} 0
ocm_git_pull_requests_total{action="create",provider="gitea",result="succeeded"} 0
ocm_git_pull_requests_total{action="create",provider="github",result="failed"} 0
ocm_git_pull_requests_total{action="create",provider="github",result="succeeded"} 1
ocm_git_pull_requests_total{action="create",provider="gitlab",result="failed"} 0
ocm_git_pull_requests_total{action="create",provider="gitlab",result="succeeded"} 0
ocm_git_pull_requests_total{action="look",provider="gitea",result="failed"} 0
ocm_git_pull_requests_total{action="look",provider="gitea",result="succeeded"} 0
ocm_git_pull_requests_total{action="look",provider="github",result="failed"} 0
ocm_git_pull_requests_total{action="look",provider="github",result="succeeded"} 1
ocm_git_pull_requests_total{action="look",provider="gitlab",result="failed"} 0
ocm_git_pull_requests_total{action="look",provider="gitlab",result="succeeded"} 0
ocm_git_pull_requests_total{action="update",provider="gitea",result="failed"} 0
ocm_git_pull_requests_total{action="update",provider="gitea",result="succeeded"} 0
ocm_git_pull_requests_total{action="update",provider="github",result="failed"} 0
ocm_git_pull_requests_total{action="update",provider="github",result="succeeded"} 0
ocm_git_pull_requests_total{action="update",provider="gitlab",result="failed"} 0
ocm_git_pull_requests_total{action="update",provider="gitlab",result="succeeded"} 0
# HELP ocm_git_pushes_total Pushes to git repositories by how they ended; moved is one that lost against another and is done again, foreign one that was not done.
# TYPE ocm_git_pushes_total counter
ocm_git_pushes_total{result="failed"} 0
ocm_git_pushes_total{result="foreign"} 0
ocm_git_pushes_total{result="moved"} 0
ocm_git_pushes_total{result="pushed"} 1
`
	names := []string{"ocm_git_pull_request_open", "ocm_git_pull_requests_total", "ocm_git_pushes_total"}
	if err := testutil.GatherAndCompare(s.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	s.Delete(s.sync)
	s.syncs.Reconcile(s.sync)
	if n, err := testutil.GatherAndCount(s.registry, "ocm_git_pull_request_open"); n != 0 || err != nil {
		t.Errorf("%d series of an object that is gone, %v", n, err)
	}
}
