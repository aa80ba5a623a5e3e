package gitsync

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// proposals is a repository of a forge, with its pull requests.
type proposals struct {
	*repository

	// client is how a person sees them, past the gate.
	client forge.Forge
	gate   *gate
	// merge is what the people do who decide; it returns the commit that the base branch has then.
	merge func(t *testing.T, number int64) string
	// good, weak and wrong are what Secrets hold with which everything is possible, everything but to propose, and nothing at the API.
	good, weak, wrong map[string]string
}

// all returns the pull requests of the repository, in every state.
func (p *proposals) all() []forge.Request {
	p.t.Helper()
	var all []forge.Request
	for {
		request, err := p.client.Get(p.t.Context(), int64(len(all)+1))
		if errors.Is(err, forge.ErrNotFound) {
			return all
		}
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, *request)
	}
}

// states wants the pull requests to have these states, by number.
func (p *proposals) states(want ...forge.State) []forge.Request {
	p.t.Helper()
	all := p.all()
	var got []forge.State
	for _, request := range all {
		got = append(got, request.State)
	}
	if !slices.Equal(got, want) {
		p.t.Errorf("the pull requests are %v, want %v: %+v", got, want, all)
	}
	return all
}

// head is the branch that the GitSync of the test proposes.
func (w *world) head() string { return "ocm/" + w.Namespace + "/" + app }

// proposing returns the spec of a GitSync that proposes what it pushes.
func proposing(p *proposals) v1alpha1.GitSyncSpec {
	s := spec(p.repository)
	s.AutomaticPullRequestCreation = true
	return s
}

// request wants the status to tell of a pull request.
func request(number int64, state string) check {
	return func(obj *v1alpha1.GitSync) error {
		got := obj.Status.PullRequest
		if got == nil {
			return errors.New("there is no pull request")
		}
		if got.Number != number || got.State != state {
			return fmt.Errorf("the pull request is #%d, %s, want #%d, %s", got.Number, got.State, number, state)
		}
		return nil
	}
}

// deployment is a file that names an image.
func deployment(image string) entry {
	return file("deployment.yaml", `apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  template:
    spec:
      containers:
      - {name: app, image: "`+image+`"}
`)
}

// proposed creates a pull request, does nothing, and updates it with the next version.
func proposed(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", append(v1, deployment("ghcr.io/acme/app:1.0.0"))...)
	s := proposing(p)
	s.PullRequestTemplate = &v1alpha1.PullRequestTemplate{Description: "Ask team a before you merge.", Labels: []string{"deployment", "robot"}}
	began := time.Now()
	w.sync(app, s)
	obj := w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	t.Logf("the pull request was there after %d ms", time.Since(began).Milliseconds())
	first := p.states(forge.Open)[0]
	if first.Head != w.head() || first.Base != "main" || first.HeadCommit != p.tip(w.head()) || obj.Status.Commit != first.HeadCommit {
		t.Errorf("the request is %+v, the status %+v", first, obj.Status)
	}
	if got := obj.Status.PullRequest; got.URL != first.URL || got.Head != first.Head || got.Base != first.Base || got.Digest != obj.Status.Digest || got.Tree == "" {
		t.Errorf("the status tells %+v of the request %+v", got, first)
	}
	if !slices.Equal(first.Labels, s.PullRequestTemplate.Labels) {
		t.Errorf("the labels are %q", first.Labels)
	}
	says(t, "the title", first.Title, w.component(), "1.0.0")
	says(t, "the text", first.Body, w.component(), "1.0.0", signature, "Ask team a before you merge.", subPath+"/app.yaml", subPath+"/deployment.yaml", "ghcr.io/acme/app:1.0.0")

	before, tip := len(p.gate.seen()), p.tip(w.head())
	w.synced(app, "1.0.0", w.request(app), request(1, v1alpha1.PullRequestOpen))
	if seen := p.gate.seen()[before:]; len(seen) > 0 || p.tip(w.head()) != tip {
		t.Errorf("without a change, the forge was asked %q, and the branch is at %s, was at %s", seen, p.tip(w.head()), tip)
	}

	w.publish("1.1.0", append(v1, deployment("ghcr.io/acme/app:1.1.0"))...)
	w.synced(app, "1.1.0", request(1, v1alpha1.PullRequestOpen))
	second := p.states(forge.Open)[0]
	says(t, "the title", second.Title, "1.1.0")
	says(t, "the text", second.Body, "1.1.0", "ghcr.io/acme/app:1.1.0")
	if second.HeadCommit != p.tip(w.head()) || second.HeadCommit == first.HeadCommit {
		t.Errorf("the request is at %s, was at %s, the branch at %s", second.HeadCommit, first.HeadCommit, p.tip(w.head()))
	}
	p.one(w.head())
	p.expect(w.head(), merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, append(v1, deployment("ghcr.io/acme/app:1.1.0")))))
	p.expect("main", plain(own))
	if lines := w.Kubectl("get", "gs", app); !strings.Contains(lines, w.head()) {
		t.Errorf("kubectl shows\n%s", lines)
	}
	if events := strings.Join(w.events(app), "\n"); !strings.Contains(events, "#1") || !strings.Contains(events, first.URL) {
		t.Errorf("no event tells of the request:\n%s", events)
	}
}

