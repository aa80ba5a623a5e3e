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

// gitlabError answers with an error of GitLab, whose message is a text, a list, or lists by field.
func gitlabError(x *exchange, status int, message any) {
	x.json(status, map[string]any{"message": message})
}

// gitlabPages sets the headers that GitLab has beside the links.
func gitlabPages(h http.Header, total, page, size, last int) {
	h.Set("X-Total", strconv.Itoa(total))
	h.Set("X-Total-Pages", strconv.Itoa(last))
	h.Set("X-Page", strconv.Itoa(page))
	h.Set("X-Per-Page", strconv.Itoa(size))
	next, prev := "", ""
	if page < last {
		next = strconv.Itoa(page + 1)
	}
	if page > 1 {
		prev = strconv.Itoa(page - 1)
	}
	h.Set("X-Next-Page", next)
	h.Set("X-Prev-Page", prev)
}

// gitlab answers as GitLab does.
func (s *Server) gitlab(x *exchange) {
	switch {
	case len(x.path) == 1 && x.path[0] == "user" && x.known:
		x.json(http.StatusOK, gitlabUser(x, x.token.User))
	case len(x.path) >= 2 && x.path[0] == "projects":
		r := s.repository(x.path[1])
		if r == nil {
			r = s.byID(x.path[1])
		}
		s.gitlabProject(x, r, x.path[2:])
	default:
		x.json(http.StatusNotFound, map[string]any{"error": "404 Not Found"})
	}
}

func (s *Server) gitlabProject(x *exchange, r *repository, path []string) {
	write := x.r.Method != http.MethodGet
	switch {
	case write && !x.known:
		gitlabError(x, http.StatusUnauthorized, "401 Unauthorized")
		return
	case r == nil || !s.visible(x):
		gitlabError(x, http.StatusNotFound, "404 Project Not Found")
		return
	case write && x.token.Rights < Write:
		x.json(http.StatusForbidden, map[string]any{
			"error": "insufficient_scope", "error_description": "The request requires higher privileges than provided by the access token.", "scope": "api",
		})
		return
	}
	if err := s.refresh(x.ctx(), r); err != nil {
		failed(x, err)
		return
	}
	switch {
	case len(path) == 0 && !write:
		x.json(http.StatusOK, gitlabProjectJSON(x, r))
	case len(path) == 1 && path[0] == "merge_requests":
		s.gitlabRequests(x, r)
	case len(path) >= 2 && path[0] == "merge_requests":
		p := r.pull(path[1])
		if p == nil {
			gitlabError(x, http.StatusNotFound, "404 Not found")
			return
		}
		s.gitlabRequest(x, p, strings.Join(path[2:], "/"))
	default:
		x.json(http.StatusNotFound, map[string]any{"error": "404 Not Found"})
	}
}

// gitlabRequests lists and creates.
func (s *Server) gitlabRequests(x *exchange, r *repository) {
	switch x.r.Method {
	case http.MethodGet:
		list := []any{}
		for _, p := range paged(x, gitlabFilter(x, r)) {
			list = append(list, gitlabJSON(x, p, false))
		}
		x.json(http.StatusOK, list)
	case http.MethodPost:
		s.gitlabCreate(x, r)
	default:
		x.json(http.StatusMethodNotAllowed, map[string]any{"error": "405 Not Allowed"})
	}
}

// gitlabFilter returns what a list is asked for, the newest first.
func gitlabFilter(x *exchange, r *repository) []*pull {
	var list []*pull
	for _, p := range slices.Backward(r.pulls) {
		keep := true
		for name, value := range map[string]string{"source_branch": p.Head, "target_branch": p.Base, "state": gitlabState(p)} {
			asked := x.query.Get(name)
			keep = keep && (asked == "" || asked == value || (name == "state" && asked == "all"))
		}
		if keep {
			list = append(list, p)
		}
	}
	if x.query.Get("sort") == "asc" {
		slices.Reverse(list)
	}
	return list
}

// gitlabMark splits a title into the mark of a draft and the rest.
func gitlabMark(title string) (bool, string) {
	title = strings.TrimSpace(title)
	for _, mark := range []string{"draft:", "[draft]", "(draft)"} {
		if len(title) >= len(mark) && strings.EqualFold(title[:len(mark)], mark) {
			return true, strings.TrimSpace(title[len(mark):])
		}
	}
	return false, title
}

// gitlabNumber reads a number, which clients send as one or as a text.
func (x *exchange) number(name string) string {
	switch v := x.body[name].(type) {
	case float64:
		return strconv.FormatInt(int64(v), 10)
	case string:
		return v
	}
	return ""
}

func (s *Server) gitlabCreate(x *exchange, from *repository) {
	title, _ := x.text("title")
	body, _ := x.text("description")
	head, _ := x.text("source_branch")
	base, _ := x.text("target_branch")
	r := from
	if id := x.number("target_project_id"); id != "" {
		if r = s.byID(id); r == nil {
			gitlabError(x, http.StatusNotFound, "404 Project Not Found")
			return
		}
	}
	for name, value := range map[string]string{"title": title, "source_branch": head, "target_branch": base} {
		if value == "" {
			x.json(http.StatusBadRequest, map[string]any{"error": name + " is missing"})
			return
		}
	}
	if !gitlabText(x, title, body) {
		return
	}
	switch other := r.open(from, head, base); {
	case from == r && head == base:
		gitlabError(x, http.StatusUnprocessableEntity, []string{"You can't use same project/branch for source and target"})
	case from.bare.branch(x.ctx(), head) == "":
		gitlabError(x, http.StatusBadRequest, map[string]any{"source_branch": []string{"does not exist"}})
	case r.bare.branch(x.ctx(), base) == "":
		gitlabError(x, http.StatusBadRequest, map[string]any{"target_branch": []string{"does not exist"}})
	case other != nil:
		gitlabError(x, http.StatusConflict, []string{fmt.Sprintf("Another open merge request already exists for this source branch: !%d", other.Number)})
	default:
		draft, title := gitlabMark(title)
		p, err := s.add(x.ctx(), r, from, Pull{Title: title, Draft: draft, Body: body, Head: head, Base: base, Author: x.token.User})
		if err != nil {
			failed(x, err)
			return
		}
		p.label(x.commas("labels")...)
		x.json(http.StatusCreated, gitlabJSON(x, p, true))
	}
}

