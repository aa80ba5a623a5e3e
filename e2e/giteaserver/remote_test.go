package giteaserver_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/e2e/giteaserver"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/git/pack"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
)

// deliver does what the operator does: it fetches a commit, and pushes one with another file on top of it.
func deliver(t *testing.T, address string, auth remote.Auth, parent, branch, old string) error {
	t.Helper()
	r, err := remote.Open(remote.Options{URL: address, Auth: auth, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	base, err := r.Fetch(t.Context(), plumbing.NewHash(parent))
	if err != nil {
		return err
	}
	defer base.Close()
	commit, err := base.Commit(t.Context(), plumbing.NewHash(parent))
	if err != nil {
		return err
	}
	w, err := pack.New(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	built, err := tree.Single(t.Context(), w, "delivered.txt", int64(len(branch)), strings.NewReader(branch), tree.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	root, err := tree.Graft(t.Context(), w, tree.Combine(w, base), commit.TreeHash, "apps/web", built.Tree, true)
	if err != nil {
		t.Fatal(err)
	}
	const who = "ocm <ocm@example.com> 1767225600 +0000"
	tip, err := w.Object(plumbing.CommitObject, fmt.Appendf(nil, "tree %s\nparent %s\nauthor %s\ncommitter %s\n\ndeliver\n", root, parent, who, who))
	if err != nil {
		t.Fatal(err)
	}
	return r.Push(t.Context(), remote.Update{
		Branch: branch, Old: plumbing.NewHash(old), New: tip, Pack: func() (io.ReadCloser, int64, error) { return w.Reader() },
	})
}

// testRemote pushes to Gitea as the operator does, and is refused as users are.
func testRemote(t *testing.T, s *giteaserver.Server) {
	r := s.NewRepository(t, "remote", map[string]string{"README.md": "hello\n"})
	first := r.Tip(t, "main")
	r.Protect(t, "main")
	key := gittest.NewKey(t, gittest.Ed25519, "")
	s.Admin.AddKey(t, key.Public)
	stranger := s.NewUser(t, "somebody")
	password := remote.Auth{Username: s.Admin.Name, Password: s.Admin.Password()}
	for name, tc := range map[string]struct {
		reason, address, branch, old string
		auth                         remote.Auth
		want                         error
	}{
		"password":       {address: r.URL, auth: password, reason: "the owner may"},
		"token":          {address: r.URL, auth: remote.Auth{Password: s.Admin.NewToken(t, giteaserver.WriteRepository)}, reason: "a token is enough"},
		"bearer":         {address: r.URL, auth: remote.Auth{BearerToken: s.Admin.NewToken(t, giteaserver.WriteRepository)}, reason: "the other way to send one"},
		"ssh":            {address: r.SSHURL, auth: remote.Auth{Identity: key.Private, KnownHosts: s.KnownHosts}, reason: "the key is the owner's"},
		"wrong password": {address: r.URL, auth: remote.Auth{Username: s.Admin.Name, Password: "wrong"}, want: remote.ErrUnauthorized, reason: "nobody knows who that is"},
		"read token":     {address: r.URL, auth: remote.Auth{Password: s.Admin.NewToken(t, giteaserver.ReadRepository)}, want: remote.ErrForbidden, reason: "it is known but may not"},
		"stranger":       {address: r.URL, auth: remote.Auth{Username: stranger.Name, Password: stranger.Password()}, want: remote.ErrForbidden, reason: "the repository is public, to read"},
		"absent":         {address: strings.Replace(r.URL, "remote", "absent", 1), auth: password, want: remote.ErrNotFound, reason: "there is no such repository"},
		"moved":          {address: r.URL, auth: password, branch: "main", old: "", want: remote.ErrMoved, reason: "main exists"},
	} {
		t.Run(name, func(t *testing.T) {
			branch := tc.branch
			if branch == "" {
				branch = "ocm/" + strings.ReplaceAll(name, " ", "-")
			}
			if err := deliver(t, tc.address, tc.auth, first, branch, tc.old); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v: %s", err, tc.want, tc.reason)
			}
			if tc.want != nil {
				return
			}
			want := map[string]string{"README.md": "hello\n", "apps/web/delivered.txt": branch}
			if diff := cmp.Diff(want, gittest.Contents(t, r.Dir, branch)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if err := deliver(t, tc.address, tc.auth, first, branch, ""); !errors.Is(err, remote.ErrMoved) {
				t.Errorf("as if the branch were not there: %v, want ErrMoved", err)
			}
		})
	}
	refused, ok := errors.AsType[*remote.RejectedError](deliver(t, r.URL, password, first, "main", first))
	if !ok || !refused.Protected || !strings.Contains(refused.Message, "Not allowed to push to protected branch main") {
		t.Errorf("protected branch: got %+v, want that it is protected", refused)
	}
	gittest.Fsck(t, r.Dir)
}
