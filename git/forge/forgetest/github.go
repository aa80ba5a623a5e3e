package forgetest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

const githubDocs = "https://docs.github.com/rest"

// githubError answers with an error of GitHub; details are what is wrong with which field.
func githubError(x *exchange, status int, message string, details ...map[string]any) {
	body := map[string]any{"message": message, "documentation_url": githubDocs, "status": strconv.Itoa(status)}
	if len(details) > 0 {
		body["errors"] = details
	}
	x.json(status, body)
}

// invalid answers that a field is wrong; custom that something is wrong that only words tell.
func invalid(x *exchange, resource, field, code string) {
	githubError(x, http.StatusUnprocessableEntity, "Validation Failed", map[string]any{"resource": resource, "field": field, "code": code})
}

func custom(x *exchange, message string) {
	githubError(x, http.StatusUnprocessableEntity, "Validation Failed", map[string]any{"resource": "PullRequest", "code": "custom", "message": message})
}

// github answers as GitHub does.
func (s *Server) github(x *exchange) {
	x.Header().Set("X-GitHub-Media-Type", "github.v3; format=json")
	switch {
	case len(x.path) == 1 && x.path[0] == "user" && x.known:
		x.json(http.StatusOK, githubUser(x.token.User))
	case len(x.path) >= 3 && x.path[0] == "repos":
		if r := s.moved[strings.ToLower(x.path[1]+"/"+x.path[2])]; r != nil && s.visible(x) {
			githubMoved(x, r)
			return
		}
		s.githubRepository(x, s.repository(x.path[1]+"/"+x.path[2]), x.path[3:])
	case len(x.path) >= 2 && x.path[0] == "repositories":
		s.githubRepository(x, s.byID(x.path[1]), x.path[2:])
	default:
		githubError(x, http.StatusNotFound, "Not Found")
	}
}

// visible tells whether repositories, which are all private, may be seen.
func (s *Server) visible(x *exchange) bool { return x.token.Rights >= Read }

// githubMoved sends a client to the address of a repository that does not change.
func githubMoved(x *exchange, r *repository) {
	_, rest, _ := strings.Cut(strings.TrimPrefix(x.r.URL.EscapedPath(), "/api/v3/repos/"+x.path[1]+"/"+x.path[2]), "/")
	to := strings.TrimSuffix(fmt.Sprintf("%s/repositories/%d/%s", x.base, r.id, rest), "/")
	if x.r.URL.RawQuery != "" {
		to += "?" + x.r.URL.RawQuery
	}
	x.Header().Set("Location", to)
	status := http.StatusMovedPermanently
	if x.r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	x.json(status, map[string]any{"message": "Moved Permanently", "url": to, "documentation_url": githubDocs})
}

func (s *Server) githubRepository(x *exchange, r *repository, path []string) {
	switch {
	case r == nil || !s.visible(x):
		githubError(x, http.StatusNotFound, "Not Found")
		return
	case x.r.Method != http.MethodGet && x.token.Rights < Write:
		githubError(x, http.StatusForbidden, "Resource not accessible by personal access token")
		return
	}
	if err := s.refresh(x.ctx(), r); err != nil {
		failed(x, err)
		return
	}
	switch {
	case len(path) == 0 && x.r.Method == http.MethodGet:
		x.json(http.StatusOK, githubRepositoryJSON(x, r))
	case len(path) == 1 && path[0] == "pulls":
		s.githubPulls(x, r)
	case len(path) >= 2 && (path[0] == "pulls" || path[0] == "issues"):
		p := r.pull(path[1])
		if p == nil {
			githubError(x, http.StatusNotFound, "Not Found")
			return
		}
		s.githubPull(x, p, path[0]+"/"+strings.Join(path[2:], "/"))
	default:
		githubError(x, http.StatusNotFound, "Not Found")
	}
}

// githubPulls lists and creates.
func (s *Server) githubPulls(x *exchange, r *repository) {
	switch x.r.Method {
	case http.MethodGet:
		var list []any
		for _, p := range paged(x, githubFilter(x, r)) {
			list = append(list, githubJSON(x, p, false))
		}
		if list == nil {
			list = []any{}
		}
		x.json(http.StatusOK, list)
	case http.MethodPost:
		s.githubCreate(x, r)
	default:
		githubError(x, http.StatusNotFound, "Not Found")
	}
}

