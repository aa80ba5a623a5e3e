package gitsync

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// engine changes when the same content would be pushed as something else.
const engine = "gitsync/v1"

// heedRequest remembers that what others have declined is to be proposed again: the annotation that asks for it counts as handled however
// this reconciliation ends. A request that was not known to be closed was not declined for who has asked: web hooks ask when one is closed.
func (c *controller) heedRequest(_ context.Context, r *run) error {
	request := r.obj.Status.PullRequest
	asked, ok := meta.ReconcileAnnotationValue(r.obj.GetAnnotations())
	if !ok || asked == r.obj.Status.GetLastHandledReconcileRequest() || request == nil || request.State != v1alpha1.PullRequestClosed {
		return nil
	}
	// Its branch may have to be pushed again, too.
	request.Tree, r.obj.Status.Fingerprint = "", ""
	c.memory.forget(r.key())
	return nil
}

// look lists the branches, and finds out whether there is anything new.
func (c *controller) look(ctx context.Context, r *run) error {
	r.found, r.recorded = nil, false
	bounded, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	refs, err := r.repository.Refs(bounded)
	if err != nil {
		return fetchVerdict(err)
	}
	fingerprint, err := r.fingerprint()
	if err != nil {
		return err
	}
	r.world = world{
		uid: r.obj.UID, fingerprint: fingerprint, repository: address(r.location), empty: refs.Empty,
		target: refs.Branches[r.obj.TargetBranch()], base: refs.Branches[r.obj.BaseBranch()],
	}
	if r.proposes() {
		r.world.proposed = refs.Branches[r.obj.PullRequestBase()]
	}
	r.world.settle(r)
	r.recorded = r.obj.Status.Fingerprint == fingerprint && r.obj.Status.RepositoryURL == r.world.repository
	if r.found = c.memory.recall(r.key(), r.world); r.found == nil && r.recorded {
		r.found = r.remembered()
	}
	return nil
}

// fingerprint is a digest of the spec, without what says when it is looked at, and of the content.
func (r *run) fingerprint() (string, error) {
	spec := r.obj.Spec.DeepCopy()
	spec.Schedule = v1alpha1.Schedule{}
	return source.Fingerprint(engine, spec, r.content.ManifestDigest, r.content.Version, r.content.Origins)
}

// remembered is what the status says about a world that is still the same.
func (r *run) remembered() *finding {
	status := r.obj.Status
	commit, base := plumbing.NewHash(status.Commit), plumbing.NewHash(status.BaseCommit)
	found := &finding{branch: status.Branch, commit: commit, folder: plumbing.NewHash(status.Tree)}
	switch {
	case commit.IsZero():
		return nil
	case status.Branch == r.obj.TargetBranch() && commit == r.world.target && (!r.rebuilds() || base == r.world.base) && !r.elsewhere():
		return found
	case r.proposes() && status.Branch == r.obj.PullRequestBase() && commit == r.world.proposed:
		found.delivered = true
		return found
	}
	return nil
}

// elsewhere tells whether pull requests are for another branch than the one that is built upon, of which the status says nothing.
func (r *run) elsewhere() bool { return r.proposes() && r.obj.PullRequestBase() != r.obj.BaseBranch() }

// errLookAgain says that the repository is not what it was when it was looked at.
var errLookAgain = errors.New("the repository has changed meanwhile")
