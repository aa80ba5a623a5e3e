package gitsync

import "github.com/go-git/go-git/v5/plumbing"

// branch is a branch as it was found, and what it would be with the content in its folder.
type branch struct {
	name string
	// commit is its tip, and parent what that was made upon; zero if there is none, or more than one.
	commit, parent plumbing.Hash
	// root is the tree of the tip, and folder the one in it that the content goes to; zero if there is none.
	root, folder plumbing.Hash
	// wantedRoot and wantedFolder are the same with the content in them.
	wantedRoot, wantedFolder plumbing.Hash
	// mark is what the tip says of itself if this object has made it, and nobody has changed it since.
	mark *mark
	// merged is set if a pull request was merged whose last commit is the tip: everything on it is in another branch.
	merged bool
}

// holds tells whether the branch has the content.
func (b *branch) holds() bool { return b.root == b.wantedRoot }

// mark is what a commit of ours says of itself in its trailers.
type mark struct {
	// base is the commit of another branch that it was made upon, zero if it was made upon something else. baseFolder is what the folder
	// was there, and baseBranch the name of that branch.
	base, baseFolder plumbing.Hash
	baseBranch       string
}

// single tells whether a branch is nothing but one commit of ours upon the base branch, so that nobody loses anything when it is
// replaced.
func (b *branch) single() bool {
	return b.mark != nil && !b.mark.base.IsZero() && b.mark.base == b.parent
}

// scene is what is there when it has to be decided what is pushed.
type scene struct {
	// target is the branch that is pushed to; nil if it doesn't exist.
	target *branch
	// base is the branch that content is built upon; nil if it doesn't exist. It is the same as target if direct is set.
	base   *branch
	direct bool
	// proposed is the branch that pull requests are for, mostly base; nil if it doesn't exist, or without pull requests.
	proposed *branch
	// proposes is set with pull requests, whose branch is ours to make anew. Without them others may follow the branch, and it only grows.
	proposes bool
	// empty is set for a repository without branches, and emptyRoot is what its first commit would hold.
	empty     bool
	emptyRoot plumbing.Hash
	// refuse leaves alone what others have changed, and touched tells whether they have changed the folder of target.
	refuse, touched bool
	// fresh wants the branch to stand on what the base is now, as there may be nothing left in it to propose.
	fresh bool
}

// action is what comes of a scene.
type action int

const (
	// keep: the branch is as it should be.
	keep action = iota
	// commit: the content is committed and pushed.
	commit
	// begin: the branch is made where the base branch is, which has the content.
	begin
	// foreign: others have changed the branch, which is left alone.
	foreign
	// noBase: the base branch doesn't exist.
	noBase
	// noProposed: the branch that pull requests are for doesn't exist.
	noProposed
	// noCommits: there is no commit yet to propose anything to.
	noCommits
)

// plan is what is to be done.
type plan struct {
	action action
	// delivered is set if the branch that pull requests are for holds the content: there is nothing to propose.
	delivered bool
	// parent is what the commit is made upon, zero for the first one of a repository, and root is its tree.
	parent, root plumbing.Hash
	// old is what the branch has to be when it is changed; zero is none.
	old plumbing.Hash
	// base is the commit that nothing but ours will lie upon, if that may be replaced later; baseFolder is the folder there, and baseBranch
	// the name of its branch.
	base, baseFolder plumbing.Hash
	baseBranch       string
}

// decide says what is to be done. Nothing that others have pushed is ever taken from a branch: only a single commit of ours, or what was
// merged elsewhere, is replaced, and only if the server still has it at the tip.
func decide(s scene) plan {
	if s.direct || !s.proposes {
		return decideGrowing(s)
	}
	switch {
	case s.empty:
		return plan{action: noCommits}
	case s.base == nil:
		return plan{action: noBase}
	case s.proposed == nil:
		return plan{action: noProposed}
	case s.proposed.holds():
		return plan{action: keep, delivered: true}
	}
	ground := s.ground()
	switch {
	case s.target == nil:
		return upon(ground, plumbing.ZeroHash)
	case s.target.single(), s.target.merged, s.target.commit == ground.commit:
		if s.upToDate(ground) {
			return plan{action: keep}
		}
		return upon(ground, s.target.commit)
	case s.target.holds():
		return plan{action: keep}
	case s.refuse && s.target.mark == nil:
		return plan{action: foreign}
	}
	return s.onTop()
}

// decideGrowing decides for a branch that others follow: whatever it has stays in its history.
func decideGrowing(s scene) plan {
	switch {
	case s.target != nil && s.target.holds():
		return plan{action: keep}
	case s.target != nil && s.refuse && s.touched:
		return plan{action: foreign}
	case s.target != nil:
		return s.onTop()
	case s.direct && s.empty:
		return plan{action: commit, root: s.emptyRoot}
	case s.empty:
		return plan{action: noCommits}
	case s.direct, s.base == nil:
		return plan{action: noBase}
	case s.base.holds():
		return plan{action: begin, parent: s.base.commit, root: s.base.root}
	}
	return plan{action: commit, parent: s.base.commit, root: s.base.wantedRoot}
}

// ground is the branch that a commit to be proposed stands on: the base branch, unless that has the content already and another one is to
// get it.
func (s scene) ground() *branch {
	if s.base.holds() {
		return s.proposed
	}
	return s.base
}

// upToDate tells whether our single commit needs not be made anew: it holds the content, and the folder is at the same base branch what
// it was when it was made. After it was merged, and the merge undone, that says nothing: then there is nothing in it to be merged again.
func (s scene) upToDate(ground *branch) bool {
	switch t := s.target; {
	case !t.single(), t.folder != ground.wantedFolder:
		return false
	case t.parent == ground.commit:
		return t.root == ground.wantedRoot
	case t.merged, s.fresh:
		return false
	default:
		return t.mark.baseBranch == ground.name && t.mark.baseFolder == ground.folder
	}
}

// upon builds upon another branch, in place of what target has.
func upon(ground *branch, old plumbing.Hash) plan {
	return plan{
		action: commit, parent: ground.commit, root: ground.wantedRoot, old: old,
		base: ground.commit, baseFolder: ground.folder, baseBranch: ground.name,
	}
}

// onTop builds upon what target has.
func (s scene) onTop() plan {
	return plan{action: commit, parent: s.target.commit, root: s.target.wantedRoot, old: s.target.commit}
}
