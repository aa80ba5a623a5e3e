package gitsync_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// TestVerdicts goes through what keeps content from being pushed: the object says what it is, the repository stays what it was, and no
// secret is told.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	secret := func(data map[string]string) func(s *stage) {
		return func(s *stage) {
			found := &corev1.Secret{ObjectMeta: reconcilertest.Named("git")}
			s.Change(found, func() {
				found.Data = map[string][]byte{}
				for key, value := range data {
					found.Data[key] = []byte(value)
				}
			})
		}
	}
	spec := func(change func(spec *v1alpha1.GitSyncSpec)) func(s *stage) {
		return func(s *stage) { change(&s.sync.Spec) }
	}
	content := func(files map[string]string) func(s *stage) {
		return func(s *stage) { s.provide("1.0.0", files) }
	}
	for name, test := range map[string]struct {
		world        func(s *stage)
		reason, says string
		stalled      bool
	}{
		"wrong password": {secret(map[string]string{"username": "git", "password": "wrong-secret"}), v1alpha1.AuthenticationFailedReason, "credentials", false},
		"no such Secret": {spec(func(g *v1alpha1.GitSyncSpec) { g.Repository.SecretRef.Name = "none" }), v1alpha1.CredentialsNotFoundReason, "Secret default/none does not exist", true},
		"empty Secret":   {secret(map[string]string{"username": "git"}), v1alpha1.CredentialsNotFoundReason, "bearerToken", true},
		"two log-ins":    {secret(map[string]string{"password": "a", "bearerToken": "b"}), v1alpha1.CredentialsNotFoundReason, "both", true},
		"SSH without a host": {func(s *stage) {
			s.sync.Spec.Repository.URL = "git@127.0.0.1:fleet.git"
			secret(map[string]string{"identity": "x"})(s)
		}, v1alpha1.CredentialsNotFoundReason, "known_hosts", true},
		"SSH without a login": {spec(func(g *v1alpha1.GitSyncSpec) {
			g.Repository.URL, g.Repository.SecretRef = "git@127.0.0.1:fleet.git", nil
		}), v1alpha1.CredentialsNotFoundReason, "known_hosts", true},
		"half a certificate": {func(s *stage) {
			s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("tls"), Data: map[string][]byte{"tls.crt": []byte("x")}})
			s.sync.Spec.Repository.CertSecretRef = &meta.LocalObjectReference{Name: "tls"}
		}, v1alpha1.CredentialsNotFoundReason, "belong together", true},
		"no proxy": {func(s *stage) {
			s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("proxy"), Data: map[string][]byte{"address": []byte("nonsense")}})
			s.sync.Spec.Repository.ProxySecretRef = &meta.LocalObjectReference{Name: "proxy"}
		}, v1alpha1.CredentialsNotFoundReason, "address", true},
		"no key to sign with": {func(s *stage) {
			s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("signing"), Data: map[string][]byte{"git.asc": []byte("nonsense")}})
			s.sync.Spec.CommitTemplate.Signing = &v1alpha1.CommitSigning{SecretRef: meta.LocalObjectReference{Name: "signing"}}
		}, v1alpha1.CredentialsNotFoundReason, "git.asc", true},
		"no such repository": {spec(func(g *v1alpha1.GitSyncSpec) {
			g.Repository.URL = strings.Replace(g.Repository.URL, "fleet", "flotilla", 1)
		}), v1alpha1.GitRepositoryFetchFailedReason, "does not exist", false},
		"no such base": {spec(func(g *v1alpha1.GitSyncSpec) { g.CommitTemplate.BaseBranch = "production" }), v1alpha1.GitRepositoryFetchFailedReason, "no branch production", false},
		"a redirect to another host": {func(s *stage) {
			s.server.SetFault(gittest.Redirect(http.StatusFound, "http://localhost:1/"))
		}, v1alpha1.GitRepositoryFetchFailedReason, "redirects to", false},
		"the metadata of a cloud":  {spec(func(g *v1alpha1.GitSyncSpec) { g.Repository.URL = "http://169.254.169.254/acme/fleet" }), v1alpha1.GitRepositoryFetchFailedReason, "169.254.169.254", false},
		"a protected branch":       {func(s *stage) { gittest.Protect(t, s.dir, "main") }, v1alpha1.ProtectedBranchReason, "main", false},
		"a subPath that climbs":    {spec(func(g *v1alpha1.GitSyncSpec) { g.SubPath = "../.." }), v1alpha1.InvalidSpecReason, "spec.subPath", true},
		"a subPath into .git":      {spec(func(g *v1alpha1.GitSyncSpec) { g.SubPath = "a/.GIT/hooks" }), v1alpha1.InvalidSpecReason, "spec.subPath", true},
		"a subPath through a file": {spec(func(g *v1alpha1.GitSyncSpec) { g.SubPath = "README.md/x" }), v1alpha1.InvalidContentReason, "README.md", true},
		"no name of a branch":      {spec(func(g *v1alpha1.GitSyncSpec) { g.CommitTemplate.TargetBranch = "a..b" }), v1alpha1.InvalidSpecReason, "spec.commitTemplate.targetBranch", true},
		"a bad template":           {spec(func(g *v1alpha1.GitSyncSpec) { g.CommitTemplate.Message = "{{ .Nothing }}" }), v1alpha1.InvalidSpecReason, "template of the message", true},
		"a password in the url":    {spec(func(g *v1alpha1.GitSyncSpec) { g.Repository.URL = "https://a:hidden@example.com/x" }), v1alpha1.InvalidSpecReason, "spec.repository.url", true},
		"another namespace":        {spec(func(g *v1alpha1.GitSyncSpec) { g.SourceRef.Namespace = "team-b" }), v1alpha1.AccessDeniedReason, "--git-cross-namespace-refs", true},
		"a component version":      {spec(func(g *v1alpha1.GitSyncSpec) { g.SourceRef.Kind = v1alpha1.ComponentVersionKind }), v1alpha1.InvalidSpecReason, "no content of its own", true},
		"configuration of git":     {content(map[string]string{".git/config": "[remote]"}), v1alpha1.InvalidContentReason, ".git", true},
		"a path that climbs":       {content(map[string]string{"../../a": "x"}), v1alpha1.InvalidContentReason, "..", true},
		"an absolute path":         {content(map[string]string{"/etc/a": "x"}), v1alpha1.InvalidContentReason, "absolute", true},
		"a link that leaves":       {content(map[string]string{"a@": "../../../etc/passwd"}), v1alpha1.InvalidContentReason, "link", true},
		"too many files": {func(s *stage) {
			files := map[string]string{}
			for i := range 1001 {
				files["f"+strings.Repeat("x", i%200)+string(rune('a'+i/200))] = "x"
			}
			s.provide("1.0.0", files)
		}, v1alpha1.InvalidContentReason, "--git-max-files", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, map[string]string{"README.md": "fleet"})
			s.provide("1.0.0", map[string]string{"a.yaml": "a: 1\n"})
			before := gittest.Branches(t, s.dir)
			test.world(s)
			s.create(nil)
			for range 2 {
				s.reconcile()
				message := s.wantNotReady(test.reason)
				if !strings.Contains(message, test.says) {
					t.Errorf("message %q, want one with %q", message, test.says)
				}
				if strings.Contains(message, password) || strings.Contains(message, "wrong-secret") || strings.Contains(message, "hidden") {
					t.Errorf("message %q tells a secret", message)
				}
			}
			if stalled := reconcilertest.Conditions(s.sync)["Stalled"] != ""; stalled != test.stalled {
				t.Errorf("stalled is %v, want %v", stalled, test.stalled)
			}
			if after := gittest.Branches(t, s.dir); after["main"] != before["main"] || len(after) != len(before) {
				t.Errorf("branches %v, want %v", after, before)
			}
			s.wantNoScratch()
		})
	}
}

