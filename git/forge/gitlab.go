package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// gitlabPage is the length of pages. Requests of forks whose branch has the same name are on them, too.
const gitlabPage = 20

// gitlab has the merge requests of a project of GitLab.
type gitlab struct {
	*client
	project string
}

func newGitLab(c *client, path []string) *gitlab {
	// Unlike PRIVATE-TOKEN, this takes OAuth tokens too, besides personal, group and project tokens. Tokens of CI jobs need a header of their own, and may not open merge requests.
	c.header.Set("Authorization", "Bearer "+c.token)
	c.header.Set("Accept", "application/json")
	c.kind = gitlabKind
	return &gitlab{client: c, project: strings.Join(path, "/")}
}

func gitlabKind(status int, message string) error {
	switch {
	case status == http.StatusConflict && strings.Contains(message, "already exists"):
		return ErrExists
	case (status == http.StatusBadRequest || status == http.StatusUnprocessableEntity) && strings.Contains(message, "does not exist"):
		return ErrNotFound
	}
	return nil
}

// mergeRequest is a merge request as GitLab sends it. Iid is the number in the project; id is that of the whole instance and of no use to anybody.
type mergeRequest struct {
	IID             int64    `json:"iid"`
	WebURL          string   `json:"web_url"`
	State           string   `json:"state"`
	Title           string   `json:"title"`
	Description     string   `json:"description"`
	Draft           bool     `json:"draft"`
	WorkInProgress  bool     `json:"work_in_progress"`
	SourceBranch    string   `json:"source_branch"`
	TargetBranch    string   `json:"target_branch"`
	SourceProjectID int64    `json:"source_project_id"`
	TargetProjectID int64    `json:"target_project_id"`
	SHA             string   `json:"sha"`
	MergeCommitSHA  string   `json:"merge_commit_sha"`
	SquashCommitSHA string   `json:"squash_commit_sha"`
	Labels          []string `json:"labels"`
}

func (m *mergeRequest) ours(head string) bool {
	return m.SourceBranch == head && m.SourceProjectID == m.TargetProjectID && m.SourceProjectID != 0
}

func (m *mergeRequest) request() Request {
	r := Request{
		Number: m.IID, URL: page(m.WebURL), State: Open, Title: m.Title, Body: cleanBody(m.Description), Draft: m.Draft || m.WorkInProgress,
		Head: m.SourceBranch, Base: m.TargetBranch, HeadCommit: commit(m.SHA), Labels: slices.Clone(m.Labels),
	}
	slices.Sort(r.Labels)
	// A request is locked while it is being merged, and open again if that fails.
	switch m.State {
	case "merged":
		// A merge that only moves the branch forward has no commit of its own: the last one of the source is in the target then.
		r.State, r.MergeCommit = Merged, firstOf(commit(m.MergeCommitSHA), commit(m.SquashCommitSHA), r.HeadCommit)
	case "closed":
		r.State = Closed
	}
	r.unmarked()
	return r
}

// call returns a request about the project.
func (g *gitlab) call(method, what string, path ...string) call {
	return call{method: method, path: append([]string{"projects", g.project, "merge_requests"}, path...), what: fmt.Sprintf("%s of %s", what, g.project)}
}

// Open implements Forge.
func (g *gitlab) Open(ctx context.Context, head string) ([]Request, error) {
	r := g.call(http.MethodGet, "list merge requests for branch "+head)
	r.query = url.Values{"state": {"opened"}, "source_branch": {head}, "scope": {"all"}}
	return found(ctx, g.client, r, gitlabPage, func(m *mergeRequest) (Request, bool) { return m.request(), m.ours(head) })
}

// Get implements Forge.
func (g *gitlab) Get(ctx context.Context, number int64) (*Request, error) {
	if number < 1 {
		return nil, errNumber
	}
	id := strconv.FormatInt(number, 10)
	return g.mergeRequest(ctx, g.call(http.MethodGet, "read merge request !"+id, id))
}

func (g *gitlab) mergeRequest(ctx context.Context, r call) (*Request, error) {
	var m mergeRequest
	if _, err := g.do(ctx, r, &m); err != nil {
		return nil, err
	}
	request := m.request()
	return &request, valid(&request, r.what)
}

// Create implements Forge.
func (g *gitlab) Create(ctx context.Context, draft Draft) (*Request, error) {
	draft = Clean(draft)
	if err := draft.check(); err != nil {
		return nil, err
	}
	labels, err := joined(draft.Labels)
	if err != nil {
		return nil, err
	}
	r := g.call(http.MethodPost, "create merge request for branch "+draft.Head)
	body := map[string]any{"title": draft.Title, "description": draft.Body, "source_branch": draft.Head, "target_branch": draft.Base}
	if labels != "" {
		body["labels"] = labels
	}
	r.body = body
	return g.mergeRequest(ctx, r)
}

// joined returns labels as GitLab reads them.
func joined(labels []string) (string, error) {
	for _, l := range labels {
		if strings.Contains(l, ",") {
			return "", fmt.Errorf("label %q has a comma, which labels of GitLab cannot have: correct pullRequestTemplate.labels", printable(l, 64))
		}
	}
	return strings.Join(labels, ","), nil
}

// Update implements Forge.
func (g *gitlab) Update(ctx context.Context, number int64, draft Draft) (*Request, error) {
	labels, err := joined(draft.Labels)
	if err != nil {
		return nil, err
	}
	request, err := g.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	change := plan(request, Clean(draft), "Draft:")
	fields := change.fields("title", "description", "target_branch")
	if len(change.labels) > 0 {
		if fields == nil {
			fields = map[string]any{}
		}
		// Those that are there already are no harm, and labels of others stay.
		fields["add_labels"] = labels
	}
	if fields == nil {
		return request, nil
	}
	id := strconv.FormatInt(number, 10)
	r := g.call(http.MethodPut, "update merge request !"+id, id)
	r.body = fields
	return g.mergeRequest(ctx, r)
}

// Close implements Forge.
func (g *gitlab) Close(ctx context.Context, number int64, comment string) error {
	request, err := g.Get(ctx, number)
	if err != nil || request.State != Open {
		return err
	}
	id := strconv.FormatInt(number, 10)
	r := g.call(http.MethodPut, "close merge request !"+id, id)
	r.body = map[string]any{"state_event": "close"}
	if _, err := g.do(ctx, r, nil); err != nil {
		return err
	}
	g.comment(ctx, g.call(http.MethodPost, "comment on merge request !"+id, id, "notes"), comment)
	return nil
}
