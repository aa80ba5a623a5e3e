package forges

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-github/v87/github"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
)

// githubClient returns the official SDK for a test forge.
func githubClient(t *testing.T, w forgetest.World, token string) *github.Client {
	t.Helper()
	// The SDK remembers limits and then refuses by itself; the server is what is tested.
	client, err := github.NewClient(github.WithAuthToken(token), github.WithEnterpriseURLs(w.APIURL, w.APIURL), github.WithDisableRateLimitCheck())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func githubWorld(t *testing.T) (forgetest.World, *forgetest.Server, *github.Client) {
	t.Helper()
	w, server := forgetest.NewWorld(t, forge.GitHub, "acme/fleet", "merge")
	return w, server, githubClient(t, w, w.Token)
}

// draft is a new pull request from a branch that is made for it.
func githubDraft(t *testing.T, w forgetest.World, branch string) *github.NewPullRequest {
	t.Helper()
	w.Branch(t, branch)
	return &github.NewPullRequest{Title: new("Deliver " + branch), Body: new("text"), Head: new(branch), Base: new(w.Base)}
}

func TestGitHubCreate(t *testing.T) {
	t.Parallel()
	w, _, client := githubWorld(t)
	draft := githubDraft(t, w, "ocm/a")
	created, resp, err := client.PullRequests.Create(t.Context(), "acme", "fleet", draft)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	read, _, err := client.PullRequests.Get(t.Context(), "acme", "fleet", created.GetNumber())
	if err != nil {
		t.Fatal(err)
	}
	for name, pr := range map[string]*github.PullRequest{"created": created, "read": read} {
		if pr.GetNumber() != 1 || pr.GetID() == 1 || pr.GetState() != "open" || pr.GetMerged() || pr.MergedAt != nil || pr.GetTitle() != "Deliver ocm/a" || pr.GetBody() != "text" {
			t.Errorf("%s: %v", name, pr)
		}
		if pr.GetHead().GetRef() != "ocm/a" || pr.GetHead().GetLabel() != "acme:ocm/a" || pr.GetBase().GetRef() != "main" || pr.GetHead().GetRepo().GetID() != pr.GetBase().GetRepo().GetID() {
			t.Errorf("%s: head %v, base %v", name, pr.GetHead(), pr.GetBase())
		}
		if !pr.GetMergeable() || pr.GetCommits() != 1 || pr.GetChangedFiles() != 1 || pr.GetAdditions() != 1 || pr.GetCreatedAt().IsZero() || pr.GetUser().GetLogin() != "ocm-bot" {
			t.Errorf("%s: mergeable %v, commits %d, files %d, additions %d", name, pr.GetMergeable(), pr.GetCommits(), pr.GetChangedFiles(), pr.GetAdditions())
		}
		if pr.GetMergeCommitSHA() == "" || pr.GetMergeCommitSHA() == pr.GetHead().GetSHA() {
			t.Errorf("%s: an open request has the commit of a test of its merge, not %q", name, pr.GetMergeCommitSHA())
		}
	}
}

func TestGitHubList(t *testing.T) {
	t.Parallel()
	w, _, client := githubWorld(t)
	for _, branch := range []string{"ocm/a", "ocm/b", "ocm/c"} {
		if _, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", githubDraft(t, w, branch)); err != nil {
			t.Fatal(err)
		}
	}
	w.ForkRequest(t, "ocm/b")
	w.Close(t, 3)
	for name, c := range map[string]struct {
		options github.PullRequestListOptions
		want    []int
		reason  string
	}{
		"by head":         {github.PullRequestListOptions{Head: "acme:ocm/b"}, []int{2}, "the branch of this repository"},
		"of the fork":     {github.PullRequestListOptions{Head: "stranger:ocm/b"}, []int{4}, "the owner tells forks apart"},
		"without owner":   {github.PullRequestListOptions{Head: "ocm/b"}, []int{4, 2, 1}, "a head without an owner is no filter"},
		"closed":          {github.PullRequestListOptions{State: "closed"}, []int{3}, ""},
		"all, old first":  {github.PullRequestListOptions{State: "all", Direction: "asc"}, []int{1, 2, 3, 4}, ""},
		"of another base": {github.PullRequestListOptions{Base: "next"}, nil, ""},
		"a page":          {github.PullRequestListOptions{State: "all", ListOptions: github.ListOptions{PerPage: 3, Page: 2}}, []int{1}, "the newest first"},
	} {
		pulls, resp, err := client.PullRequests.List(t.Context(), "acme", "fleet", &c.options)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, pr := range pulls {
			got = append(got, pr.GetNumber())
			if pr.Merged != nil || pr.Commits != nil {
				t.Errorf("%s: lists have not all of it", name)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v (%s)", name, got, c.want, c.reason)
		}
		if name == "a page" && (resp.PrevPage != 1 || resp.NextPage != 0) {
			t.Errorf("links: %+v", resp)
		}
	}
	all := 0
	for _, err := range client.PullRequests.ListIter(t.Context(), "acme", "fleet", &github.PullRequestListOptions{State: "all", ListOptions: github.ListOptions{PerPage: 1}}) {
		if err != nil {
			t.Fatal(err)
		}
		all++
	}
	if all != 4 {
		t.Errorf("%d requests in pages of one, want 4", all)
	}
}

func TestGitHubRefusals(t *testing.T) {
	t.Parallel()
	w, _, client := githubWorld(t)
	draft := githubDraft(t, w, "ocm/a")
	if _, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", draft); err != nil {
		t.Fatal(err)
	}
	w.EmptyBranch(t, "ocm/empty")
	for name, c := range map[string]struct {
		change  func(*github.NewPullRequest)
		code    string
		field   string
		message string
	}{
		"duplicate":   {func(*github.NewPullRequest) {}, "custom", "", "A pull request already exists for acme:ocm/a."},
		"no commits":  {func(d *github.NewPullRequest) { d.Head = new("ocm/empty") }, "custom", "", "No commits between main and ocm/empty"},
		"head absent": {func(d *github.NewPullRequest) { d.Head = new("absent") }, "invalid", "head", ""},
		"base absent": {func(d *github.NewPullRequest) { d.Base = new("absent") }, "invalid", "base", ""},
		"no title":    {func(d *github.NewPullRequest) { d.Title = nil }, "missing_field", "title", ""},
	} {
		changed := *draft
		c.change(&changed)
		_, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", &changed)
		failure, ok := errors.AsType[*github.ErrorResponse](err)
		if !ok || failure.Response.StatusCode != http.StatusUnprocessableEntity || failure.Message != "Validation Failed" || len(failure.Errors) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		if e := failure.Errors[0]; e.Resource != "PullRequest" || e.Code != c.code || e.Field != c.field || e.Message != c.message {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestGitHubUpdateLabelsComments(t *testing.T) {
	t.Parallel()
	w, _, client := githubWorld(t)
	if _, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", githubDraft(t, w, "ocm/a")); err != nil {
		t.Fatal(err)
	}
	edited, _, err := client.PullRequests.Edit(t.Context(), "acme", "fleet", 1, &github.PullRequest{Title: new("Other"), Base: &github.PullRequestBranch{Ref: new("next")}})
	if err != nil || edited.GetTitle() != "Other" || edited.GetBody() != "text" || edited.GetBase().GetRef() != "next" {
		t.Fatalf("%v, %v", edited, err)
	}
	for _, add := range [][]string{{"one"}, {"two", "one"}} {
		labels, _, err := client.Issues.AddLabelsToIssue(t.Context(), "acme", "fleet", 1, add)
		if err != nil || len(labels) != len(add) || labels[0].GetName() != "one" {
			t.Fatalf("%v, %v", labels, err)
		}
	}
	if comment, _, err := client.Issues.CreateComment(t.Context(), "acme", "fleet", 1, &github.IssueComment{Body: new("hello")}); err != nil || comment.GetBody() != "hello" || comment.GetID() == 0 {
		t.Fatalf("%v, %v", comment, err)
	}
	comments, _, err := client.Issues.ListComments(t.Context(), "acme", "fleet", 1, nil)
	if err != nil || len(comments) != 1 || comments[0].GetUser().GetLogin() != "ocm-bot" {
		t.Fatalf("%v, %v", comments, err)
	}
	closed, _, err := client.PullRequests.Edit(t.Context(), "acme", "fleet", 1, &github.PullRequest{State: new("closed")})
	if err != nil || closed.GetState() != "closed" || closed.GetMerged() || closed.ClosedAt == nil || len(closed.Labels) != 2 || closed.GetComments() != 1 {
		t.Fatalf("%v, %v", closed, err)
	}
	_, resp, err := client.PullRequests.Edit(t.Context(), "acme", "fleet", 1, &github.PullRequest{Base: &github.PullRequestBranch{Ref: new("main")}})
	if err == nil || resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("base of a closed request: %v", err)
	}
}

func TestGitHubMerge(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"merge", "squash", "rebase"} {
		w, server, client := githubWorld(t)
		created, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", githubDraft(t, w, "ocm/a"))
		if err != nil {
			t.Fatal(err)
		}
		if merged, _, err := client.PullRequests.IsMerged(t.Context(), "acme", "fleet", 1); err != nil || merged {
			t.Fatal(merged, err)
		}
		options := &github.PullRequestOptions{MergeMethod: method, SHA: created.GetBase().GetSHA()}
		if _, resp, err := client.PullRequests.Merge(t.Context(), "acme", "fleet", 1, "", options); err == nil || resp.StatusCode != http.StatusConflict {
			t.Errorf("%s: with another tip: %v", method, err)
		}
		options.SHA = created.GetHead().GetSHA()
		result, _, err := client.PullRequests.Merge(t.Context(), "acme", "fleet", 1, "", options)
		if err != nil || !result.GetMerged() {
			t.Fatal(result, err)
		}
		read, _, err := client.PullRequests.Get(t.Context(), "acme", "fleet", 1)
		if err != nil || !read.GetMerged() || read.GetState() != "closed" || read.GetMergeCommitSHA() != result.GetSHA() || read.MergedAt == nil {
			t.Errorf("%s: %v, %v", method, read, err)
		}
		if merged, _, err := client.PullRequests.IsMerged(t.Context(), "acme", "fleet", 1); err != nil || !merged {
			t.Error(merged, err)
		}
		if _, resp, err := client.PullRequests.Merge(t.Context(), "acme", "fleet", 1, "", nil); err == nil || resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: again: %v", method, err)
		}
		if tip := w.Branch(t, "main"); tip == result.GetSHA() || server.Pull(t, "acme/fleet", 1).State != forge.Merged {
			t.Errorf("%s: the base did not go on", method)
		}
	}
}

