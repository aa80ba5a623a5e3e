package gitsync

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// TestObjects uses the fields of a GitSync, and what else it obeys.
func TestObjects(t *testing.T) {
	w := newWorld(t)
	h, secure := plainHost(t), sshHost(t)
	t.Run("all", func(t *testing.T) {
		for name, test := range map[string]func(t *testing.T, w *world, h *host){
			"signed with an SSH key": signedBySSH, "signed with an OpenPGP key": signedByOpenPGP, "suspended": suspended, "requested": requestedAt,
			"other namespace": otherNamespace, "snapshot reference": snapshotReference, "leaves while the server is down": leaves, "single file": singleFile,
			"columns": columns,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, w.forTest(t), h)
			})
		}
		for name, test := range map[string]func(t *testing.T, w *world, h *host){"without known_hosts": withoutKnownHosts, "another host key": otherHostKey} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, w.forTest(t), secure)
			})
		}
	})
}

// signedBySSH has commits verified by git with the public key of the Secret's.
func signedBySSH(t *testing.T, w *world, h *host) {
	key := gittest.NewKey(t, gittest.Ed25519, "a passphrase")
	signers := filepath.Join(t.TempDir(), "signers")
	if err := os.WriteFile(signers, append([]byte("ocm@acme.org "), key.Public...), 0o600); err != nil {
		t.Fatal(err)
	}
	signed(t, w, h, map[string]string{"identity": string(key.Private), "passphrase": "a passphrase"}, func(r *repository) (string, error) {
		return verifyCommit(t, r, nil, "-c", "gpg.format=ssh", "-c", "gpg.ssh.allowedSignersFile="+signers)
	})
}

// signedByOpenPGP likewise, with the keyring of somebody who trusts the key.
func signedByOpenPGP(t *testing.T, w *world, h *host) {
	entity, err := openpgp.NewEntity("ocm", "", "ocm@acme.org", nil)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	public := armored(t, openpgp.PublicKeyType, func(out *bytes.Buffer) error { return entity.Serialize(out) })
	private := armored(t, openpgp.PrivateKeyType, func(out *bytes.Buffer) error { return entity.SerializePrivate(out, nil) })
	importKey := exec.CommandContext(t.Context(), "gpg", "--homedir", home, "--batch", "--import")
	importKey.Stdin = strings.NewReader(public)
	if out, err := importKey.CombinedOutput(); err != nil {
		t.Fatalf("import the public key: %v\n%s", err, out)
	}
	signed(t, w, h, map[string]string{"git.asc": private}, func(r *repository) (string, error) {
		return verifyCommit(t, r, []string{"GNUPGHOME=" + home})
	})
}

func armored(t *testing.T, kind string, write func(out *bytes.Buffer) error) string {
	t.Helper()
	var raw, text bytes.Buffer
	if err := write(&raw); err != nil {
		t.Fatal(err)
	}
	out, err := armor.Encode(&text, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String() + "\n"
}

// verifyCommit has git verify the tip of main.
func verifyCommit(t *testing.T, r *repository, env []string, config ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append(config, "verify-commit", "--verbose", "main")...)
	cmd.Dir, cmd.Env = r.dir, append(gittest.Environment(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// signed waits for the key to be named before there is one, pushes commits, and wants all of them to be verified.
func signed(t *testing.T, w *world, h *host, key map[string]string, verify func(r *repository) (string, error)) {
	t.Helper()
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.CommitTemplate.Signing = &v1alpha1.CommitSigning{SecretRef: *secretRef("signing-key")}
	w.sync(app, s)
	w.fails(app, v1alpha1.CredentialsNotFoundReason, "signing-key")
	w.secret("signing-key", key)
	w.synced(app, "1.0.0")
	if out, err := verify(r); err != nil {
		t.Errorf("git does not verify the first commit: %v\n%s", err, out)
	}
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	if out, err := verify(r); err != nil {
		t.Errorf("git does not verify the second commit: %v\n%s", err, out)
	}
	gittest.Fsck(t, r.dir)
}

// suspended pushes nothing, until it is resumed.
func suspended(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	w.sync(app, s)
	obj := w.synced(app, "1.0.0")
	s.Suspend = true
	w.sync(app, s)
	w.publish("2.0.0", v2...)
	// Another one that is not suspended has seen the version: so would this one have.
	other := spec(r)
	other.SubPath = "clusters/witness"
	w.sync("witness", other)
	w.synced("witness", "2.0.0")
	if files := r.files("main"); files[subPath+"/app.yaml"] != "100644 version: 1\n" {
		t.Errorf("the folder of the suspended one holds %q", files[subPath+"/app.yaml"])
	}
	if now := w.await(app); now.Status.Commit != obj.Status.Commit {
		t.Errorf("the suspended one has commit %s, had %s", now.Status.Commit, obj.Status.Commit)
	}
	s.Suspend = false
	w.sync(app, s)
	w.synced(app, "2.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v2), below("clusters/witness", v2)))
}

// requestedAt makes good what others have done, at once.
func requestedAt(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	w.sync(app, spec(r))
	w.synced(app, "1.0.0")
	r.commit("main", nil, subPath)
	w.synced(app, "1.0.0", w.request(app))
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v1)))
}

// otherNamespace has content that nobody outside may push anywhere.
func otherNamespace(t *testing.T, w *world, h *host) {
	owner := w.forTest(t)
	owner.deliver("1.0.0", v1...)
	r := h.repository(w, own)
	before := gittest.Branches(t, r.dir)
	s := spec(r)
	s.SourceRef.Namespace = owner.Namespace
	w.sync(app, s)
	w.fails(app, v1alpha1.AccessDeniedReason, owner.Namespace, "--git-cross-namespace-refs")
	unchanged(t, r, before)
}

// snapshotReference names the Snapshot in place of the object that owns it, before there is one.
func snapshotReference(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	s := spec(r)
	s.SourceRef, s.SnapshotRef = nil, secretRef(w.snapshotName())
	w.sync(app, s)
	w.fails(app, v1alpha1.SourceRefNotReadyReason, w.snapshotName())
	w.deliver("1.0.0", v1...)
	w.synced(app, "1.0.0")
	w.publish("2.0.0", v2...)
	w.synced(app, "2.0.0")
	r.expect("main", merged(without(plain(own), subPath+"/by-hand.yaml"), below(subPath, v2)))
}

// leaves is a namespace that is deleted when the server does not answer: nothing holds it up.
func leaves(t *testing.T, w *world, _ *host) {
	server := gittest.NewServer(t, gittest.Options{})
	r := webHost("down", server, map[string]string{"username": user, "password": password}, nil).repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.CommitTemplate.TargetBranch = "deploy/site"
	w.sync(app, s)
	w.synced(app, "1.0.0")
	arrived, hang := make(chan struct{}, 1), gittest.Hang()
	server.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case arrived <- struct{}{}:
		default:
		}
		return hang(w, r)
	})
	w.publish("2.0.0", v2...)
	w.Eventually("the operator asks the server", func() error {
		select {
		case <-arrived:
			return nil
		default:
			return errors.New("nobody has come")
		}
	})
	// The cluster of the tests has nobody who empties a namespace that is going; this is what they do.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	if err := w.Client.Delete(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds[:1] {
		w.Delete(kind, app)
	}
	w.Gone(v1alpha1.GitSyncKind, app)
}

