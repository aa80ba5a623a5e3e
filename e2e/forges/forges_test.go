package forges

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-github/v87/github"
	gitlab "gitlab.com/gitlab-org/api/client-go"

	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/forge/forgetest"
)

// TestOurs runs the conformance suite against the very server that the SDKs are content with.
func TestOurs(t *testing.T) {
	t.Parallel()
	for provider, path := range map[string]string{forge.GitHub: "acme/fleet", forge.GitLab: project} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			w, _ := forgetest.NewWorld(t, provider, path, "squash")
			forgetest.Run(t, w)
		})
	}
}

// TestSeenByBoth: what ours writes is what the SDKs read.
func TestSeenByBoth(t *testing.T) {
	t.Parallel()
	draft := forge.Draft{Title: "Deliver podinfo 6.3.6", Body: "text", Head: "ocm/a", Base: "main", Labels: []string{"delivery"}}
	ours := func(w forgetest.World) *forge.Request {
		w.Branch(t, draft.Head)
		f, err := forge.New(forge.Options{Provider: w.Provider, RepositoryURL: w.RepositoryURL, APIURL: w.APIURL, Token: w.Token})
		if err != nil {
			t.Fatal(err)
		}
		created, err := f.Create(t.Context(), draft)
		if err != nil {
			t.Fatal(err)
		}
		return created
	}
	hub, _, hubClient := githubWorld(t)
	created := ours(hub)
	if pr, _, err := hubClient.PullRequests.Get(t.Context(), "acme", "fleet", int(created.Number)); err != nil ||
		pr.GetTitle() != draft.Title || pr.GetHTMLURL() != created.URL || pr.GetHead().GetSHA() != created.HeadCommit || len(pr.Labels) != 1 {
		t.Errorf("GitHub: %v, %v", pr, err)
	}
	lab, _, labClient := gitlabWorld(t)
	created = ours(lab)
	if mr, _, err := labClient.MergeRequests.GetMergeRequest(project, created.Number, nil); err != nil ||
		mr.Title != draft.Title || mr.WebURL != created.URL || mr.SHA != created.HeadCommit || len(mr.Labels) != 1 {
		t.Errorf("GitLab: %v, %v", mr, err)
	}
}

// TestFields: the test forge sends no field that the SDKs have not heard of, with the exceptions that are documented and that the SDKs leave out.
func TestFields(t *testing.T) {
	t.Parallel()
	hub, _, hubClient := githubWorld(t)
	if _, _, err := hubClient.PullRequests.Create(t.Context(), "acme", "fleet", githubDraft(t, hub, "ocm/a")); err != nil {
		t.Fatal(err)
	}
	lab, _, labClient := gitlabWorld(t)
	if _, _, err := labClient.MergeRequests.CreateMergeRequest(project, gitlabDraft(t, lab, "ocm/a")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		w      forgetest.World
		path   string
		into   any
		except []string
	}{
		"pull request":  {hub, "/repos/acme/fleet/pulls/1", &github.PullRequest{}, nil},
		"pull requests": {hub, "/repos/acme/fleet/pulls", &[]*github.PullRequest{}, nil},
		"labels":        {hub, "/repos/acme/fleet/issues/1/labels", &[]*github.Label{}, nil},
		"repository":    {hub, "/repos/acme/fleet", &github.Repository{}, nil},
		"merge request": {lab, "/projects/acme%2Fplatform%2Ffleet/merge_requests/1", &gitlab.MergeRequest{}, []string{"merge_status", "reference"}},
		"project":       {lab, "/projects/acme%2Fplatform%2Ffleet", &gitlab.Project{}, nil},
	} {
		data := get(t, c.w, c.path)
		if len(c.except) > 0 {
			fields := map[string]any{}
			if err := json.Unmarshal(data, &fields); err != nil {
				t.Fatal(err)
			}
			for _, field := range c.except {
				delete(fields, field)
			}
			var err error
			if data, err = json.Marshal(fields); err != nil {
				t.Fatal(err)
			}
		}
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(c.into); err != nil {
			t.Errorf("%s: %v in %s", name, err, data)
		}
	}
}

// get reads from a test forge without any SDK.
func get(t *testing.T, w forgetest.World, path string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.APIURL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return data
}
