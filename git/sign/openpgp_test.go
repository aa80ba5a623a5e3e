package sign

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

// keyring is a private home of gpg.
type keyring []string

func newKeyring(t *testing.T) keyring {
	t.Helper()
	home := t.TempDir()
	// The agent would measure how much hashing it has time for; these keys protect nothing.
	if err := os.WriteFile(filepath.Join(home, "gpg-agent.conf"), []byte("s2k-count 65536\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := keyring{"GNUPGHOME=" + home}
	t.Cleanup(func() { // gpg starts an agent for secret keys, which ends with its home
		_, _ = run(t, k, nil, "gpgconf", "--kill", "all")
	})
	return k
}

func (k keyring) gpg(t *testing.T, input []byte, args ...string) string {
	t.Helper()
	return must(t, k, input, "gpg", append([]string{"--batch", "--no-tty", "--quiet", "--pinentry-mode", "loopback"}, args...)...)
}

// TestOpenPGP signs with keys that gpg has made.
func TestOpenPGP(t *testing.T) {
	t.Parallel()
	need(t, "git", "gpg", "gpgconf")
	for name, tc := range map[string]struct {
		passphrase string
		primary    []string // algorithm and usage
		subkeys    []string // algorithms of subkeys that sign
		export     string
		secret     string // the passphrase in the Secret
	}{
		"ed25519":                       {"", []string{"ed25519", "sign"}, nil, "--export-secret-keys", ""},
		"ed25519 with passphrase":       {"of mine", []string{"ed25519", "sign"}, nil, "--export-secret-keys", "of mine"},
		"rsa with passphrase":           {"of mine", []string{"rsa2048", "sign"}, nil, "--export-secret-keys", "of mine\n"},
		"ecdsa":                         {"", []string{"nistp256", "sign"}, nil, "--export-secret-keys", ""},
		"dsa":                           {"", []string{"dsa2048", "sign"}, nil, "--export-secret-keys", ""},
		"subkey":                        {"", []string{"ed25519", "cert"}, []string{"ed25519"}, "--export-secret-keys", ""},
		"subkeys without primary key":   {"of mine", []string{"ed25519", "cert"}, []string{"rsa2048", "ed25519"}, "--export-secret-subkeys", "of mine"},
		"passphrase that is not needed": {"", []string{"ed25519", "sign"}, nil, "--export-secret-keys", "of another"},
		"subkey of a key that may sign": {"", []string{"ed25519", "sign"}, []string{"ed25519"}, "--export-secret-subkeys", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeyring(t)
			k.gpg(t, nil, "--passphrase", tc.passphrase, "--quick-generate-key", "OCM <ocm@acme.example>", tc.primary[0], tc.primary[1], "never")
			fingerprint := ""
			for line := range strings.Lines(k.gpg(t, nil, "--with-colons", "--list-keys")) {
				if fields := strings.Split(line, ":"); fields[0] == "fpr" {
					fingerprint = fields[9]
					break
				}
			}
			for _, algorithm := range tc.subkeys {
				k.gpg(t, nil, "--passphrase", tc.passphrase, "--quick-add-key", fingerprint, algorithm, "sign", "never")
			}
			private := k.gpg(t, nil, "--passphrase", tc.passphrase, "--armor", tc.export, fingerprint)
			s, err := FromSecret(map[string][]byte{OpenPGPKey: []byte(private + "\n"), PassphraseKey: []byte(tc.secret)})
			if err != nil {
				t.Fatal(err)
			}
			if len(tc.subkeys) == 0 && s.String() != "OpenPGP key "+fingerprint {
				t.Errorf("want %s, got %s", fingerprint, s)
			}
			checkVerified(t, newVerifier(t, k...), s, `Good signature from "OCM <ocm@acme.example>"`)
		})
	}
}

// entity makes a key that lives for some seconds from a time on.
func entity(t testing.TB, from time.Time, seconds uint32) *openpgp.Entity {
	t.Helper()
	e, err := openpgp.NewEntity("OCM", "", "ocm@acme.example", &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: seconds, Time: func() time.Time { return from },
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// armored writes a key as it stands in a Secret.
func armored(t testing.TB, entities ...*openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entities {
		if err := e.SerializePrivateWithoutSigning(w, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encrypted(t *testing.T, passphrase string, config *packet.Config) []byte {
	t.Helper()
	e := entity(t, time.Now().Add(-time.Hour), 0)
	if err := e.EncryptPrivateKeys([]byte(passphrase), config); err != nil {
		t.Fatal(err)
	}
	return armored(t, e)
}

func TestOpenPGPRefused(t *testing.T) {
	t.Parallel()
	hour := time.Now().Add(-time.Hour)
	revoked := entity(t, hour, 0)
	if err := revoked.RevokeKey(packet.KeyCompromised, "lost", nil); err != nil {
		t.Fatal(err)
	}
	nobody := entity(t, hour, 0)
	for _, identity := range nobody.Identities {
		no := false
		identity.SelfSignature.FlagSign = false
		identity.SelfSignature.IsPrimaryId = &no
		if err := identity.SelfSignature.SignUserId(identity.UserId.Id, nobody.PrimaryKey, nobody.PrivateKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	argon := &packet.Config{S2KConfig: &s2k.Config{S2KMode: s2k.Argon2S2K, Argon2Config: &s2k.Argon2Config{NumberOfPasses: 1, DegreeOfParallelism: 1, Memory: 1 << 10}}, AEADConfig: &packet.AEADConfig{}}
	for name, tc := range map[string]struct {
		data map[string][]byte
		want string
	}{
		"expired":          {map[string][]byte{OpenPGPKey: armored(t, entity(t, hour, 60))}, "git.asc of the Secret for signing expired at " + hour.Add(time.Minute).UTC().Format(time.RFC3339)},
		"revoked":          {map[string][]byte{OpenPGPKey: armored(t, revoked)}, "was revoked"},
		"from the future":  {map[string][]byte{OpenPGPKey: armored(t, entity(t, time.Now().Add(time.Hour), 0))}, "in the future: check the clocks"},
		"may not sign":     {map[string][]byte{OpenPGPKey: armored(t, nobody)}, "no key that may sign"},
		"two":              {map[string][]byte{OpenPGPKey: armored(t, entity(t, hour, 0), entity(t, hour, 0))}, "has 2 keys"},
		"no passphrase":    {map[string][]byte{OpenPGPKey: encrypted(t, "of mine", nil)}, "git.asc of the Secret for signing is protected by a passphrase: set the key passphrase"},
		"empty passphrase": {map[string][]byte{OpenPGPKey: encrypted(t, "of mine", nil), PassphraseKey: {}}, "set the key passphrase"},
		"wrong passphrase": {map[string][]byte{OpenPGPKey: encrypted(t, "of mine", nil), PassphraseKey: []byte("of yours")}, "passphrase of the Secret for signing is not the passphrase of git.asc"},
		"line end alone":   {map[string][]byte{OpenPGPKey: encrypted(t, "of mine", nil), PassphraseKey: []byte("\n")}, "is not the passphrase"},
		"argon2":           {map[string][]byte{OpenPGPKey: encrypted(t, "of mine", argon), PassphraseKey: []byte("of mine")}, "protected in a way that is not supported"},
		"public":           {map[string][]byte{OpenPGPKey: []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVsbG8=\n-----END PGP PUBLIC KEY BLOCK-----\n")}, "is a public key"},
		"message":          {map[string][]byte{OpenPGPKey: []byte("-----BEGIN PGP MESSAGE-----\n\naGVsbG8=\n-----END PGP MESSAGE-----\n")}, "something else than a private key"},
		"damaged":          {map[string][]byte{OpenPGPKey: []byte("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\naGVsbG8=\n-----END PGP PRIVATE KEY BLOCK-----\n")}, "cannot be read"},
		"binary":           {map[string][]byte{OpenPGPKey: {0x94, 0x58, 4}}, "not an OpenPGP private key in armor"},
		"too large":        {map[string][]byte{OpenPGPKey: make([]byte, maxOpenPGP+1)}, "has more than 256 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefused(t, tc.data, tc.want)
		})
	}
}

func checkRefused(t *testing.T, data map[string][]byte, want string) {
	t.Helper()
	s, err := FromSecret(data)
	var refused *KeyError
	if s != nil || !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
		t.Fatalf("want a KeyError with %q, got %v", want, err)
	}
	for key, value := range data {
		if text := string(bytes.TrimSpace(value)); len(text) > 3 && strings.Contains(err.Error(), text) {
			t.Errorf("the error tells the value of %s: %v", key, err)
		}
		for line := range strings.Lines(string(value)) {
			if line = strings.TrimSpace(line); len(line) >= 16 && strings.Contains(err.Error(), line) {
				t.Errorf("the error tells a line of %s: %v", key, err)
			}
		}
	}
}

// TestOpenPGPExpires has a key that expires after it was read.
func TestOpenPGPExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := fromSecret(map[string][]byte{OpenPGPKey: armored(t, entity(t, now.Add(-time.Hour), 7200))}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign([]byte("a")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	var refused *KeyError
	if _, err := Commit(commit("a"), s); !errors.As(err, &refused) || !strings.Contains(err.Error(), "expired at") {
		t.Errorf("want a KeyError about the end, got %v", err)
	}
}

// TestOpenPGPHash shows that the hash is SHA-512.
func TestOpenPGPHash(t *testing.T) {
	t.Parallel()
	s, err := FromSecret(map[string][]byte{OpenPGPKey: armored(t, entity(t, time.Now().Add(-time.Hour), 0))})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Sign([]byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	block, err := armor.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := packet.Read(block.Body)
	if err != nil {
		t.Fatal(err)
	}
	if sig, ok := p.(*packet.Signature); !ok || sig.Hash != crypto.SHA512 {
		t.Errorf("want a signature with SHA-512, got %+v", p)
	}
}
