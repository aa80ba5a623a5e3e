package sign

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// need skips a test on a machine without a program.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("this test verifies with the real %s, which is not installed: %v", program, err)
		}
	}
}

// run runs a program that sees no configuration but what is given.
func run(t *testing.T, env []string, input []byte, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
	}, env...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, env []string, input []byte, name string, args ...string) string {
	t.Helper()
	out, err := run(t, env, input, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// commit is one as the operator makes it.
func commit(message string) *object.Commit {
	when := object.Signature{Name: "OCM <operator>\ntree 0", Email: "ocm@acme.example", When: time.Now()}
	return &object.Commit{Author: when, Committer: when, Message: message, TreeHash: plumbing.NewHash(emptyTree)}
}

// verifier is a repository of git that verifies commits.
type verifier struct {
	dir string
	env []string
}

func newVerifier(t *testing.T, env ...string) verifier {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r.git")
	must(t, nil, nil, "git", "init", "-q", "--bare", dir)
	must(t, nil, nil, "git", "-C", dir, "mktree")
	return verifier{dir, env}
}

// trustSSH makes the verifier accept a public key.
func (v verifier) trustSSH(t *testing.T, publicKey []byte) {
	t.Helper()
	file := filepath.Join(v.dir, "allowed_signers")
	if err := os.WriteFile(file, append([]byte("ocm@acme.example "), publicKey...), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, nil, nil, "git", "-C", v.dir, "config", "gpg.ssh.allowedSignersFile", file)
}

// verify stores a commit and verifies it with git.
func (v verifier) verify(t *testing.T, raw []byte) (string, error) {
	t.Helper()
	hash := must(t, nil, raw, "git", "-C", v.dir, "hash-object", "-t", "commit", "-w", "--stdin")
	if want := plumbing.ComputeHash(plumbing.CommitObject, raw).String(); hash != want {
		t.Fatalf("git stored %s, want %s", hash, want)
	}
	must(t, nil, nil, "git", "-C", v.dir, "fsck", "--strict", hash)
	return run(t, v.env, nil, "git", "-C", v.dir, "verify-commit", "-v", hash)
}

// checkVerified signs a commit, lets git verify it, and then a forged one.
func checkVerified(t *testing.T, v verifier, s *Signer, good string) {
	t.Helper()
	raw, err := Commit(commit("deploy 1.0.0\n\nOcm-Version: 1.0.0\n"), s)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := v.verify(t, raw); err != nil || !strings.Contains(out, good) {
		t.Fatalf("git does not verify the commit: %v\n%s\n%s", err, out, raw)
	}
	if out, err := v.verify(t, bytes.Replace(raw, []byte("deploy 1.0.0"), []byte("deploy 6.6.6"), 1)); err == nil {
		t.Fatalf("git verifies a forged commit:\n%s", out)
	}
}
