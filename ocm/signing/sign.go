package signing

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// Signer is a private key, with the certificate that goes with it.
type Signer struct {
	// Key makes signatures; its public key must be an RSA key.
	Key crypto.Signer
	// Chain are the certificates of the signer, its own first; nil signs without.
	Chain []*x509.Certificate
}

// ParseSigner reads a private key (PKCS #1 or PKCS #8) in PEM form, and the PEM
// certificates of the signer, which may be nil. Its errors show nothing of the
// key.
func ParseSigner(key, chain []byte) (*Signer, error) {
	private, err := parsePrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	s := &Signer{Key: private}
	if len(chain) > 0 {
		if s.Chain, err = parseSignerChain(chain); err != nil {
			return nil, fmt.Errorf("certificates of the signer: %w", err)
		}
	}
	if _, err := s.public(); err != nil {
		return nil, err
	}
	return s, nil
}

func parsePrivateKey(data []byte) (crypto.Signer, error) {
	blocks, err := readBlocks(data, 1)
	if err != nil {
		return nil, err
	}
	switch block := blocks[0]; {
	case block.Headers["DEK-Info"] != "" || block.Type == "ENCRYPTED "+privateSuffix:
		return nil, errors.New("it is encrypted, decrypt it first (openssl pkey -in key.pem)")
	case block.Type == "RSA "+privateSuffix:
		// The errors of the parsers name fields, never their content.
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type == privateSuffix:
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("it is %s, which cannot sign; use an RSA key", kindOf(key))
		}
		return signer, nil
	default:
		return nil, fmt.Errorf("PEM block %q cannot be used, use %s or RSA %s", short(block.Type), privateSuffix, privateSuffix)
	}
}

func parseSignerChain(data []byte) ([]*x509.Certificate, error) {
	blocks, err := readBlocks(data, maxChain)
	if err != nil {
		return nil, err
	}
	chain := make([]*x509.Certificate, 0, len(blocks))
	for i, block := range blocks {
		if block.Type != blockCertificate {
			return nil, fmt.Errorf("PEM block %d is %q, only %s is allowed", i+1, short(block.Type), blockCertificate)
		}
		cert, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", i+1, err)
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// public returns the public key, which must be one that Check accepts.
func (s *Signer) public() (*rsa.PublicKey, error) {
	if s == nil || s.Key == nil {
		return nil, errors.New("signer has no private key")
	}
	pub, err := newPublicKey(s.Key.Public())
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if len(s.Chain) == 0 {
		return pub.key, nil
	}
	if len(s.Chain) > maxChain {
		return nil, fmt.Errorf("certificates of the signer: there are %d, at most %d are allowed", len(s.Chain), maxChain)
	}
	if !pub.key.Equal(s.Chain[0].PublicKey) {
		return nil, fmt.Errorf("certificates of the signer: the first is that of %q and has another key than the private key; put the signer's own first",
			short(s.Chain[0].Subject.String()))
	}
	if err := checkUsage(s.Chain[0]); err != nil {
		return nil, err
	}
	return pub.key, nil
}

// Options say how a signature is made. Empty fields have defaults, which are
// what both reference tools can verify.
type Options struct {
	// HashAlgorithm is SHA-256 if empty.
	HashAlgorithm string
	// NormalisationAlgorithm is jsonNormalisation/v3 if empty.
	NormalisationAlgorithm string
	// Algorithm is PKCS1 if empty.
	Algorithm string
}

func (o *Options) complete() error {
	if o.HashAlgorithm == "" {
		o.HashAlgorithm = descriptor.SHA256
	}
	if o.NormalisationAlgorithm == "" {
		o.NormalisationAlgorithm = normalize.V3
	}
	if o.Algorithm == "" {
		o.Algorithm = PKCS1
	}
	// Other spellings are read, not written.
	if o.HashAlgorithm != descriptor.SHA256 && o.HashAlgorithm != descriptor.SHA512 {
		return fmt.Errorf("hash algorithm %q cannot be used, use %s or %s", short(o.HashAlgorithm), descriptor.SHA256, descriptor.SHA512)
	}
	if o.Algorithm != PKCS1 && o.Algorithm != PSS {
		return fmt.Errorf("signature algorithm %q cannot be used, use %s or %s", short(o.Algorithm), PKCS1, PSS)
	}
	return nil
}

// DigestOf returns the digest of a component version as a signature covers it,
// and as a reference to the version has to state it. Every resource with content
// and every reference must have a digest, or it would say nothing about them.
func DigestOf(d *descriptor.Descriptor, o Options) (*descriptor.Digest, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("digest of %s: %w", nameOfVersion(d), err)
	}
	if err := complete(d); err != nil {
		return nil, fmt.Errorf("digest of %s: %w", nameOfVersion(d), err)
	}
	digest, err := normalize.Digest(d, o.HashAlgorithm, o.NormalisationAlgorithm)
	if err != nil {
		return nil, fmt.Errorf("digest of %s: %w", nameOfVersion(d), err)
	}
	return &digest, nil
}

// complete reports an element whose content the digest of the component version
// would not cover.
func complete(d *descriptor.Descriptor) error {
	for i := range d.Component.Resources {
		r := &d.Component.Resources[i]
		switch {
		case r.Access.Kind() == "none" || r.Access.Kind() == "None":
			if r.Digest != nil {
				return fmt.Errorf("resource %s has a digest although its access is none, remove it", &r.Element)
			}
		case r.Digest == nil:
			return fmt.Errorf("resource %s has no digest, add that of its content", &r.Element)
		case r.Digest.Excluded():
		default:
			if _, err := r.Digest.OCI(); err != nil {
				return fmt.Errorf("resource %s: %w", &r.Element, err)
			}
		}
	}
	for i := range d.Component.References {
		r := &d.Component.References[i]
		if r.Digest == nil {
			return fmt.Errorf("reference %s has no digest, add that of %s:%s", &r.Element, r.ComponentName, r.Version)
		}
		if _, err := r.Digest.OCI(); err != nil {
			return fmt.Errorf("reference %s: %w", &r.Element, err)
		}
	}
	return nil
}

// Sign returns a signature of a descriptor, which is not changed. Every
// resource with content and every reference must have a digest. The signature
// carries the certificates of the signer if there are any, but for roots, which
// whoever checks must have anyway. With PKCS1 it depends on nothing but the
// arguments.
func Sign(d *descriptor.Descriptor, name string, s *Signer, o Options) (*descriptor.Signature, error) {
	if name == "" {
		return nil, fmt.Errorf("sign %s: the signature has no name", nameOfVersion(d))
	}
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("sign %s: %w", nameOfVersion(d), err)
	}
	pub, err := s.public()
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", nameOfVersion(d), err)
	}
	digest, err := DigestOf(d, o)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	m, err := s.sign(digest, o.Algorithm)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", nameOfVersion(d), err)
	}
	if !m.signedBy(pub) {
		// A key in hardware, or a fault while computing, may give anything; a wrong
		// signature must not leave, for it may give the key away.
		return nil, fmt.Errorf("sign %s: the signature that was made does not hold, check the private key", nameOfVersion(d))
	}
	return &descriptor.Signature{Name: name, Digest: *digest, Signature: s.encode(m)}, nil
}

