package forge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// giteaPage is the length of pages. It is the longest that servers send unless they are set to another one.
const giteaPage = 50

// giteaColor is the colour of labels that we create; there is no default.
const giteaColor = "#1d76db"

// gitea has the pull requests of a repository of Gitea or Forgejo.
type gitea struct{ pulls }

func newGitea(c *client, path []string) *gitea {
	c.header.Set("Authorization", "token "+c.token)
	c.header.Set("Accept", "application/json")
	c.kind, c.perPage = giteaKind, "limit"
	g := &gitea{pulls{client: c, owner: path[0], name: path[1], mark: "WIP:"}}
	g.naming = g.ids
	return g
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

// Open implements Forge. Gitea knows no filter by head, and its look-up by both branches answers with requests that are merged long since; so all open ones are read, those that changed last first.
func (g *gitea) Open(ctx context.Context, head string) ([]Request, error) {
	r := g.call(http.MethodGet, "list pull requests for branch "+head, "pulls")
	r.query = url.Values{"state": {"open"}, "sort": {"recentupdate"}}
	return found(ctx, g.client, r, giteaPage, func(p *pull) (Request, bool) {
		return g.read(p), p.ours(head)
	})
}

// ids returns the ids of labels, by which Gitea knows them. They have to exist: those of the repository are looked at first, then those
// of the organization, and what is missing is created in the repository.
func (g *gitea) ids(ctx context.Context, labels []string) (any, error) {
	known := map[string]int64{}
	if err := g.known(ctx, known, g.call(http.MethodGet, "list labels", "labels")); err != nil {
		return nil, err
	}
	if len(lacking(known, labels)) > 0 {
		r := call{method: http.MethodGet, path: []string{"orgs", g.owner, "labels"}, what: "list labels of organization " + g.owner}
		// The owner may be a user, who has no labels; and a token may be good for the repository only.
		if err := g.known(ctx, known, r); err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrForbidden) {
			return nil, err
		}
	}
	for _, name := range lacking(known, labels) {
		id, err := g.createLabel(ctx, name)
		if err != nil {
			return nil, err
		}
		known[strings.ToLower(name)] = id
	}
	ids := make([]int64, 0, len(labels))
	for _, name := range labels {
		ids = append(ids, known[strings.ToLower(name)])
	}
	return ids, nil
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
