package gitsync

import (
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
)

// h returns a hash that is told from others by a letter.
func h(letter byte) plumbing.Hash {
	return plumbing.NewHash(fmt.Sprintf("%040x", letter))
}

// at returns a branch whose root and folder are trees of those letters, and wants those of others.
func at(tip, tree, wanted byte) *branch {
	return &branch{commit: h(tip), root: h(tree), folder: h(tree), wantedRoot: h(wanted), wantedFolder: h(wanted)}
}

// ours makes the tip of a branch a commit of ours upon another one, which was the base if it says so.
func ours(b *branch, parent, base, baseFolder byte) *branch {
	b.parent, b.mark = h(parent), &mark{}
	if base != 0 {
		b.mark.base, b.mark.baseFolder = h(base), h(baseFolder)
	}
	return b
}

func TestDecide(t *testing.T) {
	t.Parallel()
	zero := plumbing.ZeroHash
	for name, test := range map[string]struct {
		scene  scene
		want   plan
		reason string
	}{
		"direct, empty repository": {
			scene{direct: true, empty: true, emptyRoot: h('w')},
			plan{action: commit, root: h('w')},
			"the first commit has no parent and creates the branch",
		},
		"direct, no branch": {scene{direct: true}, plan{action: noBase}, "a branch without any history is not made up beside others"},
		"direct, holds":     {scene{direct: true, target: at('T', 'w', 'w')}, plan{}, "equal trees need no commit"},
		"direct, other content": {
			scene{direct: true, target: at('T', 'o', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"a commit on top, and never a mark that it may be replaced",
		},
		"direct, others outside, refuse": {
			scene{direct: true, refuse: true, target: at('T', 'o', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"commits outside of the folder never matter",
		},
		"direct, others inside, refuse": {scene{direct: true, refuse: true, touched: true, target: at('T', 'o', 'w')}, plan{action: foreign}, "their change stays"},
		"direct, others inside, rebase": {
			scene{direct: true, touched: true, target: at('T', 'o', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"their commit stays in the history",
		},
		"direct, others inside with the same content": {scene{direct: true, refuse: true, touched: true, target: at('T', 'w', 'w')}, plan{}, "the folder holds the content again"},

		"request, empty repository": {scene{proposes: true, empty: true}, plan{action: noCommits}, "there is nothing to propose to"},
		"branch, empty repository":  {scene{empty: true}, plan{action: noCommits}, "there is nothing to build upon"},
		"request, no base":          {scene{proposes: true, target: at('T', 'w', 'w')}, plan{action: noBase}, "there is nothing to build upon"},
		"request, other base is missing": {
			scene{proposes: true, base: at('B', 'o', 'w')}, plan{action: noProposed}, "a request needs both branches",
		},
		"request, no target": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w')},
			plan{action: commit, parent: h('B'), root: h('w'), base: h('B'), baseFolder: h('o')},
			"made upon the base",
		},
		"request, base holds": {
			scene{proposes: true, base: at('B', 'w', 'w'), proposed: at('B', 'w', 'w')},
			plan{delivered: true},
			"nothing to propose, so no branch",
		},
		"request, base holds, stale target": {
			scene{proposes: true, base: at('B', 'w', 'w'), proposed: at('B', 'w', 'w'), target: ours(at('T', 'o', 'w'), 'A', 'A', 'o')},
			plan{delivered: true},
			"what is left of an old request is left alone",
		},
		"request for another branch that holds": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('P', 'w', 'w')}, plan{delivered: true}, "the branch of the request counts",
		},
		"branch, base holds, no target": {scene{base: at('B', 'w', 'w')}, plan{delivered: true}, "a branch without a difference is of no use"},
		"branch, base holds, stale target": {
			scene{base: at('B', 'w', 'w'), target: ours(at('T', 'o', 'w'), 'A', 'A', 'o')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"whoever follows the branch gets the content",
		},
		"ours, holds": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{},
			"nothing to do",
		},
		"ours, other content": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'v', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('T'), base: h('B'), baseFolder: h('o')},
			"our single commit is replaced, with a lease",
		},
		"ours, base moved elsewhere": {
			scene{proposes: true, base: at('C', 'o', 'w'), proposed: at('C', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{},
			"a request needs no new commit because of others' files",
		},
		"ours, base moved in the folder": {
			scene{proposes: true, base: at('C', 'p', 'w'), proposed: at('C', 'p', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('p')},
			"it would conflict",
		},
		"ours, more than the folder": {
			scene{
				base:   at('B', 'o', 'w'),
				target: ours(&branch{commit: h('T'), root: h('x'), folder: h('w'), wantedRoot: h('x'), wantedFolder: h('w')}, 'B', 'B', 'o'),
			},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('T'), base: h('B'), baseFolder: h('o')},
			"what an earlier subPath has left is removed",
		},
		"others on top, holds": {
			scene{proposes: true, refuse: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: at('T', 'w', 'w')},
			plan{},
			"the folder holds the content",
		},
		"others on top, rebase": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: at('T', 'v', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"never forced, and not ours to replace later",
		},
		"others on top, refuse": {
			scene{proposes: true, refuse: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: at('T', 'v', 'w')},
			plan{action: foreign},
			"left alone",
		},
		"ours on top of others, refuse": {
			scene{proposes: true, refuse: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'v', 'w'), 'S', 0, 0)},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"nobody has changed it since, and what is below stays",
		},
		"target begins at the base": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: at('B', 'o', 'w')},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('B'), base: h('B'), baseFolder: h('o')},
			"nothing of others is on it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decide(test.scene)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("%s\n%s", test.reason, diff)
			}
			if got.action == commit && got.old != zero && got.old != got.parent && !test.scene.target.single() {
				t.Error("a commit that is not ours alone would be lost")
			}
		})
	}
}

