package forgetest

import (
	"fmt"
	"strconv"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

func gitlabUser(x *exchange, name string) map[string]any {
	return map[string]any{"id": idOf(name), "username": name, "name": name, "state": "active", "locked": false, "avatar_url": nil, "web_url": x.web + "/" + name}
}

func gitlabProjectJSON(x *exchange, r *repository) map[string]any {
	return map[string]any{
		"id": r.id, "name": r.name(), "path": r.name(), "path_with_namespace": r.path, "default_branch": "main", "visibility": "private",
		"web_url": x.web + "/" + r.path, "http_url_to_repo": x.web + "/" + r.path + ".git", "merge_method": "merge",
	}
}

// gitlabState returns what GitLab calls the state of a request.
func gitlabState(p *pull) string {
	switch p.State {
	case forge.Merged:
		return "merged"
	case forge.Closed:
		return "closed"
	case forge.Open:
	}
	return "opened"
}

func gitlabNote(x *exchange, p *pull, c Comment) map[string]any {
	return map[string]any{
		"id": c.id, "body": c.Body, "author": gitlabUser(x, c.Author), "created_at": stamp(c.at), "updated_at": stamp(c.at), "system": false, "internal": false, "resolvable": false,
		"noteable_id": p.id, "noteable_type": "MergeRequest", "noteable_iid": p.Number, "project_id": p.repository.id, "type": nil, //nolint:misspell // the name of the field
	}
}

// gitlabJSON is a request as GitLab sends it. Lists do not have all of it.
func gitlabJSON(x *exchange, p *pull, full bool) map[string]any {
	title := p.Title
	if p.Draft {
		title = "Draft: " + title
	}
	status, old := "mergeable", "can_be_merged"
	switch {
	case p.State != forge.Open:
		status = "not_open"
	case p.Draft:
		status = "draft_status"
	case p.testMerge == "":
		status, old = "conflict", "cannot_be_merged"
	}
	labels := p.Labels
	if labels == nil {
		labels = []string{}
	}
	reference := fmt.Sprintf("!%d", p.Number)
	body := map[string]any{
		"id": p.id, "iid": p.Number, "project_id": p.repository.id, "source_project_id": p.from.id, "target_project_id": p.repository.id,
		"title": title, "description": orNull(p.Body), "state": gitlabState(p), "draft": p.Draft, "work_in_progress": p.Draft, "labels": labels,
		"source_branch": p.Head, "target_branch": p.Base, "sha": orNull(p.HeadCommit), "merge_commit_sha": orNull(p.MergeCommit), "squash_commit_sha": orNull(p.SquashCommit),
		"created_at": stamp(p.created), "updated_at": stamp(p.updated), "merged_at": stamp(p.merged), "closed_at": nil, "author": gitlabUser(x, p.Author),
		"merge_user": nil, "merged_by": nil, "closed_by": nil, "assignee": nil, "assignees": []any{}, "reviewers": []any{}, "milestone": nil,
		"detailed_merge_status": status, "merge_status": old, "has_conflicts": old == "cannot_be_merged", "blocking_discussions_resolved": true,
		"user_notes_count": len(p.Comments), "upvotes": 0, "downvotes": 0, "squash": false, "squash_on_merge": false, "discussion_locked": nil,
		"should_remove_source_branch": nil, "force_remove_source_branch": false, "merge_when_pipeline_succeeds": false, "merge_after": nil, "prepared_at": stamp(p.created),
		"web_url":                fmt.Sprintf("%s/%s/-/merge_requests/%d", x.web, p.repository.path, p.Number),
		"reference":              reference,
		"references":             map[string]any{"short": reference, "relative": reference, "full": p.repository.path + reference},
		"task_completion_status": map[string]any{"count": 0, "completed_count": 0},
	}
	if p.State == forge.Closed {
		body["closed_at"] = stamp(p.closed)
	}
	if full {
		base := p.repository.bare.branch(x.ctx(), p.Base)
		_, _, files := p.repository.bare.stat(x.ctx(), base, p.HeadCommit)
		// A text, and null for a request that changes nothing.
		body["changes_count"] = nil
		if files > 0 {
			body["changes_count"] = strconv.Itoa(files)
		}
		body["diff_refs"] = map[string]any{"base_sha": base, "head_sha": p.HeadCommit, "start_sha": base}
		body["user"], body["merge_error"], body["subscribed"], body["first_contribution"] = map[string]any{"can_merge": true}, nil, false, false
	}
	return body
}