// sign signs a digest, which is not hashed another time.
func (s *Signer) sign(d *descriptor.Digest, algorithm string) (*message, error) {
	hash, err := hashOf(d.HashAlgorithm)
	if err != nil {
		return nil, err
	}
	digest, err := decodeDigest(d.Value, hash)
	if err != nil {
		return nil, err
	}
	var o crypto.SignerOpts = hash
	if algorithm == PSS {
		o = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: hash}
	}
	value, err := s.Key.Sign(rand.Reader, digest, o)
	if err != nil {
		return nil, err
	}
	return &message{scheme: algorithm, hash: hash, digest: digest, value: value}, nil
}

// encode writes a signature as plain text, or with certificates as PEM.
func (s *Signer) encode(m *message) descriptor.SignatureValue {
	v := descriptor.SignatureValue{Algorithm: m.scheme, MediaType: mediaTypePKCS1, Value: hex.EncodeToString(m.value)}
	if m.scheme == PSS {
		v.MediaType = mediaTypePSS
	}
	if len(s.Chain) == 0 {
		return v
	}
	p := &pemSignature{value: m.value, certificates: [][]byte{s.Chain[0].Raw}}
	for _, cert := range s.Chain[1:] {
		// One of the reference tools refuses signatures that carry a root.
		if !bytes.Equal(cert.RawSubject, cert.RawIssuer) {
			p.certificates = append(p.certificates, cert.Raw)
		}
	}
	v.MediaType, v.Value, v.Issuer = mediaTypePEM, encodePEMSignature(p, m.scheme), s.Chain[0].Subject.String()
	return v
}

func nameOfVersion(d *descriptor.Descriptor) string {
	return d.Component.Name + ":" + d.Component.Version
}
