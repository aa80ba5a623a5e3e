package forge

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
)

// pulls are the pull requests of a repository in the API that GitHub has made up, and Gitea speaks.
type pulls struct {
	*client
	owner, name string
	// mark is what begins the title of a draft; empty where a draft is something else.
	mark string
	// naming returns labels as requests name them.
	naming func(ctx context.Context, labels []string) (any, error)
}

// call returns a request about the repository.
func (p *pulls) call(method, what string, path ...string) call {
	return call{method: method, path: append([]string{"repos", p.owner, p.name}, path...), what: fmt.Sprintf("%s of %s/%s", what, p.owner, p.name)}
}

// read returns what an answer says of a request.
func (p *pulls) read(answer *pull) Request {
	request := answer.request()
	if p.mark != "" {
		request.unmarked()
	}
	return request
}

func (p *pulls) pull(ctx context.Context, r call) (*Request, error) {
	var answer pull
	if _, err := p.do(ctx, r, &answer); err != nil {
		return nil, err
	}
	request := p.read(&answer)
	return &request, valid(&request, r.what)
}

// valid refuses an answer that is JSON, but of something else.
func valid(r *Request, what string) error {
	if r.Number < 1 || r.Head == "" || r.Base == "" {
		return fmt.Errorf("%s: the answer is not a pull request: check repository.provider and repository.apiURL", what)
	}
	return nil
}

// Get implements Forge.
func (p *pulls) Get(ctx context.Context, number int64) (*Request, error) {
	if number < 1 {
		return nil, errNumber
	}
	id := strconv.FormatInt(number, 10)
	return p.pull(ctx, p.call(http.MethodGet, "read pull request #"+id, "pulls", id))
}

// Create implements Forge.
func (p *pulls) Create(ctx context.Context, draft Draft) (*Request, error) {
	draft = Clean(draft)
	if err := draft.check(); err != nil {
		return nil, err
	}
	r := p.call(http.MethodPost, "create pull request for branch "+draft.Head, "pulls")
	r.body = map[string]any{"title": draft.Title, "body": draft.Body, "head": draft.Head, "base": draft.Base}
	request, err := p.pull(ctx, r)
	if err != nil {
		return nil, err
	}
	return request, p.label(ctx, request, missing(request.Labels, draft.Labels))
}

// Update implements Forge.
func (p *pulls) Update(ctx context.Context, number int64, draft Draft) (*Request, error) {
	request, err := p.Get(ctx, number)
	if err != nil {
		return nil, err
	}
	change := plan(request, Clean(draft), p.mark)
	if fields := change.fields("title", "body", "base"); fields != nil {
		id := strconv.FormatInt(number, 10)
		r := p.call(http.MethodPatch, "update pull request #"+id, "pulls", id)
		r.body = fields
		if request, err = p.pull(ctx, r); err != nil {
			return nil, err
		}
	}
	return request, p.label(ctx, request, change.labels)
}

// label adds labels.
func (p *pulls) label(ctx context.Context, request *Request, add []string) error {
	if len(add) == 0 {
		return nil
	}
	named, err := p.naming(ctx, add)
	if err != nil {
		return err
	}
	id := strconv.FormatInt(request.Number, 10)
	r := p.call(http.MethodPost, "label pull request #"+id, "issues", id, "labels")
	r.body = map[string]any{"labels": named}
	var labels []label
	if _, err := p.do(ctx, r, &labels); err != nil {
		return err
	}
	request.Labels = names(labels)
	return nil
}

// Close implements Forge.
func (p *pulls) Close(ctx context.Context, number int64, comment string) error {
	request, err := p.Get(ctx, number)
	if err != nil || request.State != Open {
		return err
	}
	id := strconv.FormatInt(number, 10)
	r := p.call(http.MethodPatch, "close pull request #"+id, "pulls", id)
	r.body = map[string]any{"state": "closed"}
	if _, err := p.do(ctx, r, nil); err != nil {
		return err
	}
	p.comment(ctx, p.call(http.MethodPost, "comment on pull request #"+id, "issues", id, "comments"), comment)
	return nil
}
