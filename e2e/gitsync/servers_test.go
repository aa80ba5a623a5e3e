package gitsync

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// TestServers brings content into repositories of each kind of server, beside what goes wrong there. In each case the status says what
// it is, and the content is pushed, by itself, as soon as it can be.
func TestServers(t *testing.T) {
	w := newWorld(t)
	hosts := allHosts(t)
	t.Run("all", func(t *testing.T) {
		for _, h := range hosts {
			tests := map[string]func(t *testing.T, w *world, h *host){
				"life": life, "race": race, "protected branch": protected, "credentials": credentials, "missing repository": missingRepository, "rewritten base": rewrittenBase,
			}
			if h.name != openSSH { // the same protocol as the other SSH, by a server that takes seconds to let anybody in
				maps.Copy(tests, map[string]func(t *testing.T, w *world, h *host){
					"foreign commits": foreignCommits, "refused": refuse, "empty repository": emptyRepository, "deleted branch": deletedBranch, "others on our branch": othersOnOurBranch,
				})
			}
			for name, test := range tests {
				t.Run(h.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					test(t, w.forTest(t), h)
				})
			}
		}
	})
}

// v1 and v2 are the content of two versions.
var v1, v2 = []entry{file("app.yaml", "version: 1\n"), file("old.yaml", "old\n")}, []entry{file("app.yaml", "version: 2\n")}

// subPath is the folder of every spec.
const subPath = "clusters/site"

// foreignCommits come beside the folder and in it. Rebase puts the content on top of them; they stay in the history.
func foreignCommits(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	w.sync(app, spec(r))
	w.synced(app, "1.0.0")
	beside := r.commit("main", map[string]string{"clusters/other/app.yaml": "they have changed this\n"})
	inside := r.commit("main", map[string]string{subPath + "/app.yaml": "they have changed that\n", subPath + "/new.yaml": "new\n"})
	obj := w.synced(app, "1.0.0", w.request(app), func(obj *v1alpha1.GitSync) error {
		if obj.Status.Commit == inside {
			return fmt.Errorf("commit is %s still", inside)
		}
		return nil
	})
	tip := r.log("main")
	if tip[0].Hash != obj.Status.Commit || tip[1].Hash != inside || tip[2].Hash != beside {
		t.Errorf("the history is %v, want %s upon %s upon %s", tip, obj.Status.Commit, inside, beside)
	}
	rest := merged(without(plain(own), subPath+"/by-hand.yaml"), plain(map[string]string{"clusters/other/app.yaml": "they have changed this\n"}))
	r.expect("main", merged(rest, below(subPath, v1)))
	// One beside the folder is nothing to answer with a commit.
	beside = r.commit("main", map[string]string{"README.md": "they have changed this, too\n"})
	w.synced(app, "1.0.0", w.request(app))
	if now := r.tip("main"); now != beside {
		t.Errorf("the tip is %s, want their commit %s", now, beside)
	}
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	r.expect("main", merged(rest, plain(map[string]string{"README.md": "they have changed this, too\n"}), below(subPath, v2)))
	gittest.Fsck(t, r.dir)
}

// race has somebody else push between the look of the operator and its push: neither is lost.
func race(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	theirs := r.overtake("main", map[string]string{"README.md": "they were faster\n"})
	w.sync(app, spec(r))
	w.synced(app, "1.0.0")
	if log := r.log("main"); len(log) != 3 || log[1].Hash != theirs {
		t.Errorf("the history is %v, want ours upon theirs, %s", log, theirs)
	}
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), plain(map[string]string{"README.md": "they were faster\n"}), below(subPath, v1)))
	gittest.Fsck(t, r.dir)
}

// refuse leaves a branch alone whose folder others have changed, until the spec or the folder says otherwise.
func refuse(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.ConflictPolicy = v1alpha1.ConflictRefuse
	w.sync(app, s)
	w.synced(app, "1.0.0")
	r.commit("main", map[string]string{"README.md": "beside the folder\n"})
	w.publish("1.1.0", file("app.yaml", "version: 1.1\n"))
	w.synced(app, "1.1.0")

	theirs := r.commit("main", map[string]string{subPath + "/app.yaml": "a hotfix\n"})
	w.publish("2.0.0", v2...)
	w.fails(app, v1alpha1.ForeignChangesReason, "main")
	if now := r.tip("main"); now != theirs {
		t.Errorf("the tip is %s, want that of the others to stay, %s", now, theirs)
	}
	s.ConflictPolicy = v1alpha1.ConflictRebase
	w.sync(app, s)
	w.synced(app, "2.0.0")
	if log := r.log("main"); log[1].Hash != theirs {
		t.Errorf("the history is %v, want ours upon theirs, %s", log, theirs)
	}
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), plain(map[string]string{"README.md": "beside the folder\n"}), below(subPath, v2)))
}

