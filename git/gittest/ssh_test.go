package gittest_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

func TestSSH(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, gittest.SSHOptions) (*gittest.SSHServer, error){
		"go": func(t *testing.T, o gittest.SSHOptions) (*gittest.SSHServer, error) {
			t.Helper()
			return gittest.NewSSH(t, o), nil
		},
		"openssh": func(t *testing.T, o gittest.SSHOptions) (*gittest.SSHServer, error) {
			t.Helper()
			return gittest.NewOpenSSH(t, o)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			writer, reader, stranger := gittest.NewKey(t, gittest.Ed25519, ""), gittest.NewKey(t, gittest.ECDSA, ""), gittest.NewKey(t, gittest.RSA, "")
			s, err := start(t, gittest.SSHOptions{
				Authorized: [][]byte{writer.Public}, ReadOnly: [][]byte{reader.Public}, HostKeys: []gittest.KeyKind{gittest.Ed25519, gittest.RSA, gittest.ECDSA},
			})
			if err != nil {
				t.Skipf("OpenSSH's server can't run here: %v", err)
			}
			useSSH(t, s, writer, reader, stranger)
		})
	}
}

func useSSH(t *testing.T, s *gittest.SSHServer, writer, reader, stranger gittest.Key) {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatalf("the tests need ssh: %v", err)
	}
	gittest.NewRepository(t, s.Dir("team/site.git"), map[string]string{"a": "1"}, "main")
	knownHosts := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, knownHosts, string(s.KnownHosts))
	as := func(key gittest.Key, more ...string) []string {
		path := filepath.Join(t.TempDir(), "key")
		writeFile(t, path, string(key.Private))
		return []string{"-c", fmt.Sprintf("core.sshCommand=%s -F none -i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes "+
			"-o UserKnownHostsFile=%s -o GlobalKnownHostsFile=none -o StrictHostKeyChecking=yes %s", ssh, path, knownHosts, strings.Join(more, " "))}
	}
	for _, algorithm := range []string{"ssh-ed25519", "rsa-sha2-512", "ecdsa-sha2-nistp256"} {
		if out, err := gittest.TryGit(t, t.TempDir(), append(as(reader, "-o HostKeyAlgorithms="+algorithm), "ls-remote", s.URL("team/site.git"))...); err != nil {
			t.Errorf("host key %s: %v\n%s", algorithm, err, out)
		}
	}
	if out, err := push(t, s.URL("team/site.git"), as(writer)...); err != nil {
		t.Errorf("push: %v\n%s", err, out)
	}
	if files := gittest.Contents(t, s.Dir("team/site.git"), "main"); len(files) != 2 || files["a"] != "1" || files["pushed"] == "" {
		t.Errorf("got %d files, a has %q; want a and what was pushed", len(files), files["a"])
	}
	if out, err := push(t, s.URL("team/site.git"), as(reader)...); err == nil || !strings.Contains(out, "marked as read only") {
		t.Errorf("push by a key that may only read: %v\n%s", err, out)
	}
	if out, err := push(t, s.URL("team/site.git"), as(stranger)...); err == nil || !strings.Contains(out, "Permission denied") {
		t.Errorf("a key that nobody knows: %v\n%s", err, out)
	}
	if out, err := push(t, s.URL("absent.git"), as(writer)...); err == nil || !strings.Contains(out, "does not appear to be a git repository") {
		t.Errorf("a repository that is not there: %v\n%s", err, out)
	}
	writeFile(t, knownHosts, "")
	if out, err := push(t, s.URL("team/site.git"), as(writer)...); err == nil || !strings.Contains(out, "Host key verification failed") {
		t.Errorf("a host that nobody knows: %v\n%s", err, out)
	}
	gittest.Fsck(t, s.Dir("team/site.git"))
}

func TestSSHRunsGitOnly(t *testing.T) {
	t.Parallel()
	key := gittest.NewKey(t, gittest.Ed25519, "")
	s := gittest.NewSSH(t, gittest.SSHOptions{Authorized: [][]byte{key.Public}})
	path := filepath.Join(t.TempDir(), "key")
	writeFile(t, path, string(key.Private))
	host, port, _ := strings.Cut(s.Address, ":")
	out, err := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-i", path, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-p", port, "git@"+host, "cat /etc/passwd").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "this server runs git only") {
		t.Errorf("got %v\n%s", err, out)
	}
	if diff := cmp.Diff([]string{"cat /etc/passwd"}, s.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}
