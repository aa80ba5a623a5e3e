package gitsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// usualSettling is the default of Options.Settling.
const usualSettling = 5 * time.Second

// propose sees to it that the branch is proposed once, and finds out what became of that.
func (c *controller) propose(ctx context.Context, r *run) error {
	defer func() { c.metrics.state(r.key(), r.obj) }()
	if !r.proposes() && !r.hasOpen() {
		return nil
	}
	if !r.proposes() && !r.hasForge() {
		r.events.Warning(r.obj, v1alpha1.CreatePullRequestFailedReason, fmt.Sprintf("Pull request #%d is left open: spec.repository.provider names no forge any more", r.obj.Status.PullRequest.Number))
		r.obj.Status.PullRequest = nil
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
	defer cancel()
	d, err := c.desk(r, r.obj.Spec.Repository.URL)
	if err != nil {
		return err
	}
	defer d.leave()
	if err := c.supersede(ctx, r, d); err != nil {
		return c.forgeVerdict(r, err)
	}
	switch {
	case !r.proposes():
		return nil
	case r.found.delivered:
		err = c.settle(ctx, r, d)
	default:
		err = c.follow(ctx, r, d)
	}
	return c.forgeVerdict(r, err)
}

// hasOpen tells whether the status names a request that was open.
func (r *run) hasOpen() bool {
	request := r.obj.Status.PullRequest
	return request != nil && request.State == v1alpha1.PullRequestOpen
}

// hasForge tells whether the spec says which forge has the requests.
func (r *run) hasForge() bool {
	provider := r.obj.Spec.Repository.Provider
	return provider != "" && provider != v1alpha1.GitProvider
}

// supersede closes a request that the spec no longer wants: that of another branch, or any. One for another base is replaced when there
// is one for this, and named in the comment, unless this base needs none.
func (c *controller) supersede(ctx context.Context, r *run, d *desk) error {
	request := r.obj.Status.PullRequest
	switch {
	case request == nil, r.proposes() && request.Head == r.obj.TargetBranch() && request.Base == r.obj.PullRequestBase():
		return nil
	case request.State != v1alpha1.PullRequestOpen:
		if r.proposes() {
			r.obj.Status.PullRequest = nil // what became of another proposal says nothing about this one
		}
		return nil
	case r.proposes() && request.Head == r.obj.TargetBranch() && !r.found.delivered:
		r.obj.Status.PullRequest = nil // it is found again, and closed when there is one for the other base
		return nil
	}
	why := "It is superseded: pull requests of this object are made from branch `" + r.obj.TargetBranch() + "` now."
	switch {
	case !r.proposes():
		why = "It is superseded: this object makes no pull requests any more."
	case request.Head == r.obj.TargetBranch():
		why = elsewhereNow(r)
	}
	if err := d.close(ctx, request.Number, why); err != nil && !errors.Is(err, errGone) {
		return err
	}
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d: it is superseded", request.Number))
	request.State, request.Tree = v1alpha1.PullRequestClosed, ""
	if r.proposes() {
		r.obj.Status.PullRequest = nil
	}
	return nil
}

// elsewhereNow says why a request is closed that is for another base than the one that has the content.
func elsewhereNow(r *run) string {
	return "It is superseded: this object proposes to branch `" + r.obj.PullRequestBase() + "` now, which holds the content already."
}

// settle is for content that is in the base branch: its request was merged, or has nothing left to change.
func (c *controller) settle(ctx context.Context, r *run, d *desk) error {
	if err := c.adopt(ctx, r, d); err != nil || !r.hasOpen() {
		return err
	}
	known := r.obj.Status.PullRequest
	got, err := d.get(ctx, known.Number)
	if errors.Is(err, errGone) {
		r.obj.Status.PullRequest = nil
		return nil
	}
	if err != nil {
		return err
	}
	if c.observe(r, got); got.State != forge.Open {
		return nil
	}
	if left := c.settling - c.now().Sub(c.memory.settledSince(r.key(), c.now())); left > 0 {
		return lifecycle.Wait(meta.ProgressingReason, left, fmt.Errorf("branch %s holds what pull request #%d proposes; waiting until it is merged, or to close it", known.Base, known.Number))
	}
	if err := d.close(ctx, known.Number, "There is nothing left to change: branch `"+known.Base+"` holds the content already."); err != nil {
		return err
	}
	known.State, known.Tree = v1alpha1.PullRequestClosed, ""
	r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d: branch %s holds the content already", known.Number, known.Base))
	return nil
}

// adopt finds what was created by a process which could not write that down, and closes what is for another base. What people have proposed
// from the branch is theirs.
func (c *controller) adopt(ctx context.Context, r *run, d *desk) error {
	if r.recorded || r.obj.Status.PullRequest != nil || r.world.target.IsZero() {
		return nil
	}
	open, err := d.open(ctx)
	if err != nil {
		return err
	}
	for i := range open {
		switch request := &open[i]; {
		case !r.owns(request):
		case request.Base != r.obj.PullRequestBase():
			if err := d.close(ctx, request.Number, elsewhereNow(r)); err != nil {
				return err
			}
			r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Closed pull request #%d: it is superseded", request.Number))
		case r.obj.Status.PullRequest == nil:
			r.proposed(request)
		}
	}
	return nil
}

// refresh finds out what became of an open request before its branch is pushed to: what was merged with it is nobody's to lose any more, and
// who closes one often deletes the branch with it. As long as there is a branch, a forge that can't be asked delays nothing.
func (c *controller) refresh(ctx context.Context, r *run) error {
	if !r.hasOpen() || !r.proposes() || r.obj.Status.PullRequest.Head != r.obj.TargetBranch() {
		return nil
	}
	err := c.ask(ctx, r)
	switch {
	case err != nil && r.world.target.IsZero():
		return c.forgeVerdict(r, err)
	case err != nil:
		logf.FromContext(ctx).V(1).Info("The pull request is not looked at before the push", "number", r.obj.Status.PullRequest.Number, "error", err.Error())
	case r.obj.Status.PullRequest.State == v1alpha1.PullRequestMerged:
		// The branches were listed before: what was merged may be in the base branch by now.
		return fmt.Errorf("%w: pull request #%d was merged", errLookAgain, r.obj.Status.PullRequest.Number)
	}
	return nil
}

// ask observes the request that the status names, if it exists.
func (c *controller) ask(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
	defer cancel()
	d, err := c.desk(r, r.obj.Spec.Repository.URL)
	if err != nil {
		return err
	}
	defer d.leave()
	got, err := d.get(ctx, r.obj.Status.PullRequest.Number)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	c.observe(r, got)
	return nil
}

// follow is for content that has to be proposed, or that was.
func (c *controller) follow(ctx context.Context, r *run, d *desk) error {
	known := r.obj.Status.PullRequest
	if known != nil && known.State != v1alpha1.PullRequestMerged {
		got, err := d.get(ctx, known.Number)
		switch {
		case errors.Is(err, errGone) && r.declined():
			return r.closed() // who removes what was declined does not ask for it
		case errors.Is(err, errGone):
			return c.startOver(r, fmt.Sprintf("pull request #%d does not exist any more", known.Number), func() { r.obj.Status.PullRequest = nil })
		case err != nil:
			return err
		}
		switch c.observe(r, got); got.State {
		case forge.Merged:
			// The branches were listed before. What was merged may be in the base branch by now.
			return c.startOver(r, fmt.Sprintf("pull request #%d was merged, comparing branch %s again", known.Number, known.Base), nil)
		case forge.Closed:
			if r.declined() {
				return r.closed()
			}
			return c.request(ctx, r, d)
		default:
			if r.recorded {
				return nil
			}
		}
	}
	return c.request(ctx, r, d)
}

// declined tells whether the same content was proposed by the request that others have closed, and nobody has asked for it since.
func (r *run) declined() bool {
	known := r.obj.Status.PullRequest
	if known == nil || known.State != v1alpha1.PullRequestClosed || known.Tree == "" {
		return false
	}
	if known.Head != r.obj.TargetBranch() || known.Base != r.obj.PullRequestBase() || !r.proposes() {
		return false
	}
	return known.Digest == r.content.ManifestDigest || known.Tree == hex(r.found.content)
}

// closed is the verdict on what was declined.
func (r *run) closed() error {
	return lifecycle.Stall(v1alpha1.PullRequestClosedReason, fmt.Errorf(
		"pull request #%d was closed without being merged, so the same content is not proposed again: reopen it, or annotate the GitSync with %s to have it proposed anew",
		r.obj.Status.PullRequest.Number, meta.ReconcileRequestAnnotation))
}

// observe writes down what became of a request.
func (c *controller) observe(r *run, got *forge.Request) {
	known := r.obj.Status.PullRequest
	before := known.State
	known.State, known.MergeCommit = string(got.State), got.MergeCommit
	if got.URL != "" {
		known.URL = got.URL
	}
	known.HeadCommit = r.headOf(got)
	if before == known.State {
		return
	}
	switch got.State {
	case forge.Merged:
		said := fmt.Sprintf("Pull request #%d was merged", got.Number)
		if got.MergeCommit != "" {
			said += " as " + short(got.MergeCommit)
		}
		r.events.Normal(r.obj, meta.ProgressingReason, said)
	case forge.Closed:
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Pull request #%d was closed by others without being merged", got.Number))
	default:
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Pull request #%d was opened again", got.Number))
	}
}

// headOf returns the commit that a request had at its end, or has. Gitea says where the branch is now, also of a request that was merged
// before somebody has pushed to it; there it is what the branch was when the request was seen to be open.
func (r *run) headOf(got *forge.Request) string {
	switch {
	case got.State == forge.Open && !r.world.target.IsZero():
		return hex(r.world.target)
	case got.State == forge.Merged && got.HeadCommit != "" && r.obj.Spec.Repository.Provider != forge.Gitea:
		return got.HeadCommit
	case r.obj.Status.PullRequest != nil && r.obj.Status.PullRequest.Number == got.Number:
		return r.obj.Status.PullRequest.HeadCommit
	}
	return ""
}

// startOver forgets what is known, so that everything is found out anew, at once, after the status was written.
func (c *controller) startOver(r *run, why string, change func()) error {
	if change != nil {
		change()
	}
	c.memory.forget(r.key())
	r.obj.Status.Fingerprint = ""
	return lifecycle.Within(atOnce, lifecycle.Busy(meta.ProgressingReason, errors.New(why)))
}
