package signing

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of keys. Shorter keys can be factored by those who care enough; longer
// ones only cost the time of whoever checks.
const (
	minKeyBits = 2048
	maxKeyBits = 8192
	maxKeys    = 16
	// maxNamedKeys bounds how many keys a message names.
	maxNamedKeys = 3
	// maxExponent is the largest public exponent the standard library takes.
	maxExponent = 1<<31 - 1
)

// Keys are public keys one of which a signature must be made with.
type Keys struct {
	all []publicKey
}

type publicKey struct {
	key         *rsa.PublicKey
	fingerprint string
	// notBefore and notAfter are zero for keys without a certificate.
	notBefore, notAfter time.Time
}

// ParsePublicKeys reads one or more PEM blocks: PUBLIC KEY (PKIX), RSA PUBLIC
// KEY (PKCS #1) or CERTIFICATE. A certificate stands for its key while it is
// valid; nothing else of it matters. Several blocks are several keys, so that a
// key can be replaced while versions signed with the old one are still in use.
func ParsePublicKeys(data []byte) (*Keys, error) {
	blocks, err := readBlocks(data, maxKeys)
	switch {
	case errors.Is(err, errNoPEM):
		return nil, fmt.Errorf("public key: %w: the text must begin with -----BEGIN %s-----", err, blockPKIX)
	case err != nil:
		return nil, fmt.Errorf("public key: %w", err)
	}
	keys := &Keys{}
	for i, block := range blocks {
		key, err := parsePublicKey(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", numbered("public key", i, len(blocks)), err)
		}
		keys.all = append(keys.all, *key)
	}
	return keys, nil
}

// numbered names one of several for messages.
func numbered(what string, i, of int) string {
	if of == 1 {
		return what
	}
	return fmt.Sprintf("%s %d of %d", what, i+1, of)
}

func parsePublicKey(block *pem.Block) (*publicKey, error) {
	switch {
	case block.Type == blockPKIX:
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read PEM block %s: %w", block.Type, err)
		}
		return newPublicKey(key)
	case block.Type == blockPKCS1:
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read PEM block %s: %w", block.Type, err)
		}
		return newPublicKey(key)
	case block.Type == blockCertificate:
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read PEM block %s: %w", block.Type, err)
		}
		key, err := newPublicKey(cert.PublicKey)
		if err != nil {
			return nil, fmt.Errorf("certificate of %q: %w", short(cert.Subject.String()), err)
		}
		key.notBefore, key.notAfter = cert.NotBefore, cert.NotAfter
		return key, nil
	case strings.HasSuffix(block.Type, privateSuffix):
		return nil, errors.New("this is a private key, and whoever can read it can sign: put the public key here " +
			"(openssl pkey -pubout), and replace the pair if others had access")
	}
	return nil, fmt.Errorf("PEM block %q is not a public key, use %s, %s or %s", short(block.Type), blockPKIX, blockPKCS1, blockCertificate)
}

func newPublicKey(key any) (*publicKey, error) {
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("it is %s, only RSA keys can be used", kindOf(key))
	}
	if err := checkRSA(pub); err != nil {
		return nil, err
	}
	fingerprint, err := fingerprintOf(pub)
	if err != nil {
		return nil, err
	}
	return &publicKey{key: pub, fingerprint: fingerprint}, nil
}

// kindOf names the kind of a key, public or private, for messages.
func kindOf(key any) string {
	switch key.(type) {
	case *ecdsa.PublicKey, *ecdsa.PrivateKey:
		return "an ECDSA key"
	case ed25519.PublicKey, ed25519.PrivateKey:
		return "an Ed25519 key"
	}
	return "a key of another kind"
}

// checkRSA reports why a key is not trusted. What it lets through can be given
// to the standard library, which would refuse the rest with less of a reason.
func checkRSA(pub *rsa.PublicKey) error {
	switch bits := pub.N.BitLen(); {
	case bits < minKeyBits:
		return fmt.Errorf("RSA key of %d bits is too short to be trusted, make a new one of at least %d bits and sign with it", bits, minKeyBits)
	case bits > maxKeyBits:
		return fmt.Errorf("RSA key of %d bits is longer than the %d bits that are allowed, use one of 3072 or 4096", bits, maxKeyBits)
	case pub.N.Bit(0) == 0:
		return errors.New("RSA key is broken: its modulus is even, make a new one")
	case pub.E < 3 || pub.E > maxExponent || pub.E%2 == 0:
		return fmt.Errorf("RSA key has the public exponent %d, it must be odd and from 3 to %d; make a new one with the usual 65537", pub.E, maxExponent)
	}
	return nil
}

func fingerprintOf(pub *rsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("fingerprint of public key: %w", err)
	}
	return digestOfBytes(der), nil
}

// digestOfBytes is how fingerprints are written.
func digestOfBytes(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Fingerprints returns the SHA-256 digests of the keys in PKIX form, in their
// order, as in sha256:0123.
func (k *Keys) Fingerprints() []string {
	all := make([]string, 0, len(k.all))
	for _, key := range k.all {
		all = append(all, key.fingerprint)
	}
	return all
}

// Fingerprint returns a digest of the keys and of the time their certificates
// are valid in: the verdict about a signature cannot change while it and the
// time of the check do not.
func (k *Keys) Fingerprint() string {
	lines := make([]string, 0, len(k.all))
	for _, key := range k.all {
		lines = append(lines, fmt.Sprintf("%s %d %d", key.fingerprint, key.notBefore.Unix(), key.notAfter.Unix()))
	}
	slices.Sort(lines)
	return digestOfBytes([]byte(strings.Join(slices.Compact(lines), "\n")))
}

// verify finds the key that a signature was made with. Of several entries for
// one key, that counts which is valid for the longest time.
func (k *Keys) verify(m *message, at time.Time) (*publicKey, error) {
	var (
		best    *publicKey
		expired error
	)
	for i := range k.all {
		key := &k.all[i]
		if !m.signedBy(key.key) {
			continue
		}
		if err := key.validAt(at); err != nil {
			expired = err
			continue
		}
		if best == nil || key.outlives(best) {
			best = key
		}
	}
	switch {
	case best != nil:
		return best, nil
	case expired != nil:
		return nil, expired
	}
	return nil, fmt.Errorf("it was made with another key than %s, or was changed", k.describe())
}

func (p *publicKey) validAt(at time.Time) error {
	switch {
	case p.notAfter.IsZero():
		return nil
	case at.Before(p.notBefore):
		return notValid("the certificate of the configured key %s is not valid before %s", p.fingerprint, date(p.notBefore))
	case at.After(p.notAfter):
		return notValid("the certificate of the configured key %s expired on %s, configure a new one", p.fingerprint, date(p.notAfter))
	}
	return nil
}

func (p *publicKey) outlives(other *publicKey) bool {
	return !other.notAfter.IsZero() && (p.notAfter.IsZero() || p.notAfter.After(other.notAfter))
}

// describe names the keys for messages.
func (k *Keys) describe() string {
	if len(k.all) == 1 {
		return "the one that is configured (" + k.all[0].fingerprint + ")"
	}
	named := k.Fingerprints()
	if len(named) > maxNamedKeys {
		named = append(named[:maxNamedKeys], "and more")
	}
	return fmt.Sprintf("the %d that are configured (%s)", len(k.all), strings.Join(named, ", "))
}

// date is how messages write a time.
func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