// TestDecideNeverLoses goes through all scenes of a few trees and commits: what is at the tip of a branch is built upon, unless it is a
// single commit of ours.
func TestDecideNeverLoses(t *testing.T) {
	t.Parallel()
	var targets []*branch
	for _, tip := range []byte("BT") {
		for _, tree := range []byte("ow") {
			targets = append(targets, at(tip, tree, 'w'), ours(at(tip, tree, 'w'), 'B', 'B', 'o'), ours(at(tip, tree, 'w'), 'B', 'A', 'o'), ours(at(tip, tree, 'w'), 'B', 0, 0))
		}
	}
	seen := 0
	for _, target := range append(targets, nil) {
		for _, base := range []*branch{nil, at('B', 'o', 'w'), at('B', 'w', 'w'), at('C', 'p', 'w')} {
			for flags := range 32 {
				s := scene{target: target, base: base, direct: flags&1 != 0, proposes: flags&2 != 0, refuse: flags&4 != 0, touched: flags&8 != 0}
				if flags&16 != 0 {
					s.proposed = base
				}
				got := decide(s)
				seen++
				if got.action != commit {
					if diff := cmp.Diff(plan{action: got.action, delivered: got.delivered}, got, cmp.AllowUnexported(plan{})); diff != "" {
						t.Fatalf("%+v: %s", s, diff)
					}
					continue
				}
				switch {
				case target == nil && got.old != plumbing.ZeroHash:
					t.Fatalf("%+v: a branch that is not there is expected to be", s)
				case target == nil:
				case got.old != target.commit:
					t.Fatalf("%+v: pushed without a lease on the tip", s)
				case got.parent != target.commit && !target.single():
					t.Fatalf("%+v: commits of others are lost", s)
				case s.direct && (!got.base.IsZero() || got.parent != target.commit):
					t.Fatalf("%+v: a branch that is pushed to directly is replaced, or would be later", s)
				}
			}
		}
	}
	if seen < 1000 {
		t.Errorf("only %d scenes", seen)
	}
}
