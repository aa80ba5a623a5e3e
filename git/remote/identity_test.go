package remote

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// TestIdentityBounds refuses keys that would take hours to open.
func TestIdentityBounds(t *testing.T) {
	t.Parallel()
	slow := func(rounds uint32) []byte {
		options := ssh.Marshal(struct {
			Salt   string
			Rounds uint32
		}{"0123456789abcdef", rounds})
		key := ssh.Marshal(struct{ Cipher, Hash, Options string }{"aes256-ctr", "bcrypt", string(options)})
		return pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append([]byte("openssh-key-v1\x00"), key...)})
	}
	for name, c := range map[string]struct {
		identity []byte
		says     string
	}{
		"rounds": {identity: slow(1 << 31), says: "hashed more than"},
		"size":   {identity: bytes.Repeat([]byte("a"), maxIdentity+1), says: "more than 32768 bytes"},
		"few":    {identity: slow(100), says: "not a private key"},
	} {
		_, err := identity(Auth{Identity: c.identity, Passphrase: "secret"})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.says)
		}
	}
}

// TestClean makes a line of what servers say.
func TestClean(t *testing.T) {
	t.Parallel()
	r := &Remote{secrets: secretsOf(Options{Auth: Auth{Username: "ann", Password: "secret-of-ann"}})}
	for name, c := range map[string]struct{ said, want string }{
		"lines":      {said: "one\n\n  two\t2 \n", want: "one; two 2"},
		"progress":   {said: "10%\r50%\r100%, done.\r\nend", want: "100%, done.; end"},
		"escapes":    {said: "\x1b[31mred\x00\x07", want: "[31mred"},
		"no text":    {said: "a\xff\xfeb", want: "a??b"},
		"password":   {said: "Authorization: secret-of-ann", want: "Authorization: ***"},
		"basic":      {said: "Basic YW5uOnNlY3JldC1vZi1hbm4=", want: "Basic ***"},
		"long":       {said: strings.Repeat("ä", 1000), want: strings.Repeat("ä", 254) + "..."},
		"very long":  {said: strings.Repeat("a", 10*maxHeard), want: strings.Repeat("a", maxText-3) + "..."},
		"right mark": {said: "a\u202eb\u200dc", want: "abc"},
	} {
		if got := r.clean(c.said); got != c.want {
			t.Errorf("%s: %q became %q, want %q", name, c.said, got, c.want)
		}
	}
}

// TestCleanSecrets takes credentials out in each form, and from where some forges take them.
func TestCleanSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		auth Auth
		said string
	}{
		"token as user":              {auth: Auth{Username: "token-of-ann"}, said: "no user token-of-ann"},
		"token as user with a word":  {auth: Auth{Username: "token-of-ann", Password: "x-oauth-basic"}, said: "no user token-of-ann"},
		"password in a query":        {auth: Auth{Username: "ann", Password: "token of&ann"}, said: "?p=token+of%26ann"},
		"password in a path":         {auth: Auth{Username: "ann", Password: "token of&ann"}, said: "/token%20of&ann"},
		"password in a path, as was": {auth: Auth{Username: "ann", Password: "token of&ann"}, said: "token of&ann"},
	} {
		r := &Remote{secrets: secretsOf(Options{Auth: c.auth})}
		if got := r.clean(c.said); strings.Contains(got, "token") || !strings.Contains(got, "***") {
			t.Errorf("%s: %q becomes %q", name, c.said, got)
		}
	}
}

// TestPreferredKeys asks a host for its own keys first, and for certificates only where an authority is known for it.
func TestPreferredKeys(t *testing.T) {
	t.Parallel()
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKJ1RSiTBOsYyQvOYhhAvBhmMrlDLuzH3ZOPSJ1lLwCb\n"
	for known, want := range map[string]string{
		"h" + key:                    ssh.KeyAlgoED25519,
		"# @cert-authority\nh" + key: ssh.KeyAlgoED25519,
		"@cert-authority *.acme.org" + key + "h" + key: ssh.KeyAlgoED25519,
		"@cert-authority *" + key + "h" + key:          ssh.KeyAlgoED25519 + " " + ssh.CertAlgoED25519v01,
		"@cert-authority *" + key:                      ssh.CertAlgoED25519v01,
	} {
		keys, err := parseKnownHosts([]byte(known), &URL{Host: "h", Port: "22"}, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		// Of certificates, one kind stands for all.
		if got := strings.Join(keys.algorithms, " "); !strings.HasPrefix(got+" ", want+" ") || strings.Contains(got, "cert") != strings.Contains(want, "cert") {
			t.Errorf("%q gives %q, want %q first", known, got, want)
		}
	}
}