// says wants a text to have parts.
func says(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", what, part, text)
		}
	}
}

// one wants a branch to be one commit upon the base branch.
func (p *proposals) one(branch string) {
	p.t.Helper()
	log := p.log(branch)
	if len(log) == 0 || !slices.Equal(log[0].Parents, []string{p.tip("main")}) {
		p.t.Errorf("the history of %s is %v, want one commit upon %s", branch, log, p.tip("main"))
	}
}

// mergedElsewhere is told in the status; the next version is proposed with another request.
func mergedElsewhere(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	w.sync(app, proposing(p))
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	commit := p.merge(t, 1)
	obj := w.synced(app, "1.0.0", w.request(app), request(1, v1alpha1.PullRequestMerged))
	if got := obj.Status.PullRequest.MergeCommit; got != commit {
		t.Errorf("the merge commit is %q, want %s", got, commit)
	}
	delivered := merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1))
	p.expect("main", delivered)

	// The branch may go or stay; that the content is in the base branch is what counts.
	if p.tip(w.head()) != "" {
		p.deleteBranch(w.head())
	}
	w.synced(app, "1.0.0", w.request(app), request(1, v1alpha1.PullRequestMerged))
	if p.tip(w.head()) != "" {
		t.Errorf("the branch was made again, with what main has already")
	}
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0", request(2, v1alpha1.PullRequestOpen))
	p.states(forge.Merged, forge.Open)
	p.one(w.head())
	p.merge(t, 2)
	w.synced(app, "2.0.0", w.request(app), request(2, v1alpha1.PullRequestMerged))
	p.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v2)))
	gittest.Fsck(t, p.dir)
}

// closedElsewhere is a decision: what was refused is not proposed again, unless somebody asks for it. Other content is.
func closedElsewhere(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	s := proposing(p)
	s.Interval.Duration = often // so that it looks often
	w.sync(app, s)
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	if err := p.client.Close(t.Context(), 1, "not now"); err != nil {
		t.Fatal(err)
	}
	w.fails(app, v1alpha1.PullRequestClosedReason, "#1")
	// Another kind of look, by a version with the same content.
	w.publish("1.0.1", v1...)
	w.await(app, request(1, v1alpha1.PullRequestClosed))
	p.states(forge.Closed)

	w.synced(app, "1.0.1", w.request(app), request(2, v1alpha1.PullRequestOpen))
	p.states(forge.Closed, forge.Open)
	if err := p.client.Close(t.Context(), 2, "still not"); err != nil {
		t.Fatal(err)
	}
	w.fails(app, v1alpha1.PullRequestClosedReason, "#2")
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0", request(3, v1alpha1.PullRequestOpen))
	p.states(forge.Closed, forge.Closed, forge.Open)
}

// superseded is a request for a base branch that is no longer the one, and has what the new one lacks: that is not proposed with the content.
func superseded(t *testing.T, w *world, p *proposals) {
	production := p.change(gittest.Change{Branch: "production", From: p.tip("main"), Files: map[string]string{"production.txt": "x"}})
	p.commit("main", map[string]string{"main-only.txt": "not for production yet"})
	w.deliver("1.0.0", v1...)
	s := proposing(p)
	w.sync(app, s)
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	s.CommitTemplate.BaseBranch = "production"
	w.sync(app, s)
	w.synced(app, "1.0.0", request(2, v1alpha1.PullRequestOpen), func(obj *v1alpha1.GitSync) error {
		if got := obj.Status.PullRequest.Base; got != "production" {
			return fmt.Errorf("the request is for %s", got)
		}
		return nil
	})
	p.states(forge.Closed, forge.Open)
	if open := p.open(w.head()); len(open) != 1 || open[0].Base != "production" {
		t.Errorf("the open requests are %+v, want one for production", open)
	}
	if log := p.log(w.head()); !slices.Equal(log[0].Parents, []string{production}) {
		t.Errorf("the branch is upon %v, want %s of production", log[0].Parents, production)
	}
	p.expect(w.head(), merged(without(plain(own), subPath+"/by-hand.yaml"), plain(map[string]string{"production.txt": "x"}), below(subPath, v1)))
}

