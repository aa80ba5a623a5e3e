package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// giteaPage is the length of pages. It is the longest that servers send unless they are set to another one.
const giteaPage = 50

// giteaColor is the colour of labels that we create; there is no default.
const giteaColor = "#1d76db"

// gitea has the pull requests of a repository of Gitea or Forgejo.
type gitea struct {
	*client
	owner, name string
}

func newGitea(c *client, path []string) *gitea {
	c.header.Set("Authorization", "token "+c.token)
	c.header.Set("Accept", "application/json")
	c.kind, c.perPage = giteaKind, "limit"
	return &gitea{client: c, owner: path[0], name: path[1]}
}

func giteaKind(status int, message string) error {
	switch {
	case status == http.StatusConflict && strings.Contains(message, "already exists"):
		return ErrExists
	case status == http.StatusUnprocessableEntity && strings.Contains(message, "no changes between"):
		return ErrNoChanges
	}
	return nil
}

// call returns a request about the repository.
func (g *gitea) call(method, what string, path ...string) call {
	return call{method: method, path: append([]string{"repos", g.owner, g.name}, path...), what: fmt.Sprintf("%s of %s/%s", what, g.owner, g.name)}
}

// Open implements Forge. Gitea knows no filter by head, and its look-up by both branches answers with requests that are merged long since; so all open ones are read, those that changed last first.
func (g *gitea) Open(ctx context.Context, head string) ([]Request, error) {
	r := g.call(http.MethodGet, "list pull requests for branch "+head, "pulls")
	r.query = url.Values{"state": {"open"}, "sort": {"recentupdate"}}
	return found(ctx, g.client, r, giteaPage, func(p *pull) (Request, bool) {
		request := p.request()
		request.unmarked()
		return request, p.ours(head)
	})
}

// Get implements Forge.
func (g *gitea) Get(ctx context.Context, number int64) (*Request, error) {
	if number < 1 {
		return nil, errNumber
	}
	id := strconv.FormatInt(number, 10)
	return g.pull(ctx, g.call(http.MethodGet, "read pull request #"+id, "pulls", id))
}

func (g *gitea) pull(ctx context.Context, r call) (*Request, error) {
	var p pull
	if _, err := g.do(ctx, r, &p); err != nil {
		return nil, err
	}
	request := p.request()
	request.unmarked()
	return &request, valid(&request, r.what)
}

// Create implements Forge.
func (g *gitea) Create(ctx context.Context, draft Draft) (*Request, error) {
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
func (g *gitea) Update(ctx context.Context, number int64, draft Draft) (*Request, error) {
	request, err := g.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	change := plan(request, Clean(draft), "WIP:")
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

// label adds labels. They are known by id, and have to exist: those of the repository are looked at first, then those of the organization, and what is missing is created in the repository.
func (g *gitea) label(ctx context.Context, request *Request, add []string) error {
	if len(add) == 0 {
		return nil
	}
	known := map[string]int64{}
	if err := g.known(ctx, known, g.call(http.MethodGet, "list labels", "labels")); err != nil {
		return err
	}
	if len(lacking(known, add)) > 0 {
		r := call{method: http.MethodGet, path: []string{"orgs", g.owner, "labels"}, what: "list labels of organization " + g.owner}
		// The owner may be a user, who has no labels; and a token may be good for the repository only.
		if err := g.known(ctx, known, r); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
			return err
		}
	}
	for _, name := range lacking(known, add) {
		id, err := g.createLabel(ctx, name)
		if err != nil {
			return err
		}
		known[strings.ToLower(name)] = id
	}
	ids := make([]int64, 0, len(add))
	for _, name := range add {
		ids = append(ids, known[strings.ToLower(name)])
	}
	id := strconv.FormatInt(request.Number, 10)
	r := g.call(http.MethodPost, "label pull request #"+id, "issues", id, "labels")
	r.body = map[string]any{"labels": ids}
	var labels []label
	if _, err := g.do(ctx, r, &labels); err != nil {
		return err
	}
	request.Labels = names(labels)
	return nil
}

// known reads labels into a map from name to id; those that are in it stay.
func (g *gitea) known(ctx context.Context, into map[string]int64, r call) error {
	return list(ctx, g.client, r, giteaPage, func(l *label) {
		if name := strings.ToLower(l.Name); into[name] == 0 {
			into[name] = l.ID
		}
	})
}

// lacking returns the names that have no id.
func lacking(known map[string]int64, want []string) []string {
	var none []string
	for _, name := range want {
		if known[strings.ToLower(name)] == 0 {
			none = append(none, name)
		}
	}
	return none
}

func (g *gitea) createLabel(ctx context.Context, name string) (int64, error) {
	r := g.call(http.MethodPost, fmt.Sprintf("create label %q, which does not exist yet,", printable(name, 64)), "labels")
	r.body = map[string]any{"name": name, "color": giteaColor}
	var created label
	if _, err := g.do(ctx, r, &created); err != nil {
		return 0, err
	}
	return created.ID, nil
}

// Close implements Forge.
func (g *gitea) Close(ctx context.Context, number int64, comment string) error {
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
