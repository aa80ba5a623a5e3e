package forges

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	gitlab "gitlab.com/gitlab-org/api/client-go"
	"golang.org/x/oauth2"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
)

// project is what the SDK escapes in paths.
const project = "acme/platform/fleet"

func gitlabClient(t *testing.T, w forgetest.World, token string) *gitlab.Client {
	t.Helper()
	client, err := gitlab.NewClient(token, gitlab.WithBaseURL(w.APIURL), gitlab.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func gitlabWorld(t *testing.T) (forgetest.World, *forgetest.Server, *gitlab.Client) {
	t.Helper()
	w, server := forgetest.NewWorld(t, forge.GitLab, project, "merge")
	return w, server, gitlabClient(t, w, w.Token)
}

func gitlabDraft(t *testing.T, w forgetest.World, branch string) *gitlab.CreateMergeRequestOptions {
	t.Helper()
	w.Branch(t, branch)
	return &gitlab.CreateMergeRequestOptions{
		Title: new("Deliver " + branch), Description: new("text"), SourceBranch: new(branch), TargetBranch: new(w.Base), Labels: &gitlab.LabelOptions{"one", "two words"},
	}
}

func TestGitLabCreate(t *testing.T) {
	t.Parallel()
	w, _, client := gitlabWorld(t)
	created, resp, err := client.MergeRequests.CreateMergeRequest(project, gitlabDraft(t, w, "ocm/a"))
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatal(resp, err)
	}
	read, _, err := client.MergeRequests.GetMergeRequest(project, created.IID, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, mr := range map[string]*gitlab.MergeRequest{"created": created, "read": read} {
		if mr.IID != 1 || mr.ID == 1 || mr.State != "opened" || mr.MergedAt != nil || mr.Title != "Deliver ocm/a" || mr.Description != "text" || mr.Draft {
			t.Errorf("%s: %+v", name, mr)
		}
		if mr.SourceBranch != "ocm/a" || mr.TargetBranch != "main" || mr.SourceProjectID != mr.TargetProjectID || mr.SourceProjectID == 0 || mr.MergeCommitSHA != "" || len(mr.SHA) != 40 {
			t.Errorf("%s: %+v", name, mr)
		}
		if !slices.Equal(mr.Labels, gitlab.Labels{"one", "two words"}) || mr.ChangesCount != "1" || mr.DetailedMergeStatus != "mergeable" || mr.CreatedAt == nil || mr.Author.Username != "ocm-bot" {
			t.Errorf("%s: %+v", name, mr)
		}
	}
	byID, _, err := client.Projects.GetProject(project, nil)
	if err != nil || byID.PathWithNamespace != project {
		t.Fatal(byID, err)
	}
	if again, _, err := client.MergeRequests.GetMergeRequest(byID.ID, 1, nil); err != nil || again.ID != created.ID {
		t.Errorf("by the id of the project: %v, %v", again, err)
	}
}

func TestGitLabList(t *testing.T) {
	t.Parallel()
	w, _, client := gitlabWorld(t)
	for _, branch := range []string{"ocm/a", "ocm/b", "ocm/c"} {
		if _, _, err := client.MergeRequests.CreateMergeRequest(project, gitlabDraft(t, w, branch)); err != nil {
			t.Fatal(err)
		}
	}
	w.ForkRequest(t, "ocm/b")
	w.Close(t, 3)
	for name, c := range map[string]struct {
		options gitlab.ListProjectMergeRequestsOptions
		want    []int64
		reason  string
	}{
		"by source":       {gitlab.ListProjectMergeRequestsOptions{SourceBranch: new("ocm/b"), State: new("opened")}, []int64{4, 2}, "forks are in the same list"},
		"closed":          {gitlab.ListProjectMergeRequestsOptions{State: new("closed")}, []int64{3}, ""},
		"every state":     {gitlab.ListProjectMergeRequestsOptions{Sort: new("asc")}, []int64{1, 2, 3, 4}, "without a state there is no filter"},
		"of other target": {gitlab.ListProjectMergeRequestsOptions{TargetBranch: new("next")}, nil, ""},
		"a page":          {gitlab.ListProjectMergeRequestsOptions{ListOptions: gitlab.ListOptions{PerPage: 3, Page: 2}}, []int64{1}, "the newest first"},
	} {
		requests, resp, err := client.MergeRequests.ListProjectMergeRequests(project, &c.options)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, mr := range requests {
			got = append(got, mr.IID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v (%s)", name, got, c.want, c.reason)
		}
		if name == "a page" && (resp.PreviousPage != 1 || resp.NextPage != 0 || resp.TotalItems != 4 || resp.TotalPages != 2) {
			t.Errorf("pages: %+v", resp)
		}
	}
}

func TestGitLabRefusals(t *testing.T) {
	t.Parallel()
	w, _, client := gitlabWorld(t)
	draft := gitlabDraft(t, w, "ocm/a")
	if _, _, err := client.MergeRequests.CreateMergeRequest(project, draft); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change  func(*gitlab.CreateMergeRequestOptions)
		status  int
		message string
	}{
		"duplicate":     {func(*gitlab.CreateMergeRequestOptions) {}, 409, "{message: [Another open merge request already exists for this source branch: !1]}"},
		"source absent": {func(d *gitlab.CreateMergeRequestOptions) { d.SourceBranch = new("absent") }, 400, "{message: {source_branch: [does not exist]}}"},
		"same branch":   {func(d *gitlab.CreateMergeRequestOptions) { d.TargetBranch = new("ocm/a") }, 422, "{message: [You can't use same project/branch for source and target]}"},
		"no title":      {func(d *gitlab.CreateMergeRequestOptions) { d.Title = nil }, 400, "{error: title is missing}"},
	} {
		changed := *draft
		c.change(&changed)
		_, _, err := client.MergeRequests.CreateMergeRequest(project, &changed)
		failure, ok := errors.AsType[*gitlab.ErrorResponse](err)
		if !ok || failure.Response.StatusCode != c.status || failure.Message != c.message {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGitLabUpdateLabelsComments(t *testing.T) {
	t.Parallel()
	w, _, client := gitlabWorld(t)
	if _, _, err := client.MergeRequests.CreateMergeRequest(project, gitlabDraft(t, w, "ocm/a")); err != nil {
		t.Fatal(err)
	}
	edited, _, err := client.MergeRequests.UpdateMergeRequest(project, 1, &gitlab.UpdateMergeRequestOptions{
		Title: new("Draft: Other"), TargetBranch: new("next"), AddLabels: &gitlab.LabelOptions{"three"}, RemoveLabels: &gitlab.LabelOptions{"one"},
	})
	if err != nil || edited.Title != "Draft: Other" || !edited.Draft || edited.TargetBranch != "next" || edited.Description != "text" || !slices.Equal(edited.Labels, gitlab.Labels{"three", "two words"}) {
		t.Fatalf("%+v, %v", edited, err)
	}
	if _, resp, err := client.MergeRequests.AcceptMergeRequest(project, 1, nil); err == nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a draft was merged: %v", err)
	}
	if note, _, err := client.Notes.CreateMergeRequestNote(project, 1, &gitlab.CreateMergeRequestNoteOptions{Body: new("hello")}); err != nil || note.Body != "hello" || note.NoteableIID != 1 {
		t.Fatalf("%v, %v", note, err)
	}
	if notes, _, err := client.Notes.ListMergeRequestNotes(project, 1, nil); err != nil || len(notes) != 1 || notes[0].Author.Username != "ocm-bot" || notes[0].System {
		t.Fatalf("%v, %v", notes, err)
	}
	closed, _, err := client.MergeRequests.UpdateMergeRequest(project, 1, &gitlab.UpdateMergeRequestOptions{StateEvent: new("close")})
	if err != nil || closed.State != "closed" || closed.ClosedAt == nil || closed.MergedAt != nil || closed.UserNotesCount != 1 {
		t.Fatalf("%+v, %v", closed, err)
	}
	if opened, _, err := client.MergeRequests.UpdateMergeRequest(project, 1, &gitlab.UpdateMergeRequestOptions{StateEvent: new("reopen")}); err != nil || opened.State != "opened" {
		t.Fatalf("%+v, %v", opened, err)
	}
}

func TestGitLabMerge(t *testing.T) {
	t.Parallel()
	for _, squash := range []bool{false, true} {
		w, _, client := gitlabWorld(t)
		created, _, err := client.MergeRequests.CreateMergeRequest(project, gitlabDraft(t, w, "ocm/a"))
		if err != nil {
			t.Fatal(err)
		}
		if _, resp, err := client.MergeRequests.AcceptMergeRequest(project, 1, &gitlab.AcceptMergeRequestOptions{SHA: new("0123456789012345678901234567890123456789")}); err == nil || resp.StatusCode != http.StatusConflict {
			t.Errorf("with another tip: %v", err)
		}
		merged, _, err := client.MergeRequests.AcceptMergeRequest(project, 1, &gitlab.AcceptMergeRequestOptions{SHA: &created.SHA, Squash: &squash})
		if err != nil || merged.State != "merged" || merged.MergedAt == nil || len(merged.MergeCommitSHA) != 40 || (merged.SquashCommitSHA != "") != squash {
			t.Errorf("squash %v: %+v, %v", squash, merged, err)
		}
		if _, resp, err := client.MergeRequests.AcceptMergeRequest(project, 1, nil); err == nil || resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("again: %v", err)
		}
	}
}

func TestGitLabLimitsAndRights(t *testing.T) {
	t.Parallel()
	w, server, client := gitlabWorld(t)
	server.SetLimit(&forgetest.Limit{Reset: time.Now().Add(time.Hour)})
	_, _, err := client.MergeRequests.ListProjectMergeRequests(project, nil)
	failure, ok := errors.AsType[*gitlab.ErrorResponse](err)
	if !ok || failure.Response.StatusCode != http.StatusTooManyRequests || failure.Response.Header.Get("RateLimit-Reset") == "" || failure.Response.Header.Get("Retry-After") == "" {
		t.Errorf("limit: %v", err)
	}
	server.SetLimit(nil)
	draft := gitlabDraft(t, w, "ocm/a")
	for token, want := range map[string]int{w.ReadToken: http.StatusForbidden, "unknown": http.StatusUnauthorized} {
		_, _, err := gitlabClient(t, w, token).MergeRequests.CreateMergeRequest(project, draft)
		if failure, ok := errors.AsType[*gitlab.ErrorResponse](err); !ok || failure.Response.StatusCode != want {
			t.Errorf("token %s: %v", token, err)
		}
	}
	if _, _, err := client.MergeRequests.GetMergeRequest("acme/absent", 1, nil); !errors.Is(err, gitlab.ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
	// Both ways to send a token are known.
	oauth, err := gitlab.NewAuthSourceClient(gitlab.OAuthTokenSource{TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Token})}, gitlab.WithBaseURL(w.APIURL), gitlab.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := oauth.MergeRequests.CreateMergeRequest(project, draft); err != nil {
		t.Errorf("as Bearer: %v", err)
	}
}
