package gitsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/git/message"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// request finds the request for the branch, or creates it, and makes it say what it should.
func (c *controller) request(ctx context.Context, r *run, d *desk) error {
	if r.found.report == nil {
		return c.startOver(r, "what the pull request says has to be found out again", nil)
	}
	draft, err := c.draft(ctx, r)
	if err != nil {
		return err
	}
	open, err := d.open(ctx)
	if err != nil {
		return err
	}
	mine := r.pick(open, draft.Base)
	if mine == nil {
		if mine, err = c.start(ctx, r, d, draft); err != nil || mine == nil {
			return err
		}
	} else if mine, err = c.update(ctx, r, d, mine, draft); err != nil {
		return err
	}
	return c.closeDuplicates(ctx, r, d, mine, open)
}

// start creates a request. What was not pushed lately may have been proposed and merged before: then the branch is made anew, as a request
// for it would be empty, or refused for that.
func (c *controller) start(ctx context.Context, r *run, d *desk, draft forge.Draft) (*forge.Request, error) {
	if r.obj.Status.LastPushedCommit != hex(r.found.commit) {
		if err := c.renew(ctx, r); err != nil {
			return nil, err
		}
	}
	made, err := c.create(ctx, r, d, draft)
	if !errors.Is(err, forge.ErrNoChanges) {
		return made, err
	}
	if err := c.renew(ctx, r); err != nil {
		return nil, err
	}
	return nil, lifecycle.Fail(v1alpha1.CreatePullRequestFailedReason, fmt.Errorf(
		"branch %s holds other files than branch %s, and the forge finds nothing in it to merge: delete branch %s, so that it is made anew: %w", draft.Head, draft.Base, draft.Head, err))
}

// renew sees to it that a commit of ours stands on what the base is now. It returns nil if there is nothing to be done for that.
func (c *controller) renew(ctx context.Context, r *run) error {
	if r.fresh {
		return nil
	}
	r.fresh, r.found = true, nil
	if err := c.push(ctx, r); err != nil {
		return err
	}
	if r.found.delivered {
		return c.startOver(r, "branch "+r.obj.PullRequestBase()+" holds the content by now", nil)
	}
	return nil
}

// owns tells whether a request was made by this object: it is the one that the status names, or says so itself.
func (r *run) owns(request *forge.Request) bool {
	if known := r.obj.Status.PullRequest; known != nil && known.Number == request.Number {
		return true
	}
	namespace, name, marked := message.ParseMarker(request.Body)
	return marked && namespace == r.obj.Namespace && name == r.obj.Name
}

// pick returns the first request for a base, if possible one of ours, or nil.
func (r *run) pick(open []forge.Request, base string) *forge.Request {
	var first *forge.Request
	for i := range open {
		switch {
		case open[i].Base != base:
		case r.owns(&open[i]):
			return &open[i]
		case first == nil:
			first = &open[i]
		}
	}
	return first
}

// draft says what the request should look like.
func (c *controller) draft(ctx context.Context, r *run) (forge.Draft, error) {
	template := v1alpha1.PullRequestTemplate{}
	if r.obj.Spec.PullRequestTemplate != nil {
		template = *r.obj.Spec.PullRequestTemplate
	}
	title, err := message.Title(template.Title, r.found.data)
	if err != nil {
		return forge.Draft{}, templateVerdict(err)
	}
	report := *r.found.report
	report.Signatures = c.signatures(ctx, r)
	body, err := message.Body(template.Description, r.found.data, report)
	if err != nil {
		return forge.Draft{}, templateVerdict(err)
	}
	return forge.Draft{Title: title, Body: body, Head: r.obj.TargetBranch(), Base: r.obj.PullRequestBase(), Labels: template.Labels}, nil
}

// signatures are the names of those that were verified on the versions that the content came from.
func (c *controller) signatures(ctx context.Context, r *run) []string {
	var names []string
	for _, origin := range r.content.Origins {
		cv := &v1alpha1.ComponentVersion{}
		err := c.reader.Get(ctx, types.NamespacedName{Namespace: origin.Namespace, Name: origin.Name}, cv)
		if err != nil || !origin.Verified || cv.Status.ReconciledVersion != origin.Version {
			continue // one that has moved on says nothing about what the content came from
		}
		for _, signature := range cv.Status.Signatures {
			names = append(names, signature.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// create opens the request. One that was opened by somebody else in between is taken.
func (c *controller) create(ctx context.Context, r *run, d *desk, draft forge.Draft) (*forge.Request, error) {
	made, err := d.create(ctx, draft)
	if errors.Is(err, forge.ErrExists) && made == nil {
		open, lookErr := d.open(ctx)
		if mine := r.pick(open, draft.Base); lookErr == nil && mine != nil {
			return c.update(ctx, r, d, mine, draft)
		}
		return nil, lifecycle.Retry(v1alpha1.CreatePullRequestFailedReason, errors.Join(err, lookErr))
	}
	if made == nil {
		return nil, err
	}
	r.proposed(made)
	r.events.Normal(r.obj, meta.ProgressingReason, strings.TrimSuffix(fmt.Sprintf("Created pull request #%d: %s", made.Number, made.URL), ": "))
	return made, err
}

// update gives a request that is there what it should have.
func (c *controller) update(ctx context.Context, r *run, d *desk, mine *forge.Request, draft forge.Draft) (*forge.Request, error) {
	before := r.obj.Status.PullRequest
	r.proposed(mine)
	if before == nil || before.Number != mine.Number {
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Found pull request #%d of branch %s", mine.Number, draft.Head))
	}
	if !forge.Differs(mine, draft) {
		return mine, nil
	}
	updated, err := d.update(ctx, mine.Number, draft)
	if err != nil {
		return mine, err
	}
	r.proposed(updated)
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Updated pull request #%d for version %s", updated.Number, r.content.Version))
	return updated, nil
}

// proposed writes down the request for what is proposed now.
func (r *run) proposed(request *forge.Request) {
	r.obj.Status.PullRequest = &v1alpha1.PullRequestStatus{
		Number: request.Number, URL: request.URL, State: string(request.State), Head: request.Head, Base: request.Base,
		Digest: r.content.ManifestDigest, Tree: hex(r.found.content), HeadCommit: r.headOf(request), MergeCommit: request.MergeCommit,
	}
}

// closeDuplicates closes what this object has proposed besides, as before its base was changed. What people have proposed from the branch
// is theirs.
func (c *controller) closeDuplicates(ctx context.Context, r *run, d *desk, mine *forge.Request, open []forge.Request) error {
	for i := range open {
		other := &open[i]
		if other.Number == mine.Number || !r.owns(other) {
			continue
		}
		if err := d.close(ctx, other.Number, fmt.Sprintf("It is superseded by #%d.", mine.Number)); err != nil {
			return err
		}
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d: it is superseded by #%d", other.Number, mine.Number))
	}
	return nil
}
