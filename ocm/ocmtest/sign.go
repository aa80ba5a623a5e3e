package ocmtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// keyBits is the length of the keys that are made, the shortest that is
// accepted.
const keyBits = 2048

// Signature is a signature to make.
type Signature struct {
	// Name is the name of the signature.
	Name string
	// Signer makes it.
	Signer *signing.Signer
	// Options say how.
	Options signing.Options
}

// sign adds the signature to a descriptor.
func (s Signature) sign(d *descriptor.Descriptor) error {
	signature, err := signing.Sign(d, s.Name, s.Signer, s.Options)
	if err != nil {
		return fmt.Errorf("sign %s:%s: %w", d.Component.Name, d.Component.Version, err)
	}
	d.Signatures = append(d.Signatures, *signature)
	return nil
}

// NewSigner returns a signer with a new key, and its public key as PEM.
func NewSigner() (*signing.Signer, []byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key to sign with: %w", err)
	}
	public, err := PublicKey(key)
	return &signing.Signer{Key: key}, public, err
}

// PublicKey returns the public key of a private one as PEM.
func PublicKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// made is a signer that is made when it is asked for first: a key takes longer
// to make than many tests take altogether.
type made struct {
	once   sync.Once
	signer *signing.Signer
	public []byte
	err    error
}

var signers sync.Map // of *made, by the name of the signer

// SignerOf returns the signer of a name, and its public key as PEM. A name has
// one signer as long as the process lives, and no two names have the same.
func SignerOf(tb TB, name string) (*signing.Signer, []byte) {
	tb.Helper()
	found, _ := signers.LoadOrStore(name, &made{})
	m := found.(*made) //nolint:forcetypeassert // nothing else is stored
	m.once.Do(func() { m.signer, m.public, m.err = NewSigner() })
	if m.err != nil {
		tb.Fatal(m.err)
	}
	return m.signer, m.public
}

// Leaf says what the certificate of a signer is like.
type Leaf struct {
	// Subject is whom it is for.
	Subject pkix.Name
	// NotBefore and NotAfter say when it is valid, from an hour ago and for a
	// day if they are zero.
	NotBefore, NotAfter time.Time
	// Usage says what it is for; nil is code signing.
	Usage []x509.ExtKeyUsage
	// Key is its key, a new one if nil.
	Key crypto.Signer
	// Direct has the root issue it, without an intermediate authority.
	Direct bool
}

// Chain is the certificate of a signer with the authorities above it.
type Chain struct {
	// Signer signs with the leaf's key, and carries the chain without the root.
	Signer *signing.Signer
	// Root, Intermediate and Leaf are the certificates; Intermediate is nil if
	// there is none.
	Root, Intermediate, Leaf *x509.Certificate
}

// NewChain makes a new root, an intermediate authority below it and a leaf.
func NewChain(leaf Leaf) (*Chain, error) {
	root, rootKey, err := authority("ocmtest root", nil, nil)
	if err != nil {
		return nil, err
	}
	c := &Chain{Root: root}
	issuer, issuerKey := root, rootKey
	if !leaf.Direct {
		if issuer, issuerKey, err = authority("ocmtest intermediate", root, rootKey); err != nil {
			return nil, err
		}
		c.Intermediate = issuer
	}
	if leaf.Key == nil {
		signer, _, err := NewSigner()
		if err != nil {
			return nil, err
		}
		leaf.Key = signer.Key
	}
	if c.Leaf, err = issue(leaf.template(), leaf.Key, issuer, issuerKey); err != nil {
		return nil, err
	}
	c.Signer = &signing.Signer{Key: leaf.Key, Chain: []*x509.Certificate{c.Leaf}}
	if c.Intermediate != nil {
		c.Signer.Chain = append(c.Signer.Chain, c.Intermediate)
	}
	return c, nil
}

// Roots returns the root as PEM.
func (c *Chain) Roots() []byte { return CertificatePEM(c.Root) }

// CertificatePEM returns certificates as PEM.
func CertificatePEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func (l Leaf) template() *x509.Certificate {
	t := &x509.Certificate{
		Subject:     l.Subject,
		NotBefore:   l.NotBefore,
		NotAfter:    l.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: l.Usage,
	}
	if t.ExtKeyUsage == nil {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	}
	return t
}

// authority makes a certificate that may issue others; it is a root if parent is
// nil.
func authority(name string, parent *x509.Certificate, parentKey crypto.Signer) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of %s: %w", name, err)
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	certificate, err := issue(template, key, parent, parentKey)
	return certificate, key, err
}

func issue(template *x509.Certificate, key crypto.Signer, parent *x509.Certificate, parentKey crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	template.SerialNumber = serial
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, fmt.Errorf("issue the certificate of %s: %w", template.Subject, err)
	}
	return x509.ParseCertificate(der)
}
