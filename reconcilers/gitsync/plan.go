package gitsync

import "github.com/go-git/go-git/v5/plumbing"

// branch is a branch as it was found, and what it would be with the content in its folder.
type branch struct {
	// commit is its tip, and parent what that was made upon; zero if there is none, or more than one.
	commit, parent plumbing.Hash
	// root is the tree of the tip, and folder the one in it that the content goes to; zero if there is none.
	root, folder plumbing.Hash
	// wantedRoot and wantedFolder are the same with the content in them.
	wantedRoot, wantedFolder plumbing.Hash
	// mark is what the tip says of itself if this object has made it, and nobody has changed it since.
	mark *mark
}

// holds tells whether the branch has the content.
func (b *branch) holds() bool { return b.root == b.wantedRoot }

// mark is what a commit of ours says of itself in its trailers.
type mark struct {
	// base is the commit of the base branch that it was made upon, zero if it was made upon something else, and baseFolder
	// what the folder was there.
	base, baseFolder plumbing.Hash
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
	// proposes is set with pull requests.
	proposes bool
	// empty is set for a repository without branches, and emptyRoot is what its first commit would hold.
	empty     bool
	emptyRoot plumbing.Hash
	// refuse leaves alone what others have changed, and touched tells whether they have changed the folder of target.
	refuse, touched bool
}

// action is what comes of a scene.
type action int

const (
	// keep: the branch is as it should be.
	keep action = iota
	// commit: the content is committed and pushed.
	commit
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
	// base is the commit of the base branch, and baseFolder the folder there, if nothing but our commit will lie upon it.
	base, baseFolder plumbing.Hash
}

// decide says what is to be done. Nothing that others have pushed is ever taken from a branch: only a single commit of ours is
// replaced, and only if the server still has it at the tip.
func decide(s scene) plan {
	if s.direct {
		return decideDirect(s)
	}
	switch {
	case s.empty:
		return plan{action: noCommits}
	case s.base == nil:
		return plan{action: noBase}
	case s.proposes && s.proposed == nil:
		return plan{action: noProposed}
	case s.proposes && s.proposed.holds():
		return plan{action: keep, delivered: true}
	case s.target == nil && s.base.holds():
		return plan{action: keep, delivered: true}
	case s.target == nil:
		return s.upon(plumbing.ZeroHash)
	case s.target.single() && !s.base.holds():
		if s.upToDate() {
			return plan{action: keep}
		}
		return s.upon(s.target.commit)
	case s.target.holds():
		return plan{action: keep}
	case s.refuse && s.target.mark == nil:
		return plan{action: foreign}
	}
	return s.onTop()
}

// decideDirect decides for a branch that is pushed to and built upon.
func decideDirect(s scene) plan {
	switch {
	case s.target == nil && s.empty:
		return plan{action: commit, root: s.emptyRoot}
	case s.target == nil:
		return plan{action: noBase}
	case s.target.holds():
		return plan{action: keep}
	case s.refuse && s.touched:
		return plan{action: foreign}
	}
	return s.onTop()
}

// upToDate tells whether our single commit needs not be made anew: it holds the content, and the folder is at the base branch what it
// was when it was made.
func (s scene) upToDate() bool {
	if s.target.folder != s.base.wantedFolder {
		return false
	}
	if s.target.parent == s.base.commit {
		return s.target.root == s.base.wantedRoot
	}
	return s.target.mark.baseFolder == s.base.folder
}

// upon builds upon the base branch, in place of what target has.
func (s scene) upon(old plumbing.Hash) plan {
	return plan{action: commit, parent: s.base.commit, root: s.base.wantedRoot, old: old, base: s.base.commit, baseFolder: s.base.folder}
}

// onTop builds upon what target has. The commit is ours alone to replace only if that is what the base branch has, too.
func (s scene) onTop() plan {
	p := plan{action: commit, parent: s.target.commit, root: s.target.wantedRoot, old: s.target.commit}
	if !s.direct && s.target.commit == s.base.commit {
		p.base, p.baseFolder = s.base.commit, s.base.folder
	}
	return p
}
