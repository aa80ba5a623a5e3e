package sign

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // to see that such keys are refused
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"golang.org/x/crypto/ssh"
)

// rounds returns an encrypted key of OpenSSH whose header says how many rounds it takes to open.
func rounds(t *testing.T, n uint32) []byte {
	t.Helper()
	options := ssh.Marshal(struct {
		Salt   string
		Rounds uint32
	}{"0123456789abcdef", n})
	body := ssh.Marshal(struct {
		Cipher, KDF, Options string
		Keys                 uint32
		Public, Private      string
	}{"aes256-ctr", "bcrypt", string(options), 1, "", strings.Repeat("x", 32)})
	return pem.EncodeToMemory(&pem.Block{Type: opensshType, Bytes: append([]byte(opensshMagic), body...)})
}

func dsaKey(t *testing.T) []byte {
	t.Helper()
	var k dsa.PrivateKey
	if err := dsa.GenerateParameters(&k.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&k, rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal([]*big.Int{new(big.Int), k.P, k.Q, k.G, k.Y, k.X})
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: der})
}

func TestSSHRefused(t *testing.T) {
	t.Parallel()
	need(t, "ssh-keygen")
	plain, public := sshKey(t, "", "-t", "ed25519")
	locked, _ := sshKey(t, "of mine", "-t", "ed25519")
	lockedPEM, _ := sshKey(t, "of mine", "-t", "rsa", "-b", "2048", "-m", "PEM")
	lockedPKCS8, _ := sshKey(t, "of mine", "-t", "ecdsa", "-m", "PKCS8")
	for name, tc := range map[string]struct {
		key        []byte
		passphrase string
		want       string
	}{
		"empty":                 {nil, "", "key identity of the Secret for signing is empty"},
		"spaces":                {[]byte(" \n"), "", "is empty"},
		"too large":             {bytes.Repeat(plain, maxSSH/len(plain)+1), "", "has more than 16 KiB"},
		"too large passphrase":  {plain, strings.Repeat("x", maxPassphrase+1), "key passphrase of the Secret for signing has more than 4096 bytes"},
		"text":                  {[]byte("my secret is not in this format"), "", "is not a private key in the format of OpenSSH or PEM"},
		"public":                {public, "", "is a public key: set it to the private key"},
		"public, PEM":           {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("abc")}), "", "is a public key"},
		"putty":                 {[]byte("PuTTY-User-Key-File-3: ssh-ed25519\n"), "", "convert it with puttygen"},
		"two":                   {append(bytes.Clone(plain), plain...), "", "more than one block"},
		"cut":                   {pem.EncodeToMemory(&pem.Block{Type: opensshType, Bytes: []byte(opensshMagic + "\x00")}), "", "cannot be read: it is damaged"},
		"certificate":           {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("abc")}), "", "cannot be read"},
		"dsa":                   {dsaKey(t), "", "DSA"},
		"rounds":                {rounds(t, 2000), "of mine", "takes 2000 rounds to open: at most 512 are allowed"},
		"no passphrase":         {locked, "", "identity of the Secret for signing is protected by a passphrase: set the key passphrase"},
		"wrong passphrase":      {locked, "of yours", "passphrase of the Secret for signing is not the passphrase of identity"},
		"no passphrase, PEM":    {lockedPEM, "", "is protected by a passphrase"},
		"wrong passphrase, PEM": {lockedPEM, "of yours", "is not the passphrase of identity"},
		"PKCS #8":               {lockedPKCS8, "of mine", "encrypted as PKCS #8, which is not supported: convert it with ssh-keygen -p"},
		"openpgp":               {[]byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\naGVsbG8=\n-----END PGP PRIVATE KEY BLOCK-----\n"), "", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := map[string][]byte{SSHKey: tc.key, PassphraseKey: []byte(tc.passphrase)}
			checkRefused(t, data, tc.want)
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		checkRefused(t, map[string][]byte{SSHKey: locked, PasswordKey: []byte("of yours")}, "key password of the Secret for signing is not the passphrase of identity")
	})
}

func TestFromSecretRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"nothing": {nil, "has no key: set git.asc to an OpenPGP private key in armor, or identity to an SSH private key"},
		"others":  {map[string][]byte{"git.gpg": []byte("aaaa bbbb cccc"), PassphraseKey: []byte("of mine")}, "has no key"},
		"both":    {map[string][]byte{OpenPGPKey: []byte("a"), SSHKey: []byte("b")}, "has two keys, git.asc and identity: remove"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefused(t, tc.data, tc.want)
		})
	}
}

func TestCommit(t *testing.T) {
	t.Parallel()
	when := time.Unix(1700000000, 0).In(time.FixedZone("", 3600))
	c := commit("a\n\nb\n")
	c.Author.When, c.Committer.When = when, when
	c.Committer.Name, c.Committer.Email = ` "Some" One. `, "<one@acme.example>"
	c.ParentHashes = []plumbing.Hash{plumbing.NewHash("0123456789012345678901234567890123456789")}
	c.PGPSignature, c.ExtraHeaders = "forged", []object.ExtraHeader{{Key: "gpgsig-x", Value: "forged"}}
	got, err := Commit(c, nil)
	const want = "tree " + emptyTree + "\nparent 0123456789012345678901234567890123456789\nauthor OCM operatortree 0 <ocm@acme.example> 1700000000 +0100\n" +
		"committer Some\" One <one@acme.example> 1700000000 +0100\n\na\n\nb\n"
	if err != nil || string(got) != want {
		t.Errorf("want\n%s\ngot %v\n%s", want, err, got)
	}
	if c.Committer.Email != "<one@acme.example>" || c.PGPSignature != "forged" {
		t.Error("the commit that was given has changed")
	}
	for name, change := range map[string]func(*object.Commit){
		"author":    func(c *object.Commit) { c.Author.Name = " <>\n" },
		"committer": func(c *object.Commit) { c.Committer.Email = "\x00" },
	} {
		c := commit("a")
		change(c)
		if _, err := Commit(c, nil); !errors.Is(err, ErrNobody) {
			t.Errorf("%s: want ErrNobody, got %v", name, err)
		}
	}
	if _, err := Commit(commit("a\x00b"), nil); err == nil || !strings.Contains(err.Error(), "zero byte") {
		t.Errorf("want an error about the zero byte, got %v", err)
	}
}

// FuzzFromSecret reads keys. One that can be read can sign, and what is refused is refused with a KeyError that tells nothing.
func FuzzFromSecret(f *testing.F) {
	f.Add(SSHKey, pem.EncodeToMemory(&pem.Block{Type: opensshType, Bytes: []byte(opensshMagic)}), []byte(nil))
	f.Add(SSHKey, []byte("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n"), []byte(nil))
	f.Add(SSHKey, []byte("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END EC PRIVATE KEY-----\n"), []byte("of mine"))
	f.Add(OpenPGPKey, armored(f, entity(f, time.Now().Add(-time.Hour), 0)), []byte(nil))
	f.Add(OpenPGPKey, []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\naGVsbG8=\n=AAAA\n-----END PGP PRIVATE KEY BLOCK-----\n"), []byte("of mine"))
	f.Fuzz(func(t *testing.T, name string, key, passphrase []byte) {
		data := map[string][]byte{name: key, PassphraseKey: passphrase}
		before := maps.Clone(data)
		s, err := FromSecret(data)
		for name, value := range before {
			if !bytes.Equal(data[name], value) {
				t.Fatalf("%s was changed", name)
			}
		}
		var refused *KeyError
		if err != nil {
			if !errors.As(err, &refused) || len(err.Error()) > 400 {
				t.Fatalf("want a short KeyError, got %v", err)
			}
			return
		}
		text, err := s.Sign([]byte("content"))
		if err == nil && !strings.HasPrefix(text, "-----BEGIN ") {
			t.Fatalf("the signature has no armor: %q", text)
		}
	})
}

// BenchmarkCommit signs commits, which is done once for each push.
func BenchmarkCommit(b *testing.B) {
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append([]byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"), make([]byte, 32)...)})
	s, err := FromSecret(map[string][]byte{SSHKey: key})
	if err != nil {
		b.Fatal(err)
	}
	c := commit("deploy 1.0.0\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Commit(c, s); err != nil {
			b.Fatal(err)
		}
	}
}
