package gitsync_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

func (s *stage) wantContents(branch string, want map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.contents(branch)); diff != "" {
		s.t.Fatalf("files of %s (-want +got):\n%s", branch, diff)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prune bool
		want  map[string]string
	}{
		"prune": {true, map[string]string{"README.md": "fleet", "apps/podinfo/b": "2"}},
		"merge": {false, map[string]string{"README.md": "fleet", "apps/podinfo/a": "1", "apps/podinfo/b": "2", "apps/podinfo/theirs": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, map[string]string{"README.md": "fleet", "apps/podinfo/theirs": "x"})
			s.create(func(spec *v1alpha1.GitSyncSpec) { spec.Prune = test.prune })
			s.provide("1.0.0", map[string]string{"a": "1"})
			s.reconcile()
			s.provide("1.1.0", map[string]string{"b": "2"})
			s.reconcile()
			s.wantContents("main", test.want)
			s.wantQuiet(0)
		})
	}
}

func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.reconcile()
	s.wantReady()
	s.wantContents("main", map[string]string{"apps/podinfo/a": "1"})
	if tip := s.tip("main"); len(tip.Parents) != 0 {
		t.Errorf("parents %v", tip.Parents)
	}
	s.wantQuiet(0)
	s.change(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
	s.reconcile()
	s.wantReady()
	if deploy, main := gittest.Tip(t, s.dir, "deploy"), gittest.Tip(t, s.dir, "main"); deploy != main {
		t.Errorf("deploy is at %q, want it where main is, which has the content: %s", deploy, main)
	}
	s.wantQuiet(0)
}

func TestEmptyRepositoryHasNothingToProposeTo(t *testing.T) {
	t.Parallel()
	s := newStage(t, nil)
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.reconcile()
	if message := s.wantNotReady(v1alpha1.GitRepositoryFetchFailedReason); !strings.Contains(message, "push a first commit to branch main") {
		t.Errorf("message %q", message)
	}
}

// TestDeletedBranch pushes again what somebody has deleted, at the next interval.
func TestDeletedBranch(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.reconcile()
	want := s.contents("deploy")
	gittest.DeleteBranch(t, s.dir, "deploy")
	s.reconcile()
	s.wantReady()
	s.wantContents("deploy", want)
}

// TestConflicts lets others commit to the branch that is pushed to.
func TestConflicts(t *testing.T) {
	t.Parallel()
	first, second := map[string]string{"a": "1"}, map[string]string{"a": "2"}
	const folder = "apps/podinfo/"
	for name, test := range map[string]struct {
		target, policy string
		prune          bool
		foreign        map[string]string
		content        map[string]string
		want           map[string]string // what the branch has in the end; nil is that nothing is pushed
		reason         string
	}{
		"elsewhere":                     {"", "", true, map[string]string{"b": "x"}, second, map[string]string{"README.md": "fleet", "b": "x", folder + "a": "2"}, "both stay"},
		"elsewhere, refuse":             {"", "Refuse", true, map[string]string{"b": "x"}, second, map[string]string{"README.md": "fleet", "b": "x", folder + "a": "2"}, "commits outside never matter"},
		"ours changed":                  {"", "Rebase", true, map[string]string{folder + "a": "x"}, first, map[string]string{"README.md": "fleet", folder + "a": "1"}, "on top of theirs"},
		"ours changed, refuse":          {"", "Refuse", true, map[string]string{folder + "a": "x"}, first, nil, "left alone"},
		"ours changed, new, refuse":     {"", "Refuse", true, map[string]string{folder + "a": "x"}, second, nil, "left alone"},
		"beside ours, refuse":           {"", "Refuse", true, map[string]string{folder + "b": "x"}, second, nil, "prune would remove it"},
		"beside ours, no prune, refuse": {"", "Refuse", false, map[string]string{folder + "b": "x"}, second, map[string]string{"README.md": "fleet", folder + "a": "2", folder + "b": "x"}, "what others have added stays"},
		"branch, elsewhere":             {"deploy", "", true, map[string]string{"b": "x"}, second, map[string]string{"README.md": "fleet", "b": "x", folder + "a": "2"}, "their commit is never dropped"},
		"branch, elsewhere, refuse":     {"deploy", "Refuse", true, map[string]string{"b": "x"}, second, map[string]string{"README.md": "fleet", "b": "x", folder + "a": "2"}, "commits outside never matter"},
		"branch, ours changed, refuse":  {"deploy", "Refuse", true, map[string]string{folder + "a": "x"}, second, nil, "left alone"},
		"branch, ours changed":          {"deploy", "", true, map[string]string{folder + "a": "x"}, first, map[string]string{"README.md": "fleet", folder + "a": "1"}, "on top of theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, map[string]string{"README.md": "fleet"})
			gittest.LikeForge(t, s.dir)
			s.create(func(spec *v1alpha1.GitSyncSpec) {
				spec.ConflictPolicy, spec.Prune, spec.CommitTemplate.TargetBranch = test.policy, test.prune, test.target
			})
			branch := s.sync.TargetBranch()
			s.provide("1.0.0", first)
			s.reconcile()
			ours := s.tip(branch).Hash
			theirs := gittest.Commit(t, s.dir, branch, test.foreign)
			s.provide("1.1.0", test.content)
			s.reconcile()
			if test.want == nil {
				s.wantNotReady(v1alpha1.ForeignChangesReason)
				if tip := s.tip(branch).Hash; tip != theirs {
					t.Errorf("%s is at %s, want it left at %s: %s", branch, tip, theirs, test.reason)
				}
				s.change(func(spec *v1alpha1.GitSyncSpec) { spec.ConflictPolicy = v1alpha1.ConflictRebase })
				s.reconcile()
			}
			s.wantReady()
			if test.want != nil {
				s.wantContents(branch, test.want)
			}
			log := gittest.Log(t, s.dir, branch)
			var hashes []string
			for _, entry := range log {
				hashes = append(hashes, entry.Hash)
			}
			if history := strings.Join(hashes, " "); !strings.Contains(history, theirs) || !strings.Contains(history, ours) {
				t.Errorf("history %s lost %s or %s: %s", history, ours, theirs, test.reason)
			}
			gittest.Fsck(t, s.dir)
			s.wantQuiet(0)
		})
	}
}

