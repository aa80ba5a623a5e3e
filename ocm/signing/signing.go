// Package signing makes and checks signatures of component descriptors: RSA
// signatures over the digest of the normalised descriptor.
//
// A signature that holds proves the descriptor and nothing else: the content of
// resources and the component versions that are referred to have to be compared
// with the digests in it by whoever reads them. Everything a signature says
// about itself comes from the same place as the descriptor, so nothing of it is
// trusted: keys and roots are configured, algorithms are on a list, and issuer
// and timestamp are not looked at.
package signing

import (
	"crypto"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Names of the signature algorithms.
const (
	PKCS1 = "RSASSA-PKCS1-V1_5"
	PSS   = "RSASSA-PSS"
)

// Media types say how the value of a signature is written.
const (
	mediaTypePKCS1 = "application/vnd.ocm.signature.rsa"
	mediaTypePSS   = "application/vnd.ocm.signature.rsa.pss"
	mediaTypePEM   = "application/x-pem-file"
)

// ErrInvalid is matched by every verdict against a signature: the same
// descriptor will fail with the same keys again. Its errors say why.
var ErrInvalid = errors.New("signature does not hold")

// ErrNotValidNow is matched by those verdicts that are about the time a
// certificate is valid in: at another time the verdict may be another.
var ErrNotValidNow = errors.New("certificate is not valid at this time")

// validityError is a verdict that depends on the time.
type validityError struct{ text string }

func (e *validityError) Error() string { return e.text }

func (e *validityError) Is(target error) bool { return target == ErrNotValidNow }

func notValid(format string, args ...any) error {
	return &validityError{text: fmt.Sprintf(format, args...)}
}

// Request asks for one signature. Exactly one of Keys and Authority is set.
type Request struct {
	// Name is the name of the signature.
	Name string
	// Keys are what the signature is checked with.
	Keys *Keys
	// Authority says which certificates are trusted.
	Authority *Authority
}

// usable reports a request that could not be answered for any descriptor. It is
// a mistake of the caller, not a verdict.
func (r *Request) usable() error {
	switch {
	case r.Name == "":
		return errors.New("check signature: the request names no signature")
	case r.Keys == nil && r.Authority == nil:
		return fmt.Errorf("check signature %q: neither public keys nor root certificates are given", r.Name)
	case r.Keys != nil && r.Authority != nil:
		return fmt.Errorf("check signature %q: public keys and root certificates are given, use one of them", r.Name)
	case r.Keys != nil && len(r.Keys.all) == 0:
		return fmt.Errorf("check signature %q: the list of public keys is empty", r.Name)
	case r.Authority != nil && (r.Authority.roots == nil || len(r.Authority.subject.attributes) == 0):
		// Without roots the standard library would fall back to those of the system.
		return fmt.Errorf("check signature %q: the authority has no roots or no subject", r.Name)
	}
	return nil
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

// invalidError is a verdict against the signature of a name.
type invalidError struct {
	name string
	err  error
}

func (e *invalidError) Error() string {
	return fmt.Sprintf("signature %q does not hold: %v", short(e.name), e.err)
}

func (e *invalidError) Unwrap() error { return e.err }

func (e *invalidError) Is(target error) bool { return target == ErrInvalid }

// hashOf returns the hash of a name as digests write it: the names of today, and
// the lower-case ones of old signatures.
func hashOf(name string) (crypto.Hash, error) {
	switch name {
	case descriptor.SHA256, "sha256":
		return crypto.SHA256, nil
	case descriptor.SHA512, "sha512":
		return crypto.SHA512, nil
	case descriptor.NoDigest:
		return 0, fmt.Errorf("its hash algorithm is %s, so it signs nothing; sign with %s or %s", name, descriptor.SHA256, descriptor.SHA512)
	}
	return 0, fmt.Errorf("hash algorithm %q is not allowed, sign with %s or %s", short(name), descriptor.SHA256, descriptor.SHA512)
}

// maxQuoted bounds what messages repeat of foreign text.
const maxQuoted = 64

// short cuts text of others, which may be megabytes, to what a message can hold.
func short(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "..."
}