// singleFile is content that is no archive: it is a file of the folder.
func singleFile(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.publishContent("1.0.0", []byte("just text\n"))
	w.follow()
	s := spec(r)
	s.Prune = false
	w.sync(app, s)
	w.synced(app, "1.0.0")
	added := without(r.files("main"), "README.md", ".gitignore", "clusters/other/app.yaml", subPath+"/by-hand.yaml")
	for path, content := range added {
		if filepath.Dir(path) != subPath || content != "100644 just text\n" {
			t.Errorf("%s holds %q", path, content)
		}
	}
	if len(added) != 1 {
		t.Errorf("added were %v, want one file", added)
	}
}

// columns are what kubectl shows.
func columns(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	w.sync(app, spec(r))
	w.synced(app, "1.0.0")
	lines := strings.Split(strings.TrimSpace(w.Kubectl("get", "gs", app)), "\n")
	if got := strings.Join(strings.Fields(lines[0]), " "); got != "NAME READY BRANCH PR AGE STATUS" {
		t.Errorf("the columns are %q", got)
	}
	if !strings.Contains(lines[1], "True") || !strings.Contains(lines[1], "main") {
		t.Errorf("the row is %q", lines[1])
	}
}

// withoutKnownHosts could be talking to anybody.
func withoutKnownHosts(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	w.deliver("1.0.0", v1...)
	s := spec(r)
	s.Repository.SecretRef = secretRef("incomplete")
	w.secret("incomplete", without(h.good, "known_hosts"))
	w.sync(app, s)
	w.fails(app, v1alpha1.CredentialsNotFoundReason, "incomplete", "known_hosts")
	w.secret("incomplete", h.good)
	w.synced(app, "1.0.0")
}

// otherHostKey is a host that is not the one it was.
func otherHostKey(t *testing.T, w *world, h *host) {
	r := h.repository(w, own)
	before := gittest.Branches(t, r.dir)
	w.deliver("1.0.0", v1...)
	stranger := gittest.NewSSH(t, gittest.SSHOptions{})
	lines := strings.Fields(string(stranger.KnownHosts))
	known := strings.Fields(h.good["known_hosts"])
	w.secret("changed", merged(h.good, map[string]string{"known_hosts": strings.Join([]string{known[0], lines[1], lines[2]}, " ") + "\n"}))
	s := spec(r)
	s.Repository.SecretRef = secretRef("changed")
	w.sync(app, s)
	w.fails(app, v1alpha1.AuthenticationFailedReason, "key of the host", "known_hosts")
	unchanged(t, r, before)
	if seen := h.seen(r); len(seen) > 0 {
		t.Errorf("commands were run all the same: %q", seen)
	}
}