// TestAmended does not take a commit for ours that others have amended, whatever its message says.
func TestAmended(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.CommitTemplate.TargetBranch = "deploy" })
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.reconcile()
	ours := s.tip("deploy")
	amended := gittest.Apply(t, s.dir, gittest.Change{Branch: "deploy", From: ours.Parents[0], Message: ours.Message, Files: map[string]string{"apps/podinfo/a": "1", "theirs": "x"}})
	s.provide("1.1.0", map[string]string{"a": "2"})
	s.reconcile()
	s.wantReady()
	if tip := s.tip("deploy"); tip.Parents[0] != amended {
		t.Errorf("parent %s, want the amended commit %s", tip.Parents[0], amended)
	}
}

// TestRace lets somebody push between the look and the push, again and again.
func TestRace(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.server.SetFault(gittest.Once(gittest.IsPush, gittest.Before(func() { gittest.Commit(t, s.dir, "main", map[string]string{"b": "x"}) })))
	s.reconcile()
	s.wantReady()
	s.wantContents("main", map[string]string{"README.md": "fleet", "b": "x", "apps/podinfo/a": "1"})

	s.provide("1.1.0", map[string]string{"a": "2"})
	n := 0
	s.server.SetFault(gittest.When(gittest.IsPush, gittest.Before(func() {
		n++
		gittest.Commit(t, s.dir, "main", map[string]string{"b": strings.Repeat("y", n)})
	})))
	s.reconcile()
	if message := reconcilertest.Message(s.sync, "Reconciling"); !strings.Contains(message, "changed by others all the time") {
		t.Errorf("message %q", message)
	}
	s.server.SetFault(nil)
	s.reconcile()
	s.wantReady()
	s.wantContents("main", map[string]string{"README.md": "fleet", "b": strings.Repeat("y", n), "apps/podinfo/a": "2"})
	gittest.Fsck(t, s.dir)
}

// TestLostAnswer does a push whose answer is lost once.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(nil)
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.server.LoseAnswers(gittest.IsPush)
	s.reconcile()
	s.server.LoseAnswers(nil)
	s.reconcile()
	s.wantReady()
	if log := gittest.Log(t, s.dir, "main"); len(log) != 2 {
		t.Errorf("%d commits, want one of ours", len(log))
	}
	s.wantQuiet(0)
}

