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
	return &branch{name: string(tip), commit: h(tip), root: h(tree), folder: h(tree), wantedRoot: h(wanted), wantedFolder: h(wanted)}
}

// ours makes the tip of a branch a commit of ours upon another one, which was the base if it says so.
func ours(b *branch, parent, base, baseFolder byte) *branch {
	b.parent, b.mark = h(parent), &mark{}
	if base != 0 {
		b.mark.base, b.mark.baseFolder, b.mark.baseBranch = h(base), h(baseFolder), "B"
	}
	return b
}

// named gives a branch another name than the letter of its tip.
func named(b *branch, name string) *branch {
	b.name = name
	return b
}

// mergedTip makes the tip of a branch one that a pull request was merged with.
func mergedTip(b *branch) *branch {
	b.merged = true
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
			plan{action: commit, parent: h('B'), root: h('w'), base: h('B'), baseFolder: h('o'), baseBranch: "B"},
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
		"request for another branch, base holds": {
			scene{proposes: true, base: at('B', 'w', 'w'), proposed: at('P', 'o', 'w')},
			plan{action: commit, parent: h('P'), root: h('w'), base: h('P'), baseFolder: h('o'), baseBranch: "P"},
			"the branch of the request lacks it",
		},
		"request for another branch, base has got it": {
			scene{proposes: true, base: at('C', 'w', 'w'), proposed: at('P', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('P'), root: h('w'), old: h('T'), base: h('P'), baseFolder: h('o'), baseBranch: "P"},
			"nothing of the base is proposed that is not the content",
		},
		"branch, no target": {
			scene{base: at('B', 'o', 'w')},
			plan{action: commit, parent: h('B'), root: h('w')},
			"made upon the base, and never a mark that it may be replaced",
		},
		"branch, base holds, no target": {
			scene{base: at('B', 'w', 'w')}, plan{action: begin, parent: h('B'), root: h('w')}, "whoever follows the branch finds it",
		},
		"branch, base holds, stale target": {
			scene{base: at('B', 'w', 'w'), target: ours(at('T', 'o', 'w'), 'A', 'A', 'o')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"whoever follows the branch gets the content",
		},
		"branch, ours, other content": {
			scene{base: at('B', 'o', 'w'), target: ours(at('T', 'v', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"the branch has a history, also if it was for pull requests before",
		},
		"branch, no base": {
			scene{target: at('T', 'v', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"the base is needed to begin only",
		},
		"branch, others outside, refuse": {
			scene{refuse: true, base: at('B', 'o', 'w'), target: at('T', 'v', 'w')},
			plan{action: commit, parent: h('T'), root: h('w'), old: h('T')},
			"as on the base branch itself",
		},
		"branch, others inside, refuse": {scene{refuse: true, touched: true, base: at('B', 'o', 'w'), target: at('T', 'v', 'w')}, plan{action: foreign}, "their change stays"},
		"ours, holds": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{},
			"nothing to do",
		},
		"ours, other content": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'v', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('T'), base: h('B'), baseFolder: h('o'), baseBranch: "B"},
			"our single commit is replaced, with a lease",
		},
		"ours, base moved elsewhere": {
			scene{proposes: true, base: named(at('C', 'o', 'w'), "B"), proposed: named(at('C', 'o', 'w'), "B"), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{},
			"a request needs no new commit because of others' files",
		},
		"ours, base moved in the folder": {
			scene{proposes: true, base: named(at('C', 'p', 'w'), "B"), proposed: named(at('C', 'p', 'w'), "B"), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('p'), baseBranch: "B"},
			"it would conflict",
		},
		"ours, another base branch with the same folder": {
			scene{proposes: true, base: at('C', 'o', 'w'), proposed: at('C', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('o'), baseBranch: "C"},
			"what else the old base has is not proposed to the new one",
		},
		"ours, merged and undone": {
			scene{proposes: true, base: named(at('C', 'o', 'w'), "B"), proposed: named(at('C', 'o', 'w'), "B"), target: mergedTip(ours(at('T', 'w', 'w'), 'B', 'B', 'o'))},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('o'), baseBranch: "B"},
			"there is nothing in it to be merged again",
		},
		"ours, merged and the base reset": {
			scene{proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: mergedTip(ours(at('T', 'w', 'w'), 'B', 'B', 'o'))},
			plan{},
			"the base knows nothing of it",
		},
		"ours, has to be fresh": {
			scene{proposes: true, fresh: true, base: named(at('C', 'o', 'w'), "B"), proposed: named(at('C', 'o', 'w'), "B"), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('o'), baseBranch: "B"},
			"nobody knows whether it was merged",
		},
		"ours, is fresh": {
			scene{proposes: true, fresh: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: ours(at('T', 'w', 'w'), 'B', 'B', 'o')},
			plan{},
			"it stands on the base already",
		},
		"ours, more than the folder": {
			scene{
				proposes: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'),
				target: ours(&branch{commit: h('T'), root: h('x'), folder: h('w'), wantedRoot: h('x'), wantedFolder: h('w')}, 'B', 'B', 'o'),
			},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('T'), base: h('B'), baseFolder: h('o'), baseBranch: "B"},
			"what an earlier subPath has left is removed",
		},
		"others' were merged, refuse": {
			scene{proposes: true, refuse: true, base: at('C', 'o', 'w'), proposed: at('C', 'o', 'w'), target: mergedTip(at('T', 'v', 'w'))},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('o'), baseBranch: "C"},
			"what was merged is nobody's to lose",
		},
		"others' were merged and undone": {
			scene{proposes: true, base: at('C', 'o', 'w'), proposed: at('C', 'o', 'w'), target: mergedTip(at('T', 'w', 'w'))},
			plan{action: commit, parent: h('C'), root: h('w'), old: h('T'), base: h('C'), baseFolder: h('o'), baseBranch: "C"},
			"there is nothing in it to be merged again",
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
			scene{proposes: true, refuse: true, base: at('B', 'o', 'w'), proposed: at('B', 'o', 'w'), target: at('B', 'o', 'w')},
			plan{action: commit, parent: h('B'), root: h('w'), old: h('B'), base: h('B'), baseFolder: h('o'), baseBranch: "B"},
			"nothing of others is on it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decide(test.scene)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(plan{})); diff != "" {
				t.Errorf("%s\n%s", test.reason, diff)
			}
			if got.action == commit && got.old != zero && got.old != got.parent && !test.scene.mayReplace() {
				t.Error("a commit that is not ours alone would be lost")
			}
		})
	}
}