// commas reads labels, which are one text with commas or a list of them.
func (x *exchange) commas(name string) []string {
	var list []string
	switch v := x.body[name].(type) {
	case string:
		list = strings.Split(v, ",")
	case []any:
		for _, item := range v {
			if text, ok := item.(string); ok {
				list = append(list, strings.Split(text, ",")...)
			}
		}
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// gitlabText checks title and text.
func gitlabText(x *exchange, title, body string) bool {
	switch {
	case utf8.RuneCountInString(title) > 255:
		gitlabError(x, http.StatusBadRequest, map[string]any{"title": []string{"is too long (maximum is 255 characters)"}})
	case len(body) > 1<<20:
		gitlabError(x, http.StatusBadRequest, map[string]any{"description": []string{"is too long (maximum is 1048576 bytes)"}})
	default:
		return true
	}
	return false
}

// gitlabRequest answers about one request; what is the path below it.
func (s *Server) gitlabRequest(x *exchange, p *pull, what string) {
	switch x.r.Method + " " + what {
	case "GET ":
		x.json(http.StatusOK, gitlabJSON(x, p, true))
	case "PUT ":
		if gitlabEdit(x, s, p) {
			x.json(http.StatusOK, gitlabJSON(x, p, true))
		}
	case "PUT merge":
		s.gitlabMerge(x, p)
	case "GET notes":
		list := []any{}
		for _, c := range paged(x, p.Comments) {
			list = append(list, gitlabNote(x, p, c))
		}
		x.json(http.StatusOK, list)
	case "POST notes":
		body, _ := x.text("body")
		if body == "" {
			x.json(http.StatusBadRequest, map[string]any{"error": "body is missing"})
			return
		}
		x.json(http.StatusCreated, gitlabNote(x, p, s.comment(x, p, body)))
	default:
		x.json(http.StatusNotFound, map[string]any{"error": "404 Not Found"})
	}
}

// gitlabEdit changes a request.
func gitlabEdit(x *exchange, s *Server, p *pull) bool {
	draft, title, body, base := p.Draft, p.Title, p.Body, p.Base
	if text, ok := x.text("title"); ok {
		draft, title = gitlabMark(text)
	}
	if text, ok := x.text("description"); ok {
		body = text
	}
	if !gitlabText(x, title, body) {
		return false
	}
	if text, ok := x.text("target_branch"); ok && text != base {
		switch other := p.repository.open(p.from, p.Head, text); {
		case p.repository.bare.branch(x.ctx(), text) == "":
			gitlabError(x, http.StatusBadRequest, map[string]any{"target_branch": []string{"does not exist"}})
			return false
		case other != nil:
			gitlabError(x, http.StatusConflict, []string{fmt.Sprintf("Another open merge request already exists for this source branch: !%d", other.Number)})
			return false
		}
		base = text
	}
	switch event, _ := x.text("state_event"); {
	case event == "close" && p.State == forge.Open:
		s.close(p)
	case event == "reopen" && p.State == forge.Closed && p.repository.open(p.from, p.Head, base) != nil:
		gitlabError(x, http.StatusConflict, []string{"Another open merge request already exists for this source branch"})
		return false
	case event == "reopen" && p.State == forge.Closed:
		p.State, p.closed = forge.Open, p.merged
	}
	if _, ok := x.body["labels"]; ok {
		p.Labels = nil
		p.label(x.commas("labels")...)
	}
	p.label(x.commas("add_labels")...)
	remove := x.commas("remove_labels")
	p.Labels = slices.DeleteFunc(p.Labels, func(l string) bool { return slices.Contains(remove, l) })
	p.Draft, p.Title, p.Body, p.Base, p.updated = draft, title, body, base, s.now()
	return githubFollow(x, s, p)
}

func (s *Server) gitlabMerge(x *exchange, p *pull) {
	sha, _ := x.text("sha")
	message, ok := x.text("merge_commit_message")
	if !ok {
		message = fmt.Sprintf("Merge branch '%s' into '%s'\n\nSee merge request %s!%d", p.Head, p.Base, p.repository.path, p.Number)
	}
	method := "merge"
	if x.flag("squash") {
		method = "squash"
	}
	switch {
	case p.State != forge.Open || p.Draft:
		gitlabError(x, http.StatusMethodNotAllowed, "405 Method Not Allowed")
		return
	case sha != "" && sha != p.HeadCommit:
		gitlabError(x, http.StatusConflict, "SHA does not match HEAD of source branch: "+p.HeadCommit)
		return
	}
	switch err := s.merge(x.ctx(), p, method, message); {
	case errors.Is(err, errConflict):
		gitlabError(x, http.StatusUnprocessableEntity, "Branch cannot be merged")
	case err != nil:
		failed(x, err)
	default:
		x.json(http.StatusOK, gitlabJSON(x, p, true))
	}
}
