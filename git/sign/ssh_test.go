package sign

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sshKey makes a key with ssh-keygen.
func sshKey(t *testing.T, passphrase string, args ...string) (private, public []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	must(t, nil, nil, "ssh-keygen", append([]string{"-q", "-C", "somebody@example", "-N", passphrase, "-f", file}, args...)...)
	var err error
	if private, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if public, err = os.ReadFile(file + ".pub"); err != nil {
		t.Fatal(err)
	}
	return private, public
}

func TestSSH(t *testing.T) {
	t.Parallel()
	need(t, "git", "ssh-keygen")
	for name, tc := range map[string]struct {
		passphrase string
		args       string
		key        string
		begins     string
	}{
		"ed25519":                     {"", "-t ed25519", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"ed25519 with passphrase":     {"of mine", "-t ed25519 -a 24", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"ed25519 with password":       {"of mine", "-t ed25519", PasswordKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"ecdsa 256":                   {"", "-t ecdsa -b 256", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"ecdsa 384 with passphrase":   {"of mine", "-t ecdsa -b 384", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"ecdsa 521, PEM":              {"", "-t ecdsa -b 521 -m PEM", PassphraseKey, "-----BEGIN EC PRIVATE KEY"},
		"ecdsa, PKCS #8":              {"", "-t ecdsa -m PKCS8", PassphraseKey, "-----BEGIN PRIVATE KEY"},
		"ecdsa, PEM with passphrase":  {"of mine", "-t ecdsa -m PEM", PassphraseKey, "-----BEGIN EC PRIVATE KEY"},
		"rsa":                         {"", "-t rsa -b 2048", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"rsa with passphrase":         {"of mine", "-t rsa -b 2048", PassphraseKey, "-----BEGIN OPENSSH PRIVATE KEY"},
		"rsa, PEM":                    {"", "-t rsa -b 2048 -m PEM", PassphraseKey, "-----BEGIN RSA PRIVATE KEY"},
		"rsa, PEM with passphrase":    {"of mine", "-t rsa -b 2048 -m PEM", PassphraseKey, "-----BEGIN RSA PRIVATE KEY"},
		"rsa, PKCS #8":                {"", "-t rsa -b 2048 -m PKCS8", PassphraseKey, "-----BEGIN PRIVATE KEY"},
		"passphrase ends with a line": {"of mine", "-t ed25519", PassphraseKey + "\n", "-----BEGIN OPENSSH PRIVATE KEY"},
		"passphrase is not needed":    {"", "-t ed25519", PassphraseKey + "\n", "-----BEGIN OPENSSH PRIVATE KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			private, public := sshKey(t, tc.passphrase, strings.Fields(tc.args)...)
			if !strings.HasPrefix(string(private), tc.begins) {
				t.Fatalf("ssh-keygen made another format: %.40s", private)
			}
			data := map[string][]byte{SSHKey: private}
			key, end := strings.CutSuffix(tc.key, "\n")
			data[key] = []byte(tc.passphrase)
			if end {
				data[key] = []byte(tc.passphrase + "\n")
			}
			s, err := FromSecret(data)
			if err != nil {
				t.Fatal(err)
			}
			fingerprint := strings.Fields(must(t, nil, public, "ssh-keygen", "-lf", "-"))[1]
			if s.String() != "SSH key "+fingerprint {
				t.Errorf("want the fingerprint %s, got %s", fingerprint, s)
			}
			v := newVerifier(t)
			v.trustSSH(t, public)
			checkVerified(t, v, s, `Good "git" signature for ocm@acme.example`)
		})
	}
}

// TestSSHNamespace shows that a signature of a commit is none of a file, and that it says sha512.
func TestSSHNamespace(t *testing.T) {
	t.Parallel()
	need(t, "ssh-keygen")
	private, public := sshKey(t, "", "-t", "ed25519")
	s, err := FromSecret(map[string][]byte{SSHKey: private})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Sign([]byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"sig": text, "allowed": "me " + string(public)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify := []string{"-Y", "verify", "-f", filepath.Join(dir, "allowed"), "-I", "me", "-s", filepath.Join(dir, "sig"), "-n"}
	must(t, nil, []byte("content"), "ssh-keygen", append(verify, "git")...)
	if out, err := run(t, nil, []byte("content"), "ssh-keygen", append(verify, "file")...); err == nil {
		t.Errorf("the signature holds for files: %s", out)
	}
}