// mayReplace says when a branch may lose what it has, in words of its own: it is for pull requests only, and has a single commit of ours upon
// another branch, or nothing that was not merged.
func (s scene) mayReplace() bool {
	t := s.target
	if !s.proposes || s.direct {
		return false
	}
	return t.merged || t.mark != nil && t.mark.base == t.parent && t.parent != plumbing.ZeroHash
}

// TestDecideNeverLoses goes through all scenes of a few trees and commits: what is at the tip of a branch is built upon, unless it is a
// single commit of ours or was merged, on a branch for pull requests.
func TestDecideNeverLoses(t *testing.T) {
	t.Parallel()
	targets := []*branch{nil}
	for _, tip := range []byte("BT") {
		for _, tree := range []byte("ow") {
			for _, target := range []func() *branch{
				func() *branch { return at(tip, tree, 'w') },
				func() *branch { return ours(at(tip, tree, 'w'), 'B', 'B', 'o') },
				func() *branch { return ours(at(tip, tree, 'w'), 'B', 'A', 'o') },
				func() *branch { return ours(at(tip, tree, 'w'), 'B', 0, 0) },
			} {
				targets = append(targets, target(), mergedTip(target()))
			}
		}
	}
	bases := []*branch{nil, at('B', 'o', 'w'), at('B', 'w', 'w'), at('C', 'p', 'w'), named(at('C', 'o', 'w'), "B")}
	seen := 0
	for _, target := range targets {
		for _, base := range bases {
			for _, proposed := range append(bases, at('P', 'o', 'w'), at('P', 'w', 'w')) {
				for flags := range 64 {
					s := scene{target: target, base: base, direct: flags&1 != 0, proposes: flags&2 != 0, refuse: flags&4 != 0, touched: flags&8 != 0, empty: flags&16 != 0, fresh: flags&32 != 0}
					if s.proposes {
						s.proposed = proposed
					}
					seen++
					if problem := s.problem(decide(s)); problem != "" {
						t.Fatalf("%s: target %+v, base %+v, %+v", problem, target, base, s)
					}
				}
			}
		}
	}
	if seen < 10_000 {
		t.Errorf("only %d scenes", seen)
	}
}

// problem says what is wrong with a plan, whatever the scene.
func (s scene) problem(got plan) string {
	switch {
	case got.action != commit && got.action != begin:
		if !cmp.Equal(plan{action: got.action, delivered: got.delivered}, got, cmp.AllowUnexported(plan{})) {
			return "a plan to do nothing says what is to be done"
		}
		if got.delivered && (!s.proposes || !s.proposed.holds()) {
			return "delivered, and the branch of the request lacks the content"
		}
		if got.action == keep && !got.delivered && (s.target == nil || s.target.folder != s.target.wantedFolder) {
			return "kept, and nobody has the content"
		}
	case s.target == nil && got.old != plumbing.ZeroHash:
		return "a branch that is not there is expected to be"
	case s.target == nil:
	case got.action == begin:
		return "a branch is made that is there"
	case got.old != s.target.commit:
		return "pushed without a lease on the tip"
	case got.parent != s.target.commit && !s.mayReplace():
		return "commits of others are lost"
	case (s.direct || !s.proposes) && (!got.base.IsZero() || got.parent != s.target.commit):
		return "a branch that others follow is replaced, or would be later"
	}
	if got.action == commit && !got.base.IsZero() && got.base != got.parent {
		return "the commit says that it stands on something else"
	}
	return ""
}
