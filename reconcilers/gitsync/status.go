package gitsync

import (
	"context"
	"fmt"
	"strconv"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// record writes down that everything about this world is done.
func (c *controller) record(_ context.Context, r *run) error {
	status := &r.obj.Status
	if !r.unmoved() {
		r.note()
		status.BaseCommit = ""
		if r.rebuilds() && !r.found.delivered {
			status.BaseCommit = hex(r.world.base)
		}
	}
	status.Digest, status.Version, status.Origins = r.content.ManifestDigest, r.content.Version, r.content.Origins
	status.Fingerprint = r.world.fingerprint
	c.memory.said(r.key())
	return nil
}

// unmoved tells whether the status names the holder of the content, and nothing has become of that but commits elsewhere: a status that
// follows every commit of a busy repository would be written all the time.
func (r *run) unmoved() bool {
	status := r.obj.Status
	return status.Commit != "" && status.RepositoryURL == r.world.repository && status.Branch == r.found.branch &&
		status.SubPath == r.subPath && status.Tree == hex(r.found.folder) && (r.found.delivered || !r.rebuilds() || status.Commit == hex(r.found.commit))
}

// ready is the message of the condition Ready.
func ready(r *run) string {
	status := r.obj.Status
	request := status.PullRequest
	switch {
	case !r.proposes() || request == nil:
	case request.State == v1alpha1.PullRequestMerged && request.Digest != status.Digest:
		// What came to the branch later came by other means.
	case request.State == v1alpha1.PullRequestOpen:
		return fmt.Sprintf("Pull request #%d is open: %s", request.Number, request.URL)
	case request.State == v1alpha1.PullRequestMerged && request.MergeCommit != "":
		return fmt.Sprintf("Merged: pull request #%d as %s, branch %s holds version %s", request.Number, short(request.MergeCommit), status.Branch, status.Version)
	case request.State == v1alpha1.PullRequestMerged:
		return fmt.Sprintf("Merged: pull request #%d, branch %s holds version %s", request.Number, status.Branch, status.Version)
	}
	if status.Commit == status.LastPushedCommit {
		return fmt.Sprintf("Pushed version %s as %s to branch %s", status.Version, short(status.Commit), status.Branch)
	}
	return fmt.Sprintf("Branch %s holds version %s at %s", status.Branch, status.Version, short(status.Commit))
}

// delivered is what notifications can say.
func delivered(obj *v1alpha1.GitSync) map[string]string {
	said := map[string]string{
		v1alpha1.RevisionAnnotation: v1alpha1.Revision(obj.Status.Version, obj.Status.Digest),
		v1alpha1.CommitAnnotation:   obj.Status.Commit,
	}
	if request := obj.Status.PullRequest; request != nil {
		said[v1alpha1.ChangeRequestAnnotation] = strconv.FormatInt(request.Number, 10)
	}
	return said
}