// githubFilter returns what a list is asked for, the newest first. A head without an owner is no filter.
func githubFilter(x *exchange, r *repository) []*pull {
	state, base := x.query.Get("state"), x.query.Get("base")
	owner, branch, filtered := strings.Cut(x.query.Get("head"), ":")
	var list []*pull
	for _, p := range slices.Backward(r.pulls) {
		open := p.State == forge.Open
		switch {
		case (state == "" || state == "open") && !open, state == "closed" && open, base != "" && p.Base != base:
		case filtered && (p.Head != branch || !strings.EqualFold(p.from.owner(), owner)):
		default:
			list = append(list, p)
		}
	}
	if x.query.Get("direction") == "asc" {
		slices.Reverse(list)
	}
	return list
}

// githubSource finds the repository of a head, which is a branch, or owner:branch.
func (s *Server) githubSource(r *repository, head string) (*repository, string) {
	owner, branch, other := strings.Cut(head, ":")
	if !other {
		return r, head
	}
	if strings.EqualFold(owner, r.owner()) {
		return r, branch
	}
	return s.repository(owner + "/" + r.name()), branch
}

func (s *Server) githubCreate(x *exchange, r *repository) {
	title, _ := x.text("title")
	body, _ := x.text("body")
	base, _ := x.text("base")
	head, _ := x.text("head")
	if !githubText(x, title, body) {
		return
	}
	from, branch := s.githubSource(r, head)
	var tip, onto string
	if from != nil {
		tip, onto = from.bare.branch(x.ctx(), branch), r.bare.branch(x.ctx(), base)
	}
	switch {
	case tip == "":
		invalid(x, "PullRequest", "head", "invalid")
		return
	case onto == "":
		invalid(x, "PullRequest", "base", "invalid")
		return
	}
	// Commits of a fork are looked at where its request would be.
	if err := r.bare.keep(x.ctx(), from.bare, tip, "refs/pull/0/head"); err != nil {
		failed(x, err)
		return
	}
	switch {
	case !r.bare.related(x.ctx(), onto, tip):
		custom(x, fmt.Sprintf("The %s branch has no history in common with %s", branch, base))
	case r.bare.ahead(x.ctx(), onto, tip) == 0:
		custom(x, fmt.Sprintf("No commits between %s and %s", base, head))
	case r.open(from, branch, base) != nil:
		custom(x, fmt.Sprintf("A pull request already exists for %s:%s.", from.owner(), branch))
	default:
		p, err := s.add(x.ctx(), r, from, Pull{Title: strings.TrimSpace(title), Body: body, Draft: x.flag("draft"), Head: branch, Base: base, Author: x.token.User})
		if err != nil {
			failed(x, err)
			return
		}
		x.Header().Set("Location", fmt.Sprintf("%s/repos/%s/pulls/%d", x.base, r.path, p.Number))
		x.json(http.StatusCreated, githubJSON(x, p, true))
	}
}

// githubText checks title and text.
func githubText(x *exchange, title, body string) bool {
	switch {
	case strings.TrimSpace(title) == "":
		invalid(x, "PullRequest", "title", "missing_field")
	case utf8.RuneCountInString(title) > 256:
		custom(x, "title is too long (maximum is 256 characters)")
	case utf8.RuneCountInString(body) > 65536:
		custom(x, "body is too long (maximum is 65536 characters)")
	default:
		return true
	}
	return false
}