func TestGitHubLimitsAndRights(t *testing.T) {
	t.Parallel()
	w, server, client := githubWorld(t)
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	server.SetLimit(&forgetest.Limit{Remaining: 1, Reset: reset})
	if _, resp, err := client.PullRequests.List(t.Context(), "acme", "fleet", nil); err != nil || resp.Rate.Remaining != 0 || !resp.Rate.Reset.Time.Equal(reset) {
		t.Errorf("%+v, %v", resp, err)
	}
	_, _, err := client.PullRequests.List(t.Context(), "acme", "fleet", nil)
	if limit, ok := errors.AsType[*github.RateLimitError](err); !ok || !limit.Rate.Reset.Time.Equal(reset) {
		t.Errorf("by the hour: %v", err)
	}
	server.SetLimit(&forgetest.Limit{Reset: reset, Burst: true})
	_, _, err = client.PullRequests.List(t.Context(), "acme", "fleet", nil)
	if limit, ok := errors.AsType[*github.AbuseRateLimitError](err); !ok || limit.GetRetryAfter() < time.Minute {
		t.Errorf("bursts: %v", err)
	}
	server.SetLimit(nil)
	draft := githubDraft(t, w, "ocm/a")
	for token, want := range map[string]int{w.ReadToken: http.StatusForbidden, "unknown": http.StatusUnauthorized} {
		_, resp, err := githubClient(t, w, token).PullRequests.Create(t.Context(), "acme", "fleet", draft)
		if _, ok := errors.AsType[*github.ErrorResponse](err); !ok || resp.StatusCode != want {
			t.Errorf("token %s: %v", token, err)
		}
	}
	if _, resp, err := client.PullRequests.Get(t.Context(), "acme", "absent", 1); err == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("absent: %v", err)
	}
	if repository, _, err := client.Repositories.Get(t.Context(), "acme", "fleet"); err != nil || repository.GetFullName() != "acme/fleet" || repository.GetDefaultBranch() != "main" {
		t.Errorf("repository: %v, %v", repository, err)
	}
}