func TestSources(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.provideStream("1.0.0", snapshot.Opaque, "application/x-yaml", func(w io.Writer) error { _, err := io.WriteString(w, "a: 1\n"); return err })
	s.create(func(spec *v1alpha1.GitSyncSpec) {
		spec.SourceRef, spec.SnapshotRef = nil, &meta.LocalObjectReference{Name: snapshot.Name(v1alpha1.ResourceKind, "manifests")}
	})
	s.reconcile()
	s.wantReady()
	s.wantContents("main", map[string]string{"README.md": "fleet", "apps/podinfo/manifests.yaml": "a: 1\n"})

	s.change(func(spec *v1alpha1.GitSyncSpec) { spec.SnapshotRef.Name = "none" })
	s.reconcile()
	if conditions := reconcilertest.Conditions(s.sync); conditions["Ready"] == "True Succeeded" {
		t.Errorf("conditions %v: there is no such Snapshot", conditions)
	}
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.Suspend = true })
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.forget()
	s.reconcile()
	if requests, writes := s.server.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("%d requests and writes %q, want none", len(requests), writes)
	}
	s.change(func(spec *v1alpha1.GitSyncSpec) { spec.Suspend = false })
	s.reconcile()
	s.wantReady()
}

func TestCrossNamespace(t *testing.T) {
	t.Parallel()
	s := newStage(t, map[string]string{"README.md": "fleet"})
	s.resource = reconcilertest.Resource("manifests", "app", "manifests")
	s.resource.Namespace = "team-b"
	s.Create(s.resource)
	s.provide("1.0.0", map[string]string{"a": "1"})
	s.create(func(spec *v1alpha1.GitSyncSpec) { spec.SourceRef.Namespace = "team-b" })
	s.reconcile()
	s.wantNotReady(v1alpha1.AccessDeniedReason)
	s.options.CrossNamespaceRefs = true
	s.install()
	s.reconcile()
	s.wantReady()
	s.options.NoCrossNamespaceRefs = true
	s.install()
	s.reconcile()
	s.wantNotReady(v1alpha1.AccessDeniedReason)
}

// TestProtocols pushes over TLS with an own authority and a token, and over SSH.
func TestProtocols(t *testing.T) {
	t.Parallel()
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, nil)
		server := gittest.NewServer(t, gittest.Options{TLS: true, Token: "a-token"})
		s.dir = server.Dir("fleet.git")
		gittest.NewRepository(t, s.dir, map[string]string{"README.md": "fleet"}, "main")
		s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("token"), Data: map[string][]byte{"bearerToken": []byte("a-token\n")}})
		s.provide("1.0.0", map[string]string{"a": "1"})
		s.create(func(spec *v1alpha1.GitSyncSpec) {
			spec.Repository.URL, spec.Repository.SecretRef = server.RepositoryURL("fleet.git"), &meta.LocalObjectReference{Name: "token"}
		})
		s.reconcile()
		if conditions := reconcilertest.Conditions(s.sync); conditions["Ready"] == "True Succeeded" {
			t.Fatalf("an authority that nobody knows is trusted: %v", conditions)
		}
		s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("tls"), Data: map[string][]byte{"ca.crt": server.CA}})
		s.change(func(spec *v1alpha1.GitSyncSpec) {
			spec.Repository.CertSecretRef = &meta.LocalObjectReference{Name: "tls"}
		})
		s.reconcile()
		s.wantReady()
		s.wantContents("main", map[string]string{"README.md": "fleet", "apps/podinfo/a": "1"})
	})
	t.Run("SSH", func(t *testing.T) {
		t.Parallel()
		s := newStage(t, nil)
		key := gittest.NewKey(t, gittest.Ed25519, "a passphrase")
		server := gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
		s.dir = server.Dir("fleet.git")
		gittest.NewRepository(t, s.dir, map[string]string{"README.md": "fleet"}, "main")
		s.Create(&corev1.Secret{ObjectMeta: reconcilertest.Named("ssh"), Data: map[string][]byte{
			"identity": key.Private, "password": []byte("a passphrase"), "known_hosts": server.KnownHosts,
		}})
		s.provide("1.0.0", map[string]string{"a": "1"})
		s.create(func(spec *v1alpha1.GitSyncSpec) {
			spec.Repository.URL, spec.Repository.SecretRef = server.URL("fleet.git"), &meta.LocalObjectReference{Name: "ssh"}
		})
		s.reconcile()
		s.wantReady()
		s.wantContents("main", map[string]string{"README.md": "fleet", "apps/podinfo/a": "1"})

		stranger := gittest.NewKey(t, gittest.Ed25519, "")
		secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("ssh")}
		s.Change(secret, func() {
			secret.Data["known_hosts"] = []byte(strings.SplitN(string(server.KnownHosts), " ", 2)[0] + " " + string(stranger.Public))
		})
		s.reconcile()
		s.wantNotReady(v1alpha1.AuthenticationFailedReason)
	})
}
