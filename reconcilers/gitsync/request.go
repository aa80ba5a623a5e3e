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
	open, err := d.open(ctx, draft.Head)
	if err != nil {
		return err
	}
	mine := pick(open, draft.Base)
	if mine == nil {
		if mine, err = c.create(ctx, r, d, draft); err != nil || mine == nil {
			return err
		}
	} else if mine, err = c.update(ctx, r, d, mine, draft); err != nil {
		return err
	}
	return c.closeDuplicates(ctx, r, d, mine, open)
}

// pick returns the first request for a base, or nil.
func pick(open []forge.Request, base string) *forge.Request {
	for i := range open {
		if open[i].Base == base {
			return &open[i]
		}
	}
	return nil
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
		open, lookErr := d.open(ctx, draft.Head)
		if mine := pick(open, draft.Base); lookErr == nil && mine != nil {
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
		Digest: r.content.ManifestDigest, Tree: hex(r.found.content), MergeCommit: request.MergeCommit,
	}
}

// closeDuplicates closes what this object has proposed besides, as before its base was changed. What people have proposed from the branch
// to another one is theirs.
func (c *controller) closeDuplicates(ctx context.Context, r *run, d *desk, mine *forge.Request, open []forge.Request) error {
	for i := range open {
		other := &open[i]
		namespace, name, marked := message.ParseMarker(other.Body)
		ours := marked && namespace == r.obj.Namespace && name == r.obj.Name
		if other.Number == mine.Number || !ours && other.Base != mine.Base {
			continue
		}
		if err := d.close(ctx, other.Number, fmt.Sprintf("It is superseded by #%d.", mine.Number)); err != nil {
			return err
		}
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d: it is superseded by #%d", other.Number, mine.Number))
	}
	return nil
}
