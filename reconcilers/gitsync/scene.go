package gitsync

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

// bench is what is needed while a commit is put together: the pack that it goes into, and what was fetched. It is cleared whatever
// comes of it.
type bench struct {
	*pack.Writer

	fetched map[plumbing.Hash]*remote.Store
	order   []*remote.Store
}

func (c *controller) newBench() (*bench, error) {
	w, err := pack.New(c.tempDir, c.maxBytes)
	if err != nil {
		return nil, err
	}
	b := &bench{Writer: w, fetched: map[plumbing.Hash]*remote.Store{}}
	w.SetKnown(b.known)
	return b, nil
}

// Close removes what was fetched and written.
func (b *bench) Close() error {
	errs := []error{b.Writer.Close()}
	for _, store := range b.order {
		errs = append(errs, store.Close())
	}
	return errors.Join(errs...)
}

// known tells whether the repository has an object.
func (b *bench) known(h plumbing.Hash) bool {
	for _, store := range b.order {
		if store.Has(h) {
			return true
		}
	}
	return false
}

// Tree returns a tree that was written or fetched.
func (b *bench) Tree(ctx context.Context, h plumbing.Hash) ([]object.TreeEntry, error) {
	entries, err := b.Writer.Tree(ctx, h)
	for _, store := range b.order {
		if !errors.Is(err, pack.ErrNotFound) && !errors.Is(err, remote.ErrNoSuchObject) {
			break
		}
		entries, err = store.Tree(ctx, h)
	}
	return entries, err
}

// Blob returns a file that was written, or that the repository has.
func (b *bench) Blob(ctx context.Context, h plumbing.Hash, limit int64) ([]byte, error) {
	content, err := b.Content(h, limit)
	for _, store := range b.order {
		if !errors.Is(err, pack.ErrNotFound) && !errors.Is(err, remote.ErrNoSuchObject) {
			break
		}
		content, err = store.Blob(ctx, h, limit)
	}
	return content, err
}

// fetch gets the commit at the tip of a branch, once.
func (c *controller) fetch(ctx context.Context, r *run, b *bench, tip plumbing.Hash) error {
	if b.fetched[tip] != nil {
		return nil
	}
	store, err := r.repository.Fetch(ctx, tip)
	if err != nil {
		return err
	}
	c.metrics.fetched(store.Size())
	b.fetched[tip] = store
	b.order = append(b.order, store)
	return nil
}

// fetchAll gets the tips of all branches that matter.
func (c *controller) fetchAll(ctx context.Context, r *run, b *bench) error {
	for _, tip := range []plumbing.Hash{r.world.target, r.world.base, r.world.proposed} {
		if tip.IsZero() {
			continue
		}
		if err := c.fetch(ctx, r, b, tip); err != nil {
			return fetchVerdict(err)
		}
	}
	return nil
}

// survey finds out what the branches are, and would be with the content in them. Everything was fetched before.
func (c *controller) survey(ctx context.Context, r *run, b *bench, content plumbing.Hash) (scene, error) {
	s := scene{
		direct: r.direct(), proposes: r.proposes(), empty: r.world.empty, fresh: r.fresh,
		refuse: r.obj.Spec.ConflictPolicy == v1alpha1.ConflictRefuse,
	}
	var err error
	if s.direct && s.empty {
		s.emptyRoot, err = c.graft(ctx, r, b, plumbing.ZeroHash, content)
		return s, err
	}
	if s.target, err = c.branch(ctx, r, b, r.obj.TargetBranch(), r.world.target, content); err != nil {
		return s, err
	}
	if s.target != nil {
		s.target.merged = r.merged(s.target.commit)
	}
	if s.touched, err = c.touched(ctx, r, b, s.target); err != nil || s.direct {
		return s, err
	}
	if s.base, err = c.branch(ctx, r, b, r.obj.BaseBranch(), r.world.base, content); err != nil || !s.proposes {
		return s, err
	}
	s.proposed, err = c.branch(ctx, r, b, r.obj.PullRequestBase(), r.world.proposed, content)
	return s, err
}

// merged tells whether the pull request that the status names was merged when the branch was at a commit.
func (r *run) merged(tip plumbing.Hash) bool {
	request := r.obj.Status.PullRequest
	return r.proposes() && request != nil && request.State == v1alpha1.PullRequestMerged && request.HeadCommit == tip.String() &&
		request.Head == r.obj.TargetBranch() && request.Base == r.obj.PullRequestBase()
}

func (c *controller) graft(ctx context.Context, r *run, b *bench, root, content plumbing.Hash) (plumbing.Hash, error) {
	return tree.Graft(ctx, b.Writer, b, root, r.subPath, content, r.obj.Spec.Prune)
}

// branch returns a branch by its tip, or nil for none.
func (c *controller) branch(ctx context.Context, r *run, b *bench, name string, tip, content plumbing.Hash) (*branch, error) {
	if tip.IsZero() {
		return nil, nil //nolint:nilnil // documented
	}
	commit, err := b.fetched[tip].Commit(ctx, tip)
	if err != nil {
		return nil, err
	}
	found := &branch{name: name, commit: tip, root: commit.TreeHash, mark: r.markOf(commit)}
	if len(commit.ParentHashes) == 1 {
		found.parent = commit.ParentHashes[0]
	}
	if found.folder, err = tree.At(ctx, b, found.root, r.subPath); err != nil {
		return nil, err
	}
	if found.wantedRoot, err = c.graft(ctx, r, b, found.root, content); err != nil {
		return nil, err
	}
	found.wantedFolder, err = tree.At(ctx, b, found.wantedRoot, r.subPath)
	return found, err
}

// maxCompared bounds how many files are listed to find out what others have changed.
const maxCompared = 10_000

// touched tells whether others have changed the folder of the branch since this object has seen it in order. Files that they have added
// matter with prune only, which would remove them.
func (c *controller) touched(ctx context.Context, r *run, b *bench, target *branch) (bool, error) {
	status := r.obj.Status
	before := plumbing.NewHash(status.Tree)
	switch {
	case r.rebuilds(), target == nil, status.Commit == "", status.RepositoryURL != r.world.repository, status.Branch != r.obj.TargetBranch(), status.SubPath != r.subPath:
		return false, nil
	case target.mark != nil, target.folder == before, target.commit.String() == status.Commit:
		return false, nil
	case r.obj.Spec.Prune:
		return true, nil
	}
	if err := c.fetch(ctx, r, b, plumbing.NewHash(status.Commit)); err != nil {
		// Servers need not give commits that no branch is at; then all that is known is that the folder is another.
		return true, unlessGone(err)
	}
	changes, err := tree.Diff(ctx, b, before, target.folder, maxCompared)
	return len(changes.Modified)+len(changes.Removed) > 0 || changes.Total > len(changes.Added), err
}

func unlessGone(err error) error {
	if errors.Is(err, remote.ErrNoSuchCommit) {
		return nil
	}
	return fetchVerdict(err)
}