// liar is a registry that gives other bytes than those that were asked for, of the same length.
type liar struct{ snapshot.Store }

func (l liar) Repository(name string) (snapshot.Repository, error) {
	inner, err := l.Store.Repository(name)
	return lyingRepository{inner}, err
}

type lyingRepository struct{ snapshot.Repository }

func (l lyingRepository) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	blob, size, err := l.Repository.OpenBlob(ctx, d)
	if err != nil {
		return nil, 0, err
	}
	defer blob.Close()
	raw, err := io.ReadAll(blob)
	if i := bytes.Index(raw, []byte("the truth")); i >= 0 {
		copy(raw[i:], "other txt")
	}
	return io.NopCloser(bytes.NewReader(raw)), size, err
}

// TestDamagedContent pushes nothing of content whose digest turns out to be wrong when all of it was read, though it looks sound.
func TestDamagedContent(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.options.Store = liar{s.Store}
	s.install()
	s.provideStream("1.0.0", snapshot.Opaque, "text/plain", func(w io.Writer) error { _, err := io.WriteString(w, "the truth"); return err })
	s.create(nil)
	s.reconcile()
	s.wantNotReady(v1alpha1.ContentMismatchReason)
	for _, r := range s.server.Requests() {
		if strings.Contains(r.Path+r.Query, "receive-pack") {
			t.Errorf("a push was begun: %s?%s", r.Path, r.Query)
		}
	}
	s.wantNoScratch()
}

// wantNoScratch checks that nothing is left in the folder for temporary files.
func (s *stage) wantNoScratch() {
	s.t.Helper()
	left, err := filepath.Glob(filepath.Join(s.options.TempDir, "*", "*"))
	if err != nil || len(left) > 0 {
		s.t.Errorf("left behind: %q, %v", left, err)
	}
}
