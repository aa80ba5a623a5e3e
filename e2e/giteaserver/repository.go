package giteaserver

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// noticeTimeout bounds how long Gitea may take until it has noticed a push.
const noticeTimeout = time.Minute

// Repository is a repository of a user.
type Repository struct {
	Owner *User
	Name  string
	// URL and SSHURL are where clients find it.
	URL, SSHURL string
	// Dir is its bare repository. It is to be looked at by package gittest, and not to be changed: Gitea would not notice.
	Dir string

	path string
	// local is a bare copy, in which commits of others are made before they are pushed.
	local string
}

// NewRepository makes a public repository of the administrator. Its branch main has a commit with the files, or does not exist without any.
func (s *Server) NewRepository(t testing.TB, name string, files map[string]string) *Repository {
	t.Helper()
	return s.Admin.NewRepository(t, name, files, false)
}

// NewRepository makes a repository of the user.
func (u *User) NewRepository(t testing.TB, name string, files map[string]string, private bool) *Repository {
	t.Helper()
	u.do(t, call{
		method: http.MethodPost, path: "/user/repos", want: []int{http.StatusCreated},
		body: map[string]any{"name": name, "private": private, "default_branch": "main"},
	})
	r := u.repository(t, name)
	if len(files) > 0 {
		r.Commit(t, "main", files)
	}
	return r
}

func (u *User) repository(t testing.TB, name string) *Repository {
	t.Helper()
	s := u.server
	local := filepath.Join(t.TempDir(), "local.git")
	gittest.NewRepository(t, local, nil, "main")
	return &Repository{
		Owner: u, Name: name, URL: s.URL + "/" + u.Name + "/" + name + ".git", SSHURL: "ssh://" + sshUser + "@" + s.SSHAddress + "/" + u.Name + "/" + name + ".git",
		Dir: filepath.Join(s.dir, "repositories", strings.ToLower(u.Name), strings.ToLower(name)+".git"), path: "/repos/" + u.Name + "/" + name, local: local,
	}
}

// Commit pushes a commit on the tip of the branch, and returns it. A branch that does not exist begins at the tip of main.
func (r *Repository) Commit(t testing.TB, branch string, files map[string]string, remove ...string) string {
	t.Helper()
	return r.Apply(t, gittest.Change{Branch: branch, Files: files, Remove: remove})
}

// Apply pushes a commit and returns it; by force where the change says what it is based on.
func (r *Repository) Apply(t testing.TB, c gittest.Change) string {
	t.Helper()
	force := c.From != "" || c.Root
	r.fetch(t)
	if c.From == "" && !c.Root && gittest.Tip(t, r.local, c.Branch) == "" {
		c.From = gittest.Tip(t, r.local, "main")
	}
	commit := gittest.Apply(t, r.local, c)
	r.push(t, force, commit, c.Branch)
	return commit
}

// Branch makes a branch at a commit of the repository, or moves it there.
func (r *Repository) Branch(t testing.TB, name, commit string) {
	t.Helper()
	r.fetch(t)
	r.push(t, true, commit, name)
}

// DeleteBranch deletes a branch.
func (r *Repository) DeleteBranch(t testing.TB, name string) {
	t.Helper()
	r.push(t, false, "", name)
}

// fetch makes the local copy have what the repository has.
func (r *Repository) fetch(t testing.TB) {
	t.Helper()
	gittest.Git(t, r.local, "fetch", "--quiet", "--prune", "--force", r.Dir, "refs/heads/*:refs/heads/*")
}

// push pushes a commit to a branch, which is deleted without one. It goes by Gitea, which does not see what is written into its folder, and it
// waits until Gitea has taken notice, which happens in the background.
func (r *Repository) push(t testing.TB, force bool, commit, branch string) {
	t.Helper()
	args := []string{"-c", "http.extraHeader=Authorization: token " + r.Owner.Token, "push", "--quiet"}
	if force {
		args = append(args, "--force")
	}
	gittest.Git(t, r.local, append(args, r.URL, commit+":refs/heads/"+branch)...)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(noticeTimeout)
	for !r.noticed(t, commit, branch) {
		if time.Now().After(deadline) {
			t.Fatalf("Gitea does not notice that %s of %s was pushed to", branch, r.Name)
		}
		<-ticker.C
	}
}

// noticed tells whether Gitea knows the branch's commit, or that the branch is gone.
func (r *Repository) noticed(t testing.TB, commit, branch string) bool {
	t.Helper()
	var repository struct {
		Empty bool `json:"empty"`
	}
	r.Owner.do(t, call{method: http.MethodGet, path: r.path, want: []int{http.StatusOK}, into: &repository})
	if repository.Empty {
		return false // and would answer as if it had no branches
	}
	status, answer := r.Owner.try(t, call{method: http.MethodGet, path: r.path + "/branches/" + branch})
	if status != http.StatusOK {
		return commit == "" && status == http.StatusNotFound
	}
	return commit != "" && strings.Contains(string(answer), commit)
}

// Tip returns the commit of a branch, and "" where there is none.
func (r *Repository) Tip(t testing.TB, branch string) string {
	t.Helper()
	return gittest.Tip(t, r.Dir, branch)
}

// Branches returns the names of all branches, as Gitea tells them.
func (r *Repository) Branches(t testing.TB) []string {
	t.Helper()
	var branches []struct {
		Name string `json:"name"`
	}
	r.Owner.do(t, call{method: http.MethodGet, path: r.path + "/branches?limit=50", want: []int{http.StatusOK}, into: &branches})
	names := make([]string, len(branches))
	for i, branch := range branches {
		names[i] = branch.Name
	}
	slices.Sort(names)
	return names
}

// Protect lets nobody push to the branch; not even the owner.
func (r *Repository) Protect(t testing.TB, branch string) {
	t.Helper()
	r.Owner.do(t, call{
		method: http.MethodPost, path: r.path + "/branch_protections", want: []int{http.StatusCreated},
		body: map[string]any{"rule_name": branch, "enable_push": false},
	})
}

// Allow gives a user a right: read, write or admin.
func (r *Repository) Allow(t testing.TB, u *User, right string) {
	t.Helper()
	r.Owner.do(t, call{
		method: http.MethodPut, path: r.path + "/collaborators/" + u.Name, want: []int{http.StatusNoContent}, body: map[string]any{"permission": right},
	})
}

// Fork makes a fork that the user owns.
func (r *Repository) Fork(t testing.TB, u *User) *Repository {
	t.Helper()
	u.do(t, call{method: http.MethodPost, path: r.path + "/forks", want: []int{http.StatusAccepted}, body: map[string]any{"name": r.Name}})
	return u.repository(t, r.Name)
}

// Delete deletes the repository.
func (r *Repository) Delete(t testing.TB) {
	t.Helper()
	r.Owner.do(t, call{method: http.MethodDelete, path: r.path, want: []int{http.StatusNoContent}})
}
