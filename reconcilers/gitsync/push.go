package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// maxTries bounds how often it is looked again because others push at the same time.
	maxTries = 5
	// atOnce is when an object is looked at again whose status has to be written in between.
	atOnce = time.Millisecond
)

// push sees to it that a branch has the content, if that is not known already.
func (c *controller) push(ctx context.Context, r *run) error {
	for try := 1; r.found == nil; try++ {
		if err := c.memory.refusal(r.key(), r.world); err != nil {
			return err
		}
		err := c.deliver(ctx, r)
		if err == nil {
			c.memory.remember(r.key(), r.world, r.found)
			break
		}
		if !errors.Is(err, errLookAgain) {
			c.memory.refuse(r.key(), r.world, err)
			return err
		}
		if try == maxTries {
			return lifecycle.Retry(v1alpha1.GitRepositoryPushFailedReason, fmt.Errorf("branch %s is changed by others all the time: %w", r.obj.TargetBranch(), err))
		}
		before := r.world.target
		if err := c.look(ctx, r); err != nil {
			return err
		}
		if errors.Is(err, remote.ErrInterrupted) && !c.arrived(r, before) {
			return lifecycle.Retry(v1alpha1.GitRepositoryPushFailedReason, err)
		}
	}
	if !r.found.pushed || !r.proposes() {
		return nil
	}
	// The status names the commit before the forge is asked: what comes of that neither loses nor repeats it.
	again := lifecycle.Busy(meta.ProgressingReason, fmt.Errorf("pushed %s to branch %s, the pull request comes next", short(r.found.commit.String()), r.found.branch))
	r.found.pushed = false
	c.memory.remember(r.key(), r.world, r.found)
	return lifecycle.Within(atOnce, again)
}

// arrived counts a push whose answer was lost, and tells whether the branch is another one than before.
func (c *controller) arrived(r *run, before plumbing.Hash) bool {
	switch r.world.target {
	case before:
		c.metrics.pushed(resultFailed)
	case r.made:
		c.metrics.pushed(resultPushed)
	default:
		c.metrics.pushed(resultMoved)
	}
	return r.world.target != before
}