// protected refuses every push by a rule of the server, until the rule is lifted.
func protected(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	gittest.Protect(t, r.dir, "main")
	before := r.tip("main")
	w.deliver("1.0.0", v1...)
	w.sync(app, spec(r))
	w.fails(app, v1alpha1.ProtectedBranchReason, "main")
	if now := r.tip("main"); now != before {
		t.Errorf("the tip is %s, want %s", now, before)
	}
	gittest.Hook(t, r.dir, "pre-receive", "")
	w.synced(app, "1.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}

// credentials are missing, then wrong, then right: that wakes what waits for them, without waiting for an interval.
func credentials(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.RetryInterval = nil
	s.Repository.SecretRef = secretRef("later")
	w.sync(app, s)
	w.fails(app, v1alpha1.CredentialsNotFoundReason, "later")
	w.secret("later", h.wrong)
	w.fails(app, v1alpha1.AuthenticationFailedReason)
	w.secret("later", h.good)
	w.synced(app, "1.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}

// missingRepository is made later.
func missingRepository(t *testing.T, w *world, h *host) {
	r := h.missing(w)
	w.deliver("1.0.0", v1...)
	w.sync(app, spec(r))
	w.fails(app, v1alpha1.GitRepositoryFetchFailedReason, r.url)
	r.make(own)
	w.synced(app, "1.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}

// emptyRepository gets its first commit, and its branch.
func emptyRepository(t *testing.T, w *world, h *host) {
	r := h.repository(w, nil)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.SubPath = ""
	w.sync(app, s)
	w.synced(app, "1.0.0")
	if log := r.log("main"); len(log) != 1 || len(log[0].Parents) > 0 {
		t.Errorf("the history is %v, want one commit without parents", log)
	}
	r.expect("main", below("", v1))
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	r.expect("main", below("", v2))
	gittest.Fsck(t, r.dir)
}

// deletedBranch is made again, with the same content.
func deletedBranch(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.CommitTemplate.TargetBranch = "deploy/site"
	w.sync(app, s)
	w.synced(app, "1.0.0")
	want := merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1))
	r.expect("deploy/site", want)
	r.expect("main", plain(own))
	r.deleteBranch("deploy/site")
	w.synced(app, "1.0.0", w.request(app))
	r.expect("deploy/site", want)
	gittest.Fsck(t, r.dir)
}

// rewrittenBase is a base branch whose history was replaced by another one: another branch that
// was made upon the old one goes on where it is, since others follow it, and the base branch itself is built upon anew.
func rewrittenBase(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.CommitTemplate.TargetBranch = "deploy/site"
	w.sync(app, s)
	w.synced(app, "1.0.0")
	other := map[string]string{"README.md": "another history\n", "clusters/other/app.yaml": "another cluster\n"}
	first := r.tip("deploy/site")
	r.rewrite("main", other)
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	if log := r.log("deploy/site"); len(log) != 3 || log[1].Hash != first {
		t.Errorf("the history is %v, want one commit upon %s", log, first)
	}
	r.expect("deploy/site", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v2)))
	r.expect("main", plain(other))

	// The same for the branch that is pushed to itself.
	s.CommitTemplate.TargetBranch = "main"
	w.sync(app, s)
	w.synced(app, "2.0.0", func(obj *v1alpha1.GitSync) error { return onBranch(obj, "main") })
	base := r.rewrite("main", other)
	w.synced(app, "2.0.0", w.request(app))
	if log := r.log("main"); len(log) != 2 || log[1].Hash != base {
		t.Errorf("the history is %v, want one commit upon %s", log, base)
	}
	r.expect("main", merged(plain(other), below(subPath, v2)))
	gittest.Fsck(t, r.dir)
}

// othersOnOurBranch push to the branch that the operator has made: their commits are never forced away.
func othersOnOurBranch(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.CommitTemplate.TargetBranch = "deploy/site"
	w.sync(app, s)
	w.synced(app, "1.0.0")
	theirs := r.commit("deploy/site", map[string]string{"README.md": "a review found this\n"})
	r.commit("main", map[string]string{"clusters/other/app.yaml": "main goes on\n"})
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	if !slices.ContainsFunc(r.log("deploy/site"), func(c gittest.LogEntry) bool { return c.Hash == theirs }) {
		t.Errorf("the history is %v, which lacks their commit %s", r.log("deploy/site"), theirs)
	}
	files := r.files("deploy/site")
	if files["README.md"] != "100644 a review found this\n" || files[subPath+"/app.yaml"] != "100644 version: 2\n" {
		t.Errorf("the branch holds %v", files)
	}
}

func onBranch(obj *v1alpha1.GitSync, branch string) error {
	if obj.Status.Branch != branch {
		return fmt.Errorf("the branch is %q, want %s", obj.Status.Branch, branch)
	}
	return nil
}
