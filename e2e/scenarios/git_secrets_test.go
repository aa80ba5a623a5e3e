package scenarios_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/git/gittest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// gitSyncPage is the reference of GitSyncs, whose commands and examples are tried here.
const gitSyncPage = "../spec/v1alpha1/gitsync.md"

// TestSignedCommitsOverSSH makes the Secrets for SSH and for signatures as the reference says, and pushes with its example of a push to a
// branch directly.
func TestSignedCommitsOverSSH(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "configuration")
	apply(t, e, registry, "configuration/deliver.yaml")
	s := openShell(t, e, registry, "configuration")
	s.page = file(t, gitSyncPage)
	s.env = append(s.env, "TOKEN=not-needed-without-pull-requests")

	server, signers := makeIdentities(t, s)
	dir := server.Dir("acme/fleet.git")
	gittest.NewRepository(t, dir, map[string]string{"README.md": "What our clusters run.\n"}, "production")

	e.Wait("Configuration", "manifests", e2etest.Ready)
	snapshot := e.Kubectl("get", "configuration", "manifests", "--output", "jsonpath={.status.snapshotName}")
	s.write(t, "gitsync.yaml", []byte(replaced(t, fenced(t, s.page, "yaml", "baseBranch: production\n"),
		"namespace: default", "namespace: "+e.Namespace, "podinfo-k3jd7qa", strings.TrimSpace(snapshot), "git@git.example.com:acme/fleet.git", server.URL("acme/fleet.git"),
		"baseBranch: production\n", "baseBranch: production\n    signing:\n      secretRef:\n        name: signing-key\n")))
	s.do(t, "kubectl apply -f gitsync.yaml")
	e.Wait("GitSync", "podinfo", e2etest.Ready, e2etest.Field("production", "status", "branch"))

	commit := gittest.Git(t, dir, "cat-file", "commit", "production")
	if !strings.Contains(commit, "-----BEGIN SSH SIGNATURE-----") {
		t.Errorf("the commit has no signature:\n%s", commit)
	}
	if installed("ssh-keygen") {
		gittest.Git(t, dir, "-c", "gpg.ssh.allowedSignersFile="+signers, "verify-commit", "production")
	}
	if files := gittest.Contents(t, dir, "production"); len(files) != 3 || files["podinfo/deployment.yaml"] == "" {
		t.Errorf("got the files %v", files)
	}
	gittest.Fsck(t, dir)
}

// makeIdentities runs the commands of the page that make keys and Secrets, and starts a server that knows the key in between. It returns
// the file by which git knows whose signatures to trust. Where OpenSSH is not installed the keys are made here.
func makeIdentities(t *testing.T, s *shell) (server *gittest.SSHServer, signers string) {
	t.Helper()
	for block, name := range map[string]string{"ssh-keyscan": "identity", "signing-key": "signing"} {
		lines := strings.Split(strings.TrimSpace(fenced(t, s.page, "sh", block)), "\n")
		if installed("ssh-keygen") {
			s.do(t, lines[0])
		} else {
			key := gittest.NewKey(t, gittest.Ed25519, "")
			s.write(t, name, key.Private)
			s.write(t, name+".pub", key.Public)
		}
		rest := lines[1:]
		if name == "identity" {
			server = gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{s.read(t, "identity.pub")}})
			rest = knowHost(t, s, server, rest)
		}
		s.do(t, strings.Join(rest, "\n"))
	}
	s.write(t, "signers", append([]byte("ocm@acme.org "), s.read(t, "signing.pub")...))
	return server, filepath.Join(s.dir, "signers")
}

// knowHost asks the server for its key as the page does, and returns the commands after that.
func knowHost(t *testing.T, s *shell, server *gittest.SSHServer, lines []string) []string {
	t.Helper()
	if !installed("ssh-keyscan") {
		s.write(t, "known_hosts", server.KnownHosts)
		return lines[1:]
	}
	host, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{replaced(t, lines[0], "git.example.com", "-p "+port+" "+host)}, lines[1:]...)
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// fenced returns the block of a page in a language that has a text.
func fenced(t *testing.T, page, language, having string) string {
	t.Helper()
	for _, block := range strings.Split(page, "```"+language+"\n")[1:] {
		if block, _, _ := strings.Cut(block, "```"); strings.Contains(block, having) {
			return block
		}
	}
	t.Fatalf("no block of the page has %q", having)
	return ""
}