// deliver looks at the branches, decides, and pushes. It returns errLookAgain if somebody else was faster.
func (c *controller) deliver(ctx context.Context, r *run) (err error) {
	b, err := c.newBench()
	if err != nil {
		return fmt.Errorf("make room for git objects in --git-temp-dir: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := c.refresh(ctx, r); err != nil {
		return err
	}
	if err := c.fetchAll(ctx, r, b); err != nil {
		return err
	}
	built, data, err := c.build(ctx, r, b.Writer)
	if err != nil {
		return err
	}
	s, err := c.survey(ctx, r, b, built.Tree)
	if err != nil {
		return contentVerdict(err)
	}
	p := decide(s)
	r.found = &finding{delivered: p.delivered, content: built.Tree, data: data}
	switch p.action {
	case keep:
		return c.kept(ctx, r, b, s)
	case commit, begin:
		if r.declined() {
			return nil // a branch that others have deleted with its pull request does not come back
		}
		return c.commit(ctx, r, b, s, p)
	default:
		return c.refused(r, p.action)
	}
}

// refused says why nothing is pushed.
func (c *controller) refused(r *run, why action) error {
	r.found = nil
	url := r.world.repository
	switch why {
	case noCommits:
		return lifecycle.Fail(v1alpha1.GitRepositoryFetchFailedReason, fmt.Errorf(
			"%s has no commit yet, so there is nothing to build branch %s upon: push a first commit to branch %s", url, r.obj.TargetBranch(), r.obj.BaseBranch()))
	case noBase:
		return lifecycle.Fail(v1alpha1.GitRepositoryFetchFailedReason, fmt.Errorf(
			"%s has no branch %s: create it, or name another one in spec.commitTemplate.baseBranch", url, r.obj.BaseBranch()))
	case noProposed:
		return lifecycle.Fail(v1alpha1.GitRepositoryFetchFailedReason, fmt.Errorf(
			"%s has no branch %s to propose anything to: create it, or name another one in spec.pullRequestTemplate.base", url, r.obj.PullRequestBase()))
	default:
		c.metrics.pushed(resultForeign)
		return lifecycle.Fail(v1alpha1.ForeignChangesReason, fmt.Errorf(
			"others have changed branch %s of %s, which spec.conflictPolicy Refuse leaves alone: take their changes back, or set it to Rebase, which puts the content on top of their commits",
			r.obj.TargetBranch(), url))
	}
}

// kept notes where the content is.
func (c *controller) kept(ctx context.Context, r *run, b *bench, s scene) error {
	holder := s.target
	if r.found.delivered {
		holder = s.proposed
	}
	r.found.branch, r.found.commit, r.found.folder = holder.name, holder.commit, holder.folder
	if !r.proposes() || r.found.delivered {
		return nil
	}
	return c.reportOn(ctx, r, b, s.proposed)
}

// commit makes the commit and pushes it.
func (c *controller) commit(ctx context.Context, r *run, b *bench, s scene, p plan) error {
	var err error
	if r.made = p.parent; p.action == commit {
		if r.made, err = c.writeCommit(r, b.Writer, p, r.found.data); err != nil {
			return err
		}
	}
	made := r.made
	folder, err := tree.At(ctx, b, p.root, r.subPath)
	if err != nil {
		return err
	}
	changed, err := c.changed(ctx, b, s, p)
	if err != nil {
		return err
	}
	if r.proposes() {
		if err := c.reportOn(ctx, r, b, s.proposed); err != nil {
			return err
		}
	}
	branch := r.obj.TargetBranch()
	err = r.repository.Push(ctx, remote.Update{
		Branch: branch, Old: p.old, New: made, Pack: func() (io.ReadCloser, int64, error) { return b.Reader(made) },
	})
	if errors.Is(err, remote.ErrMoved) {
		c.metrics.pushed(resultMoved)
		return fmt.Errorf("%w: %w", errLookAgain, err)
	}
	if errors.Is(err, remote.ErrInterrupted) && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", errLookAgain, err)
	}
	if err != nil {
		c.metrics.pushed(resultFailed)
		return pushVerdict(err)
	}
	c.metrics.pushed(resultPushed)
	r.found.pushed, r.found.branch, r.found.commit, r.found.folder = true, branch, made, folder
	r.pushed(p, c.now())
	r.events.Delivered(r.obj, delivered(r.obj), meta.ProgressingReason, fmt.Sprintf("Pushed %s to branch %s: version %s, %s",
		short(made.String()), branch, r.content.Version, files(changed)))
	return nil
}

// changed counts the files that a commit changes.
func (c *controller) changed(ctx context.Context, b *bench, s scene, p plan) (int, error) {
	from := plumbing.ZeroHash
	for _, known := range []*branch{s.target, s.base, s.proposed} {
		if known != nil && known.commit == p.parent {
			from = known.root
		}
	}
	changes, err := tree.Diff(ctx, b, from, p.root, 0)
	return changes.Total, err
}

func files(n int) string {
	if n == 1 {
		return "1 file changed"
	}
	return fmt.Sprintf("%d files changed", n)
}

// pushed writes down what has just been pushed. The world is what it is now; what else is to be said about it was not said yet.
func (r *run) pushed(p plan, now time.Time) {
	status, at := &r.obj.Status, metav1.NewTime(now)
	r.world.target = r.found.commit
	r.world.empty = false
	r.world.settle(r)
	r.note()
	status.BaseCommit = p.base.String()
	if p.base.IsZero() {
		status.BaseCommit = ""
	}
	status.LastPushedCommit, status.LastPushTime, status.Fingerprint = r.found.commit.String(), &at, ""
}

// note writes down which branch holds the content, and what that is.
func (r *run) note() {
	status := &r.obj.Status
	status.RepositoryURL, status.Branch, status.SubPath = r.world.repository, r.found.branch, r.subPath
	status.Commit, status.Tree = hex(r.found.commit), hex(r.found.folder)
	status.Digest, status.Version, status.Origins = r.content.ManifestDigest, r.content.Version, r.content.Origins
}

// hex writes a hash, which is nothing if it is zero.
func hex(h plumbing.Hash) string {
	if h.IsZero() {
		return ""
	}
	return h.String()
}
