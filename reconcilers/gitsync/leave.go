package gitsync

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// leave closes the request in a repository that the spec no longer names. It is a courtesy: where that is not possible the request stays
// open, and is forgotten. The token is for the host that the spec names, and for no other.
func (c *controller) leave(ctx context.Context, r *run) error {
	status := &r.obj.Status
	if status.RepositoryURL == "" || status.RepositoryURL == r.world.repository {
		return nil
	}
	request, old := status.PullRequest, status.RepositoryURL
	status.PullRequest, status.RepositoryURL, status.Fingerprint = nil, "", ""
	if request == nil || request.State != v1alpha1.PullRequestOpen {
		return nil
	}
	if err := c.closeElsewhere(ctx, r, old, request.Number); err != nil {
		r.events.Warning(r.obj, v1alpha1.CreatePullRequestFailedReason, fmt.Sprintf("Pull request #%d of %s is left open: %v", request.Number, old, err))
		return nil
	}
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d of %s: it is superseded", request.Number, old))
	return nil
}

func (c *controller) closeElsewhere(ctx context.Context, r *run, old string, number int64) error {
	before, err := remote.ParseURL(old)
	if err != nil {
		return err
	}
	if before.Host != r.location.Host || before.Scheme != r.location.Scheme || before.Port != r.location.Port {
		return fmt.Errorf("it is at another host than %s, which the credentials are for", r.location.Host)
	}
	d, err := c.desk(r, old)
	if err != nil {
		return err
	}
	defer d.leave()
	return d.close(ctx, number, "It is superseded: this object pushes to another repository now.")
}
