package forge

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// githubPage is the length of pages.
const githubPage = 30

// github has the pull requests of a repository of GitHub.
type github struct{ pulls }

func newGitHub(c *client, path []string) *github {
	c.header.Set("Authorization", "Bearer "+c.token)
	c.header.Set("Accept", "application/vnd.github+json")
	c.header.Set("X-GitHub-Api-Version", "2022-11-28")
	c.kind = githubKind
	// GitHub creates labels that it does not know.
	naming := func(_ context.Context, labels []string) (any, error) { return labels, nil }
	return &github{pulls{client: c, owner: path[0], name: path[1], naming: naming}}
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

// Open implements Forge.
func (g *github) Open(ctx context.Context, head string) ([]Request, error) {
	r := g.call(http.MethodGet, "list pull requests for branch "+head, "pulls")
	// A filter without owner would be ignored, and what is ignored answers with everything; ours decides.
	r.query = url.Values{"state": {"open"}, "head": {g.owner + ":" + head}}
	return found(ctx, g.client, r, githubPage, func(p *pull) (Request, bool) { return g.read(p), p.ours(head) })
}
