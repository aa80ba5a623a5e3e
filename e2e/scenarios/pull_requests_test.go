package scenarios_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// What the guide to pull requests says where every user has something else.
const (
	theirFleet = "https://github.com/acme/fleet"
	fleet      = "acme/fleet"
)

// TestPullRequests follows the guide: a proposal, a new version before it is merged, Flux that applies what was merged, and a proposal that
// is turned down.
func TestPullRequests(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "pull-requests")
	s := openShell(t, e, registry, "pull-requests")
	hub, dir := serveFleet(t, s)

	s.run(t, "kubectl create secret generic fleet")
	printed := s.run(t, "kubectl apply -f deliver.yaml")
	first := openPull(t, hub)
	if !strings.HasSuffix(strings.TrimSpace(printed), fmt.Sprintf("/%s/pull/%d", fleet, first.Number)) {
		t.Errorf("the guide's command prints %q, want the address of pull request %d at its end", printed, first.Number)
	}
	proposal(t, e, dir, first, "1.0.0", "6.9.1")

	publish(t, registry, "pull-requests", "version: 1.0.0", "version: 1.1.0", "6.9.1", "6.9.2")
	e.Kubectl("annotate", "--overwrite", "cv/podinfo", "reconcile.fluxcd.io/requestedAt=now")
	e.Eventually("the pull request proposes 1.1.0", func() error {
		if got := openPull(t, hub); got.Number != first.Number || got.Title != "podinfo 1.1.0 for production" {
			return fmt.Errorf("pull request %d is called %q", got.Number, got.Title)
		}
		return nil
	})
	e.Wait("GitSync", "podinfo", e2etest.Ready, e2etest.Field("1.1.0", "status", "version"))
	proposal(t, e, dir, openPull(t, hub), "1.1.0", "6.9.2")

	s.run(t, "kubectl apply -f flux.yaml")
	merged := hub.Merge(t, fleet, first.Number, "merge")
	e.Wait("Kustomization", "podinfo", e2etest.Ready)
	if got, want := s.run(t, "kubectl get deployment podinfo"), theirRepo+"/images/podinfo:6.9.2\n"; !strings.HasSuffix(got, want) {
		t.Errorf("the guide's command prints %q, want the image %s", got, want)
	}
	s.run(t, "requestedAt")
	e.Wait("GitSync", "podinfo", e2etest.Ready, e2etest.Field(merged, "status", "pullRequest", "mergeCommit"), e2etest.Field("main", "status", "branch"))
	turnDown(t, e, hub, first.Number)
	gittest.Fsck(t, dir)
}

// turnDown has other values proposed, and closes the proposal.
func turnDown(t *testing.T, e *e2etest.Env, hub *forgetest.Server, merged int64) {
	t.Helper()
	e.Kubectl("patch", "configuration/manifests", "--type=merge", "--patch", `{"spec":{"values":{"replicas":3}}}`)
	e.Wait("GitSync", "podinfo", e2etest.Ready, e2etest.Field("Open", "status", "pullRequest", "state"))
	second := openPull(t, hub)
	if second.Number == merged {
		t.Errorf("other values are proposed by the pull request %d that was merged", merged)
	}
	hub.Close(t, fleet, second.Number)
	e.Kubectl("patch", "gitsync/podinfo", "--type=merge", "--patch", `{"spec":{"interval":"2m"}}`) // looked at without being asked to
	e.Wait("GitSync", "podinfo", e2etest.Is("Stalled", metav1.ConditionTrue, v1alpha1.PullRequestClosedReason), e2etest.Field("Closed", "status", "pullRequest", "state"))
	e.Kubectl("annotate", "--overwrite", "gitsync/podinfo", "reconcile.fluxcd.io/requestedAt=again")
	e.Wait("GitSync", "podinfo", e2etest.Ready, e2etest.Field("Open", "status", "pullRequest", "state"))
	if third := openPull(t, hub); third.Number == second.Number {
		t.Errorf("pull request %d was opened again, want another one", third.Number)
	}
}

// serveFleet serves the repository of the guide, with a first commit, and the API of its forge, and puts their addresses into its files.
func serveFleet(t *testing.T, s *shell) (hub *forgetest.Server, dir string) {
	t.Helper()
	const token = "made-for-this-test"
	server := gittest.NewServer(t, gittest.Options{Token: token})
	dir = server.Dir(fleet)
	gittest.NewRepository(t, dir, map[string]string{"README.md": "What our clusters run.\n"}, "main")
	hub = forgetest.Start(t, forge.GitHub)
	hub.AddRepository(fleet, dir)
	hub.AddToken(token, forgetest.Token{User: "ocm-bot", Rights: forgetest.Write})
	s.env = append(s.env, "TOKEN="+token)
	for name, pairs := range map[string][]string{
		"deliver.yaml": {theirFleet, server.RepositoryURL(fleet), "provider: github", "provider: github\n    apiURL: " + hub.APIURL()},
		"flux.yaml":    {theirFleet, server.RepositoryURL(fleet), "interval: 1m0s", "interval: 1s"},
	} {
		s.write(t, name, []byte(replaced(t, string(s.read(t, name)), pairs...)))
	}
	return hub, dir
}

// openPull returns the pull request that is open, of which there must be one at most.
func openPull(t *testing.T, hub *forgetest.Server) forgetest.Pull {
	t.Helper()
	open := slices.DeleteFunc(hub.Pulls(t, fleet), func(p forgetest.Pull) bool { return p.State != forge.Open })
	if len(open) != 1 {
		t.Fatalf("%d pull requests are open, want one: %+v", len(open), open)
	}
	return open[0]
}

// proposal holds what the guide says of a pull request and its branch: one commit upon main, of the files in their folder.
func proposal(t *testing.T, e *e2etest.Env, dir string, pull forgetest.Pull, version, image string) {
	t.Helper()
	branch := "ocm/" + e.Namespace + "/podinfo"
	if pull.Head != branch || pull.Base != "main" || pull.Title != "podinfo "+version+" for production" || !slices.Contains(pull.Labels, "deployment") {
		t.Errorf("got the pull request %+v", pull)
	}
	for _, part := range []string{"acme.org/podinfo", version, "clusters/production/podinfo/deployment.yaml", theirRepo + "/images/podinfo:" + image} {
		if !strings.Contains(pull.Body, part) {
			t.Errorf("the text does not have %q:\n%s", part, pull.Body)
		}
	}
	log, base := gittest.Log(t, dir, branch), gittest.Tip(t, dir, "main")
	if len(log) != 2 || log[1].Hash != base {
		t.Fatalf("got the commits %+v, want one upon %s", log, base)
	}
	want := "podinfo: deploy " + version + " to production\n\nOcm-Component: acme.org/podinfo\nOcm-Version: " + version + "\n"
	if !strings.HasPrefix(log[0].Message, want) || log[0].Author != "ocm-operator" {
		t.Errorf("got the commit %+v, want one that begins with %q", log[0], want)
	}
	files := gittest.Contents(t, dir, branch)
	if len(files) != 3 || !strings.Contains(files["clusters/production/podinfo/deployment.yaml"], "replicas: 2") {
		t.Errorf("got the files %v", files)
	}
}