// TestGitHubRenamed: the SDK follows to the new place, as does ours.
func TestGitHubRenamed(t *testing.T) {
	t.Parallel()
	w, server, client := githubWorld(t)
	if _, _, err := client.PullRequests.Create(t.Context(), "acme", "fleet", githubDraft(t, w, "ocm/a")); err != nil {
		t.Fatal(err)
	}
	server.Rename("acme/fleet", "acme/navy")
	if pr, _, err := client.PullRequests.Get(t.Context(), "acme", "fleet", 1); err != nil || pr.GetBase().GetRepo().GetFullName() != "acme/navy" {
		t.Errorf("by the SDK: %v, %v", pr, err)
	}
	ours, err := forge.New(forge.Options{Provider: forge.GitHub, RepositoryURL: w.RepositoryURL, APIURL: w.APIURL, Token: w.Token})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := ours.Open(t.Context(), "ocm/a"); err != nil || len(found) != 1 {
		t.Errorf("by ours: %v, %v", found, err)
	}
	if _, err := ours.Create(t.Context(), forge.Draft{Title: "x", Head: "ocm/a", Base: "next"}); err == nil {
		t.Error("ours wrote to a place that nobody has configured")
	} else if _, ok := errors.AsType[*forge.RedirectError](err); !ok {
		t.Error(err)
	}
}
