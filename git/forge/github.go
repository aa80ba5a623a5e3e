package forge

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// githubPage is the length of pages.
const githubPage = 30

// github has the pull requests of a repository of GitHub.
type github struct {
	*client
	owner, name string
}

func newGitHub(c *client, path []string) *github {
	c.header.Set("Authorization", "Bearer "+c.token)
	c.header.Set("Accept", "application/vnd.github+json")
	c.header.Set("X-GitHub-Api-Version", "2022-11-28")
	c.kind = githubKind
	return &github{client: c, owner: path[0], name: path[1]}
}

// githubKind reads validation errors, which GitHub tells apart by words: their code is custom.
func githubKind(status int, message string) error {
	switch {
	case status != http.StatusUnprocessableEntity:
		return nil
	case strings.Contains(message, "already exists"):
		return ErrExists
	case strings.Contains(message, "No commits between"):
		return ErrNoChanges
	case strings.Contains(message, "code invalid") && (strings.Contains(message, "field head") || strings.Contains(message, "field base")):
		return ErrNotFound
	}
	return nil
}

// call returns a request about the repository.
func (g *github) call(method, what string, path ...string) call {
	return call{method: method, path: append([]string{"repos", g.owner, g.name}, path...), what: fmt.Sprintf("%s of %s/%s", what, g.owner, g.name)}
}

// Open implements Forge.
func (g *github) Open(ctx context.Context, head string) ([]Request, error) {
	r := g.call(http.MethodGet, "list pull requests for branch "+head, "pulls")
	// A filter without owner would be ignored, and what is ignored answers with everything; ours decides.
	r.query = url.Values{"state": {"open"}, "head": {g.owner + ":" + head}}
	return found(ctx, g.client, r, githubPage, func(p *pull) (Request, bool) { return p.request(), p.ours(head) })
}

// Get implements Forge.
func (g *github) Get(ctx context.Context, number int64) (*Request, error) {
	if number < 1 {
		return nil, errNumber
	}
	id := strconv.FormatInt(number, 10)
	return g.pull(ctx, g.call(http.MethodGet, "read pull request #"+id, "pulls", id))
}

func (g *github) pull(ctx context.Context, r call) (*Request, error) {
	var p pull
	if _, err := g.do(ctx, r, &p); err != nil {
		return nil, err
	}
	request := p.request()
	return &request, valid(&request, r.what)
}

// Create implements Forge.
func (g *github) Create(ctx context.Context, draft Draft) (*Request, error) {
	draft = Clean(draft)
	if err := draft.check(); err != nil {
		return nil, err
	}
	r := g.call(http.MethodPost, "create pull request for branch "+draft.Head, "pulls")
	r.body = map[string]any{"title": draft.Title, "body": draft.Body, "head": draft.Head, "base": draft.Base}
	request, err := g.pull(ctx, r)
	if err != nil {
		return nil, err
	}
	return request, g.label(ctx, request, missing(request.Labels, draft.Labels))
}

// Update implements Forge.
func (g *github) Update(ctx context.Context, number int64, draft Draft) (*Request, error) {
	request, err := g.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	change := plan(request, Clean(draft), "")
	if fields := change.fields("title", "body", "base"); fields != nil {
		id := strconv.FormatInt(number, 10)
		r := g.call(http.MethodPatch, "update pull request #"+id, "pulls", id)
		r.body = fields
		if request, err = g.pull(ctx, r); err != nil {
			return nil, err
		}
	}
	return request, g.label(ctx, request, change.labels)
}

// label adds labels. GitHub creates those that it does not know.
func (g *github) label(ctx context.Context, request *Request, add []string) error {
	if len(add) == 0 {
		return nil
	}
	id := strconv.FormatInt(request.Number, 10)
	r := g.call(http.MethodPost, "label pull request #"+id, "issues", id, "labels")
	r.body = map[string]any{"labels": add}
	var labels []label
	if _, err := g.do(ctx, r, &labels); err != nil {
		return err
	}
	request.Labels = names(labels)
	return nil
}

// Close implements Forge.
func (g *github) Close(ctx context.Context, number int64, comment string) error {
	request, err := g.Get(ctx, number)
	if err != nil || request.State != Open {
		return err
	}
	id := strconv.FormatInt(number, 10)
	r := g.call(http.MethodPatch, "close pull request #"+id, "pulls", id)
	r.body = map[string]any{"state": "closed"}
	if _, err := g.do(ctx, r, nil); err != nil {
		return err
	}
	g.comment(ctx, g.call(http.MethodPost, "comment on pull request #"+id, "issues", id, "comments"), comment)
	return nil
}

// valid refuses an answer that is JSON, but of something else.
func valid(r *Request, what string) error {
	if r.Number < 1 || r.Head == "" || r.Base == "" {
		return fmt.Errorf("%s: the answer is not a pull request: check repository.provider and repository.apiURL", what)
	}
	return nil
}
