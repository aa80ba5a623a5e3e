package gitsync

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/remote"
)

// address names a repository without what servers make no difference by: a slash or .git at the end.
func address(u *remote.URL) string {
	named := *u
	named.Path = cmp.Or(strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git"), "/"), u.Path)
	return named.String()
}

// sameRepository tells whether two addresses lead to one repository of a forge: over HTTP or SSH, where the ports are the usual ones. Forges
// make no difference between upper and lower case.
func sameRepository(a, b *remote.URL) bool {
	if !strings.EqualFold(pathOf(a), pathOf(b)) || a.Host != b.Host {
		return false
	}
	return a.Scheme == b.Scheme && a.Port == b.Port || usualPort(a) && usualPort(b)
}

func pathOf(u *remote.URL) string {
	return strings.Trim(strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git"), "/")
}

func usualPort(u *remote.URL) bool {
	return u.Port == map[string]string{"http": "80", "https": "443", "ssh": "22"}[u.Scheme]
}

// leave closes the request in a repository that the spec no longer names. It is a courtesy: where that is not possible the request stays
// open, and is forgotten. The token is for the host that the spec names, and for no other.
func (c *controller) leave(ctx context.Context, r *run) error {
	status := &r.obj.Status
	if status.RepositoryURL == "" || status.RepositoryURL == r.world.repository {
		return nil
	}
	request, old := status.PullRequest, status.RepositoryURL
	before, err := remote.ParseURL(old)
	if err == nil && sameRepository(before, r.location) && r.hasForge() {
		status.RepositoryURL = r.world.repository // it has another address, and is the same
		return nil
	}
	status.PullRequest, status.RepositoryURL, status.Fingerprint = nil, "", ""
	if request == nil || request.State != v1alpha1.PullRequestOpen {
		return nil
	}
	if err == nil {
		err = c.closeElsewhere(ctx, r, before, request.Number)
	}
	if err != nil {
		r.events.Warning(r.obj, v1alpha1.CreatePullRequestFailedReason, fmt.Sprintf("Pull request #%d of %s is left open: %v", request.Number, old, err))
		return nil
	}
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d of %s: it is superseded", request.Number, old))
	return nil
}

func (c *controller) closeElsewhere(ctx context.Context, r *run, before *remote.URL, number int64) error {
	if before.Host != r.location.Host || before.Scheme != r.location.Scheme || before.Port != r.location.Port {
		return fmt.Errorf("it is at another host than %s, which the credentials are for", r.location.Host)
	}
	d, err := c.desk(r, before.String())
	if err != nil {
		return err
	}
	defer d.leave()
	ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
	defer cancel()
	return d.close(ctx, number, "It is superseded: this object pushes to another repository now.")
}
