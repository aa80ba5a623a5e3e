package sign

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ProtonMail/go-crypto/openpgp/s2k"
)

// maxSubkeys bounds how many keys are looked at; people have three or four.
const maxSubkeys = 64

var errProtection = errors.New("protection that costs too much to open")

func readOpenPGP(s secret, now time.Time) (*Signer, error) {
	entity, err := parseOpenPGP(s)
	if err != nil {
		return nil, err
	}
	key, err := choose(s, entity, now)
	if err != nil {
		return nil, err
	}
	if err := open(s, key.PrivateKey); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("OpenPGP key %X", key.PublicKey.Fingerprint)
	return &Signer{name: name, sign: func(payload []byte, now time.Time) (string, error) {
		if _, ok := entity.SigningKeyById(now, key.PublicKey.KeyId); !ok {
			return "", refusal(s, entity, now)
		}
		var b bytes.Buffer
		config := &packet.Config{DefaultHash: crypto.SHA512, SigningKeyId: key.PublicKey.KeyId, Time: func() time.Time { return now }}
		if err := openpgp.ArmoredDetachSign(&b, entity, bytes.NewReader(payload), config); err != nil {
			return "", fmt.Errorf("sign with %s: %w", name, err)
		}
		return strings.TrimSpace(b.String()) + "\n", nil
	}}, nil
}

// parseOpenPGP returns the one key there is. Errors of the parsers are replaced, as some of them quote the text.
func parseOpenPGP(s secret) (*openpgp.Entity, error) {
	block, err := armor.Decode(bytes.NewReader(s.key))
	switch {
	case err != nil:
		return nil, s.errorf("is not an OpenPGP private key in armor: set it to the output of gpg --armor --export-secret-keys")
	case block.Type == openpgp.PublicKeyType:
		return nil, s.errorf("is a public key: set it to the output of gpg --armor --export-secret-keys")
	case block.Type != openpgp.PrivateKeyType:
		return nil, s.errorf("is something else than a private key: set it to the output of gpg --armor --export-secret-keys")
	}
	body, err := io.ReadAll(block.Body) // the end of the armor has a checksum
	if err != nil {
		return nil, s.errorf("is damaged: set it to the output of gpg --armor --export-secret-keys")
	}
	entities, err := openpgp.ReadKeyRing(bytes.NewReader(body))
	switch {
	case err != nil || len(entities) == 0:
		return nil, s.errorf("cannot be read: it is damaged, or of a kind that is not supported; use a key that gpg has made")
	case len(entities) > 1:
		return nil, s.errorf("has %d keys: set it to one key with its subkeys, the output of gpg --armor --export-secret-keys KEYID", len(entities))
	case len(entities[0].Subkeys) > maxSubkeys:
		return nil, s.errorf("has more than %d subkeys: export the one that signs, with gpg --armor --export-secret-subkeys KEYID!", maxSubkeys)
	}
	return entities[0], nil
}

// choose returns the newest key that may sign and whose private part is there. The primary key comes last: where there is a
// subkey for signing, it is kept for making subkeys.
func choose(s secret, entity *openpgp.Entity, now time.Time) (openpgp.Key, error) {
	var best openpgp.Key
	for _, subkey := range entity.Subkeys {
		key, ok := usable(entity, subkey.PublicKey, now)
		if ok && (best.PublicKey == nil || key.PublicKey.CreationTime.After(best.PublicKey.CreationTime)) {
			best = key
		}
	}
	if best.PublicKey == nil {
		best, _ = usable(entity, entity.PrimaryKey, now)
	}
	switch {
	case best.PublicKey == nil:
		return best, refusal(s, entity, now)
	case best.PublicKey.Version != 4:
		return best, s.errorf("is of version %d, which git cannot verify with the gpg that most have: use a key of version 4", best.PublicKey.Version)
	}
	if bits, err := best.PublicKey.BitLength(); err != nil || bits > maxRSA {
		return best, s.errorf("has more than %d bits: use a smaller key", maxRSA)
	}
	return best, nil
}

// usable tells whether a key may sign at a time, and has its private part.
func usable(entity *openpgp.Entity, public *packet.PublicKey, now time.Time) (openpgp.Key, bool) {
	if public.KeyId == 0 {
		return openpgp.Key{}, false // which would mean any key
	}
	key, ok := entity.SigningKeyById(now, public.KeyId)
	return key, ok && key.PrivateKey != nil && !key.PrivateKey.Dummy()
}

// refusal says why no key may sign.
func refusal(s secret, entity *openpgp.Entity, now time.Time) error {
	self, identity := entity.PrimarySelfSignature()
	switch primary := entity.PrimaryKey; {
	case entity.Revoked(now):
		return s.errorf("was revoked: set it to another key")
	case self == nil:
		return s.errorf("has no user id that it has signed itself: set it to the output of gpg --armor --export-secret-keys")
	case identity != nil && identity.Revoked(now):
		return s.errorf("has no user id that was not revoked: add one, or set it to another key")
	case primary.CreationTime.After(now):
		return s.errorf("was made at %s, which is in the future: check the clocks", primary.CreationTime.UTC().Format(time.RFC3339))
	case primary.KeyExpired(self, now):
		return s.errorf("expired at %s: extend it with gpg --quick-set-expire and export it again, or set it to another key", expiry(primary, self))
	}
	return s.errorf("has no key that may sign, is valid now and has its private part: " +
		"add a subkey for signing with gpg --quick-add-key, or extend it, and export with gpg --armor --export-secret-keys")
}

func expiry(key *packet.PublicKey, self *packet.Signature) string {
	return key.CreationTime.Add(time.Duration(*self.KeyLifetimeSecs) * time.Second).UTC().Format(time.RFC3339)
}

// open removes the protection of the private key, of this one only: each costs the time of a derivation.
func open(s secret, key *packet.PrivateKey) error {
	if !key.Encrypted {
		return nil
	}
	if err := checkProtection(key); err != nil {
		return s.errorf("is protected in a way that is not supported: export it with gpg, which protects with iterated and salted SHA")
	}
	return s.try(key.Decrypt)
}

// checkProtection refuses derivations with Argon2: the key itself says how much memory they take, up to 2 TiB. All others cost at
// most 65 MB of hashing.
func checkProtection(key *packet.PrivateKey) error {
	private, err := contents(key.Serialize)
	if err != nil {
		return err
	}
	public, err := contents(key.PublicKey.Serialize)
	if err != nil {
		return err
	}
	protection, ok := bytes.CutPrefix(private, public)
	if !ok || len(protection) < 4 {
		return errProtection
	}
	mode := protection[2] // after the kind of protection and the cipher
	if packet.S2KType(protection[0]) == packet.S2KAEAD {
		mode = protection[3] // after the mode of the cipher, too
	}
	switch s2k.Mode(mode) {
	case s2k.SimpleS2K, s2k.SaltedS2K, s2k.IteratedSaltedS2K:
		return nil
	default:
		return errProtection
	}
}

// contents returns the body of a packet.
func contents(serialize func(io.Writer) error) ([]byte, error) {
	var b bytes.Buffer
	if err := serialize(&b); err != nil {
		return nil, err
	}
	p, err := packet.NewOpaqueReader(&b).Next()
	if err != nil {
		return nil, err
	}
	return p.Contents, nil
}
