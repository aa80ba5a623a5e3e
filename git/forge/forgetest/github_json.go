package forgetest

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// array returns a body that is a list.
func (x *exchange) array() []any {
	var items []any
	data, err := io.ReadAll(x.r.Body)
	if err != nil || json.Unmarshal(data, &items) != nil {
		return nil
	}
	return items
}

// number makes an id of a name, the same each time.
func idOf(name string) int64 { return int64(crc32.ChecksumIEEE([]byte(name)))&0xffffff + 1 }

func githubUser(name string) map[string]any {
	return map[string]any{"login": name, "id": idOf(name), "node_id": "U_" + name, "type": "User", "site_admin": false}
}

func githubRepositoryJSON(x *exchange, r *repository) map[string]any {
	return map[string]any{
		"id": r.id, "node_id": fmt.Sprintf("R_%d", r.id), "name": r.name(), "full_name": r.path, "private": true, "owner": githubUser(r.owner()),
		"html_url": x.web + "/" + r.path, "url": x.base + "/repos/" + r.path, "clone_url": x.web + "/" + r.path + ".git", "default_branch": "main",
	}
}

func githubLabels(p *pull) []any {
	list := []any{}
	for _, name := range p.Labels {
		list = append(list, map[string]any{"id": idOf(name), "node_id": "L_" + name, "name": name, "color": "ededed", "default": false, "description": nil})
	}
	return list
}

func githubComment(x *exchange, p *pull, c Comment) map[string]any {
	return map[string]any{
		"id": c.id, "node_id": fmt.Sprintf("IC_%d", c.id), "body": c.Body, "user": githubUser(c.Author), "created_at": stamp(c.at), "updated_at": stamp(c.at),
		"html_url":  fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", x.web, p.repository.path, p.Number, c.id),
		"issue_url": fmt.Sprintf("%s/repos/%s/issues/%d", x.base, p.repository.path, p.Number), "author_association": "COLLABORATOR",
	}
}

// githubBranch is one side of a request.
func githubBranch(x *exchange, r *repository, branch, commit string) map[string]any {
	return map[string]any{"label": r.owner() + ":" + branch, "ref": branch, "sha": commit, "user": githubUser(r.owner()), "repo": githubRepositoryJSON(x, r)}
}

// githubJSON is a request as GitHub sends it. Lists do not have all of it.
func githubJSON(x *exchange, p *pull, full bool) map[string]any {
	page := fmt.Sprintf("%s/%s/pull/%d", x.web, p.repository.path, p.Number)
	api := fmt.Sprintf("%s/repos/%s/pulls/%d", x.base, p.repository.path, p.Number)
	issue := fmt.Sprintf("%s/repos/%s/issues/%d", x.base, p.repository.path, p.Number)
	state, merge := "closed", p.MergeCommit
	if p.State == forge.Open {
		// A test of the merge, which is in no branch.
		state = "open"
	}
	if merge == "" {
		merge = p.testMerge
	}
	base := p.repository.bare.branch(x.ctx(), p.Base)
	body := map[string]any{
		"id": p.id, "node_id": fmt.Sprintf("PR_%d", p.id), "number": p.Number, "state": state, "locked": false, "title": p.Title, "body": orNull(p.Body), "draft": p.Draft,
		"url": api, "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "issue_url": issue, "comments_url": issue + "/comments", "commits_url": api + "/commits",
		"statuses_url": fmt.Sprintf("%s/repos/%s/statuses/%s", x.base, p.repository.path, p.HeadCommit),
		"created_at":   stamp(p.created), "updated_at": stamp(p.updated), "closed_at": stamp(p.closed), "merged_at": stamp(p.merged), "merge_commit_sha": orNull(merge),
		"user": githubUser(p.Author), "labels": githubLabels(p), "assignee": nil, "assignees": []any{}, "requested_reviewers": []any{}, "requested_teams": []any{}, "milestone": nil,
		"head": githubBranch(x, p.from, p.Head, p.HeadCommit), "base": githubBranch(x, p.repository, p.Base, base), "author_association": "COLLABORATOR", "auto_merge": nil,
	}
	if full {
		added, removed, files := p.repository.bare.stat(x.ctx(), base, p.HeadCommit)
		mergeable := p.testMerge != ""
		body["merged"], body["merged_by"] = p.State == forge.Merged, nil
		body["mergeable"], body["rebaseable"], body["mergeable_state"] = mergeable, mergeable, map[bool]string{true: "clean", false: "dirty"}[mergeable]
		body["comments"], body["review_comments"], body["maintainer_can_modify"] = len(p.Comments), 0, false
		body["commits"], body["additions"], body["deletions"], body["changed_files"] = p.commits, added, removed, files
	}
	return body
}
