package gitsync

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// repository is a bare repository behind a server, and how a GitSync reaches it.
type repository struct {
	t *testing.T
	// dir is where it is, and url what the GitSync has.
	dir, url string
	// secret and certs are names of Secrets; none when empty.
	secret, certs string
	// provider is the forge in front of it, git when empty, and api the address of its API if that does not follow.
	provider, api string
	// apply makes a commit as others do, and remove deletes a branch; nil is to do it where the repository is.
	apply  func(t testing.TB, c gittest.Change) string
	remove func(t testing.TB, branch string)
}

// spec is how a GitSync names the repository.
func (r *repository) spec() v1alpha1.GitRepository {
	spec := v1alpha1.GitRepository{URL: r.url, Provider: r.provider, APIURL: r.api}
	if r.secret != "" {
		spec.SecretRef = &meta.LocalObjectReference{Name: r.secret}
	}
	if r.certs != "" {
		spec.CertSecretRef = &meta.LocalObjectReference{Name: r.certs}
	}
	return spec
}

// files returns what a branch holds: each with its mode and its content, or the target of a link.
func (r *repository) files(branch string) map[string]string {
	r.t.Helper()
	files := map[string]string{}
	for path, found := range gittest.Files(r.t, r.dir, branch) {
		files[path] = found.Mode + " " + found.Content
	}
	return files
}

// expect wants a branch to hold files, and nothing else.
func (r *repository) expect(branch string, want map[string]string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.files(branch)); diff != "" {
		r.t.Errorf("files of %s (-want +got):\n%s", branch, diff)
	}
}

// tip returns the commit of a branch; it is empty when there is none.
func (r *repository) tip(branch string) string {
	r.t.Helper()
	return gittest.Tip(r.t, r.dir, branch)
}

// log returns the commits of a branch, newest first.
func (r *repository) log(branch string) []gittest.LogEntry {
	r.t.Helper()
	return gittest.Log(r.t, r.dir, branch)
}

// commit makes a commit of somebody else at the tip of a branch, from which paths are removed first, and returns it.
func (r *repository) commit(branch string, files map[string]string, remove ...string) string {
	r.t.Helper()
	return r.change(gittest.Change{Branch: branch, Files: files, Remove: remove})
}

// rewrite replaces the history of a branch by one commit.
func (r *repository) rewrite(branch string, files map[string]string) string {
	r.t.Helper()
	return r.change(gittest.Change{Branch: branch, Root: true, Files: files, Message: "another history"})
}

func (r *repository) change(c gittest.Change) string {
	r.t.Helper()
	if r.apply != nil {
		return r.apply(r.t, c)
	}
	return gittest.Apply(r.t, r.dir, c)
}

// deleteBranch deletes a branch.
func (r *repository) deleteBranch(name string) {
	r.t.Helper()
	if r.remove != nil {
		r.remove(r.t, name)
		return
	}
	gittest.DeleteBranch(r.t, r.dir, name)
}

// overtake has somebody be faster than the next push: when that has come, and before the server compares what it knows with what it has,
// the branch moves to another commit, which is returned.
func (r *repository) overtake(branch string, files map[string]string) string {
	r.t.Helper()
	const aside = "aside"
	theirs := gittest.Apply(r.t, r.dir, gittest.Change{Branch: aside, From: r.tip(branch), Files: files})
	gittest.Git(r.t, r.dir, "update-ref", "refs/prepared/one", theirs)
	gittest.DeleteBranch(r.t, r.dir, aside)
	// What is pushed lies in a quarantine, in which git moves no branches.
	gittest.Hook(r.t, r.dir, "pre-receive", fmt.Sprintf(`if [ ! -e overtaken ]; then
  touch overtaken
  unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
  git update-ref refs/heads/%s %s
fi`, branch, theirs))
	return theirs
}