// githubPull answers about one request; what is the path below the repository without the number.
func (s *Server) githubPull(x *exchange, p *pull, what string) {
	switch x.r.Method + " " + what {
	case "GET pulls/":
		x.json(http.StatusOK, githubJSON(x, p, true))
	case "PATCH pulls/":
		if githubEdit(x, s, p) {
			x.json(http.StatusOK, githubJSON(x, p, true))
		}
	case "GET pulls/merge":
		if p.State != forge.Merged {
			githubError(x, http.StatusNotFound, "Not Found")
			return
		}
		x.WriteHeader(http.StatusNoContent)
	case "PUT pulls/merge":
		s.githubMerge(x, p)
	case "GET issues/labels":
		x.json(http.StatusOK, githubLabels(p))
	case "POST issues/labels":
		p.label(x.labels()...)
		x.json(http.StatusOK, githubLabels(p))
	case "GET issues/comments":
		list := []any{}
		for _, c := range paged(x, p.Comments) {
			list = append(list, githubComment(x, p, c))
		}
		x.json(http.StatusOK, list)
	case "POST issues/comments":
		body, _ := x.text("body")
		if body == "" {
			invalid(x, "IssueComment", "body", "missing_field")
			return
		}
		x.json(http.StatusCreated, githubComment(x, p, s.comment(x, p, body)))
	default:
		githubError(x, http.StatusNotFound, "Not Found")
	}
}

// comment adds a comment.
func (s *Server) comment(x *exchange, p *pull, body string) Comment {
	c := Comment{Author: x.token.User, Body: body, id: s.id(), at: s.now()}
	p.Comments = append(p.Comments, c)
	p.updated = c.at
	return c
}

// labels reads the labels of a body: a list of them under that name, or just the list.
func (x *exchange) labels() []string {
	var list []string
	items, ok := x.body["labels"].([]any)
	if !ok {
		items = x.array()
	}
	for _, item := range items {
		if text, ok := item.(string); ok {
			list = append(list, text)
		}
	}
	return list
}

// githubEdit changes a request.
func githubEdit(x *exchange, s *Server, p *pull) bool {
	title, body, base := p.Title, p.Body, p.Base
	if text, ok := x.text("title"); ok {
		title = strings.TrimSpace(text)
	}
	if text, ok := x.text("body"); ok {
		body = text
	}
	if !githubText(x, title, body) {
		return false
	}
	if text, ok := x.text("base"); ok && text != base {
		switch other := p.repository.open(p.from, p.Head, text); {
		case p.State != forge.Open:
			custom(x, "Cannot change the base branch of a closed pull request.")
			return false
		case p.repository.bare.branch(x.ctx(), text) == "":
			invalid(x, "PullRequest", "base", "invalid")
			return false
		case other != nil:
			custom(x, fmt.Sprintf("A pull request already exists for base branch '%s' and head branch '%s'", text, p.Head))
			return false
		}
		base = text
	}
	state, _ := x.text("state")
	switch {
	case state == "open" && p.State == forge.Merged, state == "open" && p.State == forge.Closed && p.repository.open(p.from, p.Head, base) != nil:
		custom(x, "state cannot be changed. The pull request cannot be reopened.")
		return false
	case state == "open" && p.State == forge.Closed:
		p.State, p.closed = forge.Open, p.merged
	case state == "closed" && p.State == forge.Open:
		s.close(p)
	}
	p.Title, p.Body, p.Base, p.updated = title, body, base, s.now()
	return githubFollow(x, s, p)
}

// githubFollow brings a request up to a base that was changed.
func githubFollow(x *exchange, s *Server, p *pull) bool {
	if p.State != forge.Open {
		return true
	}
	p.commits = 0
	if err := s.follow(x.ctx(), p); err != nil {
		failed(x, err)
		return false
	}
	return true
}

func (s *Server) githubMerge(x *exchange, p *pull) {
	sha, _ := x.text("sha")
	method, _ := x.text("merge_method")
	message, ok := x.text("commit_title")
	if !ok {
		message = fmt.Sprintf("Merge pull request #%d from %s/%s", p.Number, p.from.owner(), p.Head)
	}
	switch {
	case p.State != forge.Open || p.Draft:
		githubError(x, http.StatusMethodNotAllowed, "Pull Request is not mergeable")
		return
	case sha != "" && sha != p.HeadCommit:
		githubError(x, http.StatusConflict, "Head branch was modified. Review and try the merge again.")
		return
	}
	switch err := s.merge(x.ctx(), p, method, message); {
	case errors.Is(err, errConflict):
		githubError(x, http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	case err != nil:
		failed(x, err)
	default:
		x.json(http.StatusOK, map[string]any{"sha": p.MergeCommit, "merged": true, "message": "Pull Request successfully merged"})
	}
}
