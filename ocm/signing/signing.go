// Package signing makes and checks signatures of component descriptors: RSA
// signatures over the digest of the normalised descriptor.
package signing

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Names of the signature algorithms.
const (
	PKCS1 = "RSASSA-PKCS1-V1_5"
	PSS   = "RSASSA-PSS"
)

// ErrInvalid is matched by every verdict against a signature: the same
// descriptor will fail with the same keys again. Its errors say why.
var ErrInvalid = errors.New("signature does not hold")

// Keys are public keys one of which a signature must be made with.
type Keys struct {
	all []publicKey
}

type publicKey struct {
	key      *rsa.PublicKey
	notAfter time.Time
}

// ParsePublicKeys reads one or more PEM blocks: PUBLIC KEY (PKIX), RSA PUBLIC
// KEY (PKCS #1) or CERTIFICATE.
func ParsePublicKeys(pem []byte) (*Keys, error) { return nil, errors.New("not implemented") }

// Fingerprints returns the fingerprints of the keys.
func (k *Keys) Fingerprints() []string { return nil }

// Authority says which certificates are trusted that a signature carries.
type Authority struct {
	roots   *x509.CertPool
	subject Subject
}

// NewAuthority returns the authority of the PEM certificates of roots, for
// signers whose certificates have a subject.
func NewAuthority(roots []byte, subject string) (*Authority, error) {
	return nil, errors.New("not implemented")
}

// Fingerprint returns a digest of the roots and the subject.
func (a *Authority) Fingerprint() string { return "" }

// Subject is a distinguished name, of which a certificate must have each
// attribute.
type Subject struct{}

// Request asks for one signature. Exactly one of Keys and Authority is set.
type Request struct {
	// Name is the name of the signature.
	Name string
	// Keys are what the signature is checked with.
	Keys *Keys
	// Authority says which certificates are trusted.
	Authority *Authority
}

// Checked is a signature that holds.
type Checked struct {
	// Name is the name of the signature.
	Name string
	// Algorithm is PKCS1 or PSS.
	Algorithm string
	// Digest is the digest that was signed.
	Digest descriptor.Digest
	// KeyFingerprint is the SHA-256 digest of the public key in PKIX form, as in
	// sha256:0123.
	KeyFingerprint string
	// Expires is when a certificate expires that the check relies on; it is zero
	// for keys without one.
	Expires time.Time
}

// Check checks one signature of a descriptor at a time: that it is there once,
// that the digest it names is that of the descriptor, and that it was made with
// the right key. It reads nothing but the descriptor, so it proves nothing of
// what the descriptor refers to. Its errors match ErrInvalid.
func Check(d *descriptor.Descriptor, r Request, at time.Time) (*Checked, error) {
	return nil, errors.New("not implemented")
}

// Signer is a private key, with the certificate that goes with it.
type Signer struct {
	// Key makes signatures; its public key must be an RSA key.
	Key crypto.Signer
	// Chain are the certificates of the signer, its own first; nil signs without.
	Chain []*x509.Certificate
}

// ParseSigner reads a private key (PKCS #1 or PKCS #8) in PEM form, and the PEM
// certificates of the signer, which may be nil.
func ParseSigner(key, chain []byte) (*Signer, error) { return nil, errors.New("not implemented") }

// Options say how a signature is made. Empty fields have defaults.
type Options struct {
	// HashAlgorithm is SHA-256 if empty.
	HashAlgorithm string
	// NormalisationAlgorithm is jsonNormalisation/v3 if empty.
	NormalisationAlgorithm string
	// Algorithm is PKCS1 if empty.
	Algorithm string
}

// Sign returns a signature of a descriptor, which is not changed. Every
// resource with content and every reference must have a digest.
func Sign(d *descriptor.Descriptor, name string, s *Signer, o Options) (*descriptor.Signature, error) {
	return nil, errors.New("not implemented")
}
