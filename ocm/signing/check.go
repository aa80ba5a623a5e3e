package signing

import (
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

const (
	// maxSignatureBytes is the length of a signature of the longest key.
	maxSignatureBytes = maxKeyBits / 8
	// maxNamed bounds how many signatures a message names.
	maxNamed = 10
)

// normalisations are the algorithms that are allowed, with the bugs that the old
// ones are known to have.
var normalisations = []string{normalize.V1, normalize.V2, normalize.V3, normalize.V4Alpha1}

// message is a digest and what is said to be its signature.
type message struct {
	scheme string
	hash   crypto.Hash
	digest []byte
	value  []byte
}

// signedBy reports whether the signature was made with a key.
func (m *message) signedBy(pub *rsa.PublicKey) bool {
	// The digest is what was signed: it is not hashed another time.
	if m.scheme == PSS {
		return rsa.VerifyPSS(pub, m.hash, m.digest, m.value, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	}
	return rsa.VerifyPKCS1v15(pub, m.hash, m.digest, m.value) == nil
}

// Check checks one signature of a descriptor at a time: that it is there once,
// that the digest it names is that of the descriptor, and that it was made with
// the right key. It reads nothing but the descriptor, so it proves nothing of
// what the descriptor refers to. Its errors match ErrInvalid, but for those
// about a request that could not be answered for any descriptor.
func Check(d *descriptor.Descriptor, r Request, at time.Time) (*Checked, error) {
	if err := r.usable(); err != nil {
		return nil, err
	}
	if at.IsZero() {
		// The standard library would take it for the current time.
		return nil, fmt.Errorf("check signature %q: no time is given", r.Name)
	}
	checked, err := check(d, &r, at)
	if err != nil {
		return nil, &invalidError{name: r.Name, err: err}
	}
	return checked, nil
}

func check(d *descriptor.Descriptor, r *Request, at time.Time) (*Checked, error) {
	s, err := find(d, r.Name)
	if err != nil {
		return nil, err
	}
	m, certificates, err := read(s)
	if err != nil {
		return nil, err
	}
	if err := compare(d, s, m.digest); err != nil {
		return nil, err
	}
	var key *publicKey
	if r.Keys != nil {
		key, err = r.Keys.verify(m, at)
	} else {
		key, err = r.Authority.verify(m, certificates, at)
	}
	if err != nil {
		return nil, err
	}
	return &Checked{
		Name:           s.Name,
		Algorithm:      m.scheme,
		Digest:         s.Digest,
		KeyFingerprint: key.fingerprint,
		Expires:        key.notAfter,
	}, nil
}

// find returns the only signature of a name. Were there two, then one reader
// might check the one and another reader the other.
func find(d *descriptor.Descriptor, name string) (*descriptor.Signature, error) {
	var (
		found *descriptor.Signature
		names []string
	)
	for i := range d.Signatures {
		s := &d.Signatures[i]
		switch {
		case s.Name != name:
			if len(names) <= maxNamed {
				names = append(names, fmt.Sprintf("%q", short(s.Name)))
			}
		case found != nil:
			return nil, errors.New("there are several of this name, and which of them counts is not clear; have the publisher remove all but one")
		default:
			found = s
		}
	}
	switch {
	case found != nil:
		return found, nil
	case len(names) == 0:
		return nil, errors.New("the component version has no signatures")
	case len(names) > maxNamed:
		names[maxNamed] = "and more"
	}
	return nil, fmt.Errorf("the component version has none of this name, it has %s", strings.Join(names, ", "))
}

// read decodes a signature. Algorithm, media type and hash come with the
// descriptor, so they are only allowed to be what is known to be good, and to
// agree with each other.
func read(s *descriptor.Signature) (*message, [][]byte, error) {
	hash, err := hashOf(s.Digest.HashAlgorithm)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Contains(normalisations, s.Digest.NormalisationAlgorithm) {
		return nil, nil, fmt.Errorf("normalisation algorithm %q is not allowed, sign with %s", short(s.Digest.NormalisationAlgorithm), normalize.V3)
	}
	digest, err := decodeDigest(s.Digest.Value, hash)
	if err != nil {
		return nil, nil, err
	}
	m := &message{scheme: s.Signature.Algorithm, hash: hash, digest: digest}
	plain := mediaTypePKCS1
	switch m.scheme {
	case PKCS1:
	case PSS:
		plain = mediaTypePSS
	default:
		return nil, nil, fmt.Errorf("algorithm %q is not allowed, sign with %s or %s", short(m.scheme), PKCS1, PSS)
	}
	switch s.Signature.MediaType {
	case plain:
		m.value, err = decodeValue(s.Signature.Value)
		return m, nil, err
	case mediaTypePEM:
		p, err := parsePEMSignature(s.Signature.Value, m.scheme)
		if err != nil {
			return nil, nil, err
		}
		m.value = p.value
		return m, p.certificates, nil
	}
	return nil, nil, fmt.Errorf("media type %q does not go with algorithm %s, it must be %s or %s", short(s.Signature.MediaType), m.scheme, plain, mediaTypePEM)
}

// decodeDigest decodes the digest that was signed. Digests are lower case by
// their format; with another spelling two texts would stand for one digest.
func decodeDigest(value string, hash crypto.Hash) ([]byte, error) {
	if len(value) != 2*hash.Size() {
		return nil, fmt.Errorf("its digest has %d characters, %s has %d", len(value), hash, 2*hash.Size())
	}
	digest, err := hex.DecodeString(value)
	if err != nil || strings.ToLower(value) != value {
		return nil, fmt.Errorf("its digest %q is not written in hexadecimal digits in lower case", value)
	}
	return digest, nil
}

func decodeValue(value string) ([]byte, error) {
	if value == "" || len(value) > 2*maxSignatureBytes {
		return nil, fmt.Errorf("its value has %d characters, it must have 1 to %d", len(value), 2*maxSignatureBytes)
	}
	raw, err := hex.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("its value is not written in hexadecimal digits: %w", err)
	}
	return raw, nil
}

// compare computes the digest of the descriptor by the rules the signature
// names, and compares it with the one that was signed.
func compare(d *descriptor.Descriptor, s *descriptor.Signature, signed []byte) error {
	actual, err := normalize.Digest(d, s.Digest.HashAlgorithm, s.Digest.NormalisationAlgorithm)
	if err != nil {
		return fmt.Errorf("the digest of the component descriptor cannot be computed: %w", err)
	}
	raw, err := hex.DecodeString(actual.Value)
	if err != nil {
		return fmt.Errorf("the digest of the component descriptor cannot be computed: %w", err)
	}
	if subtle.ConstantTimeCompare(raw, signed) != 1 {
		return fmt.Errorf("the component descriptor was changed after it was signed: its digest is %s, signed was %s", actual.Value, s.Digest.Value)
	}
	return nil
}
