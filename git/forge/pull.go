package forge

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// maxURL is what a status has room for.
const maxURL = 2048

var hash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// pull is a pull request as GitHub and Gitea send it.
type pull struct {
	Number         int64      `json:"number"`
	HTMLURL        string     `json:"html_url"`
	State          string     `json:"state"`
	Title          string     `json:"title"`
	Body           string     `json:"body"`
	Draft          bool       `json:"draft"`
	Merged         bool       `json:"merged"`
	MergedAt       string     `json:"merged_at"`
	MergeCommitSHA string     `json:"merge_commit_sha"`
	Labels         []label    `json:"labels"`
	Head           pullBranch `json:"head"`
	Base           pullBranch `json:"base"`
}

type label struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// pullBranch is one side of a pull request. Repo is missing when a fork was deleted.
type pullBranch struct {
	Label string `json:"label"`
	Ref   string `json:"ref"`
	SHA   string `json:"sha"`
	Repo  *struct {
		ID int64 `json:"id"`
	} `json:"repo"`
}

// ours tells whether the head is the branch of that name in the repository that the request is made to. A fork can have one of the same name, and anybody can make a fork.
func (p *pull) ours(head string) bool {
	return p.Head.Ref == head && p.Head.Repo != nil && p.Base.Repo != nil && p.Head.Repo.ID == p.Base.Repo.ID && p.Head.Repo.ID != 0
}

func (p *pull) request() Request {
	r := Request{
		Number: p.Number, URL: page(p.HTMLURL), State: Open, Title: p.Title, Body: cleanBody(p.Body), Draft: p.Draft,
		Head: p.Head.Ref, Base: p.Base.Ref, HeadCommit: commit(p.Head.SHA), Labels: names(p.Labels),
	}
	if strings.HasPrefix(r.Head, "refs/pull/") {
		// Gitea names the kept commits of a branch that was deleted; the label is still its name.
		r.Head = p.Head.Label
	}
	switch {
	case p.Merged || p.MergedAt != "":
		// Lists of GitHub have the time only. The commit of a request that is not merged is a test of the merge, and in no branch.
		r.State, r.MergeCommit = Merged, commit(p.MergeCommitSHA)
	case p.State == "closed":
		r.State = Closed
	}
	return r
}

// unmarked takes the mark of a draft off the title, for the forges that have it there.
func (r *Request) unmarked() {
	if r.Draft {
		_, r.Title = draftMark(r.Title)
	}
}

// names returns the names of labels, sorted.
func names(labels []label) []string {
	var list []string
	for _, l := range labels {
		list = append(list, l.Name)
	}
	slices.Sort(list)
	return list
}

// page returns the address of a page if it is one.
func page(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || len(raw) > maxURL || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return ""
	}
	return raw
}

// commit returns the hash of a commit if it is one.
func commit(raw string) string {
	if !hash.MatchString(raw) {
		return ""
	}
	return raw
}

// changes are what an update sends; nil stays as it is.
type changes struct {
	title, body, base *string
	labels            []string
}

// plan returns what is to be changed for a request to be what the draft says. mark is how the forge marks the titles of drafts, if it does.
func plan(r *Request, d Draft, mark string) changes {
	var c changes
	if titleDiffers(r, d) {
		title := d.Title
		if given, _ := draftMark(title); r.Draft && given == "" && mark != "" {
			// A reviewer has marked it, and takes the mark off when it is ready.
			title = mark + " " + title
		}
		c.title = &title
	}
	if r.Body != d.Body {
		c.body = &d.Body
	}
	if d.Base != "" && r.Base != d.Base {
		c.base = &d.Base
	}
	c.labels = missing(r.Labels, d.Labels)
	return c
}

// fields returns the changes under the names that a forge has for them; nil if there are none.
func (c changes) fields(title, body, base string) map[string]any {
	fields := map[string]any{}
	for name, value := range map[string]*string{title: c.title, body: c.body, base: c.base} {
		if value != nil {
			fields[name] = *value
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return fields
}

// byNumber sorts requests, the oldest first.
func byNumber(requests []Request) []Request {
	slices.SortFunc(requests, func(a, b Request) int { return int(a.Number - b.Number) })
	return requests
}