// open returns the open requests of a branch.
func (p *proposals) open(head string) []forge.Request {
	p.t.Helper()
	open, err := p.client.Open(p.t.Context(), head)
	if err != nil {
		p.t.Fatal(err)
	}
	return open
}

// duplicate is a request that says of itself that it is ours, and is one too many. What people propose from the branch is theirs.
func duplicate(t *testing.T, w *world, p *proposals) {
	for _, branch := range []string{"production", "staging"} {
		p.change(gittest.Change{Branch: branch, From: p.tip("main"), Files: map[string]string{branch + ".txt": "x"}})
	}
	w.deliver("1.0.0", v1...)
	w.sync(app, proposing(p))
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	body := p.states(forge.Open)[0].Body
	for _, draft := range []forge.Draft{
		{Title: "a copy", Body: body, Head: w.head(), Base: "production"}, {Title: "by hand", Body: "I want this in staging.", Head: w.head(), Base: "staging"},
	} {
		if _, err := p.client.Create(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
	}
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0", request(1, v1alpha1.PullRequestOpen))
	p.states(forge.Open, forge.Closed, forge.Open)
}

// adopted is a request that somebody was faster to make: it is used.
func adopted(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	w.secret("weak", p.weak)
	s := proposing(p)
	s.Repository.SecretRef = secretRef("weak")
	w.sync(app, s)
	w.fails(app, v1alpha1.CreatePullRequestFailedReason)
	if _, err := p.client.Create(t.Context(), forge.Draft{Title: "by hand", Head: w.head(), Base: "main"}); err != nil {
		t.Fatal(err)
	}
	s.Repository.SecretRef = secretRef(goodSecret)
	w.sync(app, s)
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	says(t, "the title", p.states(forge.Open)[0].Title, w.component())
}

// rateLimited waits as long as the forge wants it to, says so, and goes on.
func rateLimited(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	p.gate.breaks(limited(8 * time.Second))
	w.sync(app, proposing(p))
	obj := w.fails(app, v1alpha1.CreatePullRequestFailedReason, "limit")
	if obj.Status.Commit == "" || obj.Status.Commit != p.tip(w.head()) {
		t.Errorf("the status has commit %q while the forge can't be asked, the branch %q", obj.Status.Commit, p.tip(w.head()))
	}
	pushed := p.tip(w.head())
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	if now := p.tip(w.head()); now != pushed {
		t.Errorf("the branch was pushed again: %s, was %s", now, pushed)
	}
	p.states(forge.Open)
}

// withoutRights may push and not propose: what was pushed is not pushed again when it may.
func withoutRights(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	w.secret("weak", p.weak)
	s := proposing(p)
	s.Repository.SecretRef = secretRef("weak")
	w.sync(app, s)
	obj := w.fails(app, v1alpha1.CreatePullRequestFailedReason)
	pushed := p.tip(w.head())
	if pushed == "" || obj.Status.Commit != pushed || obj.Status.LastPushedCommit != pushed {
		t.Errorf("the status is %+v, the branch at %q", obj.Status, pushed)
	}
	w.secret("weak", p.wrong)
	w.fails(app, v1alpha1.AuthenticationFailedReason)
	w.secret("weak", p.good)
	w.synced(app, "1.0.0", request(1, v1alpha1.PullRequestOpen))
	if log := gittest.Git(t, p.dir, "reflog", "show", "--format=%H", w.head()); log != pushed+"\n" {
		t.Errorf("the branch was pushed more than once: %q", log)
	}
	p.states(forge.Open)
}

// nothingToPropose is content that the base branch has already.
func nothingToPropose(t *testing.T, w *world, p *proposals) {
	w.deliver("1.0.0", v1...)
	p.commit("main", map[string]string{subPath + "/app.yaml": "version: 1\n", subPath + "/old.yaml": "old\n"}, subPath)
	w.sync(app, proposing(p))
	w.synced(app, "1.0.0")
	if tip := p.tip(w.head()); tip != "" {
		t.Errorf("there is a branch at %s with nothing to propose", tip)
	}
	p.states()
	// It is undone, proposed, and redone by somebody else: nothing is left to change.
	p.commit("main", map[string]string{subPath + "/app.yaml": "by hand\n"})
	w.synced(app, "1.0.0", w.request(app), request(1, v1alpha1.PullRequestOpen))
	p.commit("main", map[string]string{subPath + "/app.yaml": "version: 1\n"})
	w.synced(app, "1.0.0", w.request(app), func(obj *v1alpha1.GitSync) error {
		if got := obj.Status.PullRequest; got.State == v1alpha1.PullRequestOpen {
			return errors.New("the request is open, with nothing left to change")
		}
		return nil
	})
	if state := p.all()[0].State; state == forge.Open {
		t.Errorf("the request is open, and the status says that it is not")
	}
}
