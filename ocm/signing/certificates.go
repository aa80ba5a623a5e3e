package signing

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// maxChain bounds the certificates of a signature.
	maxChain = 10
	// maxRoots bounds the certificates of an authority.
	maxRoots = 32
)

// Authority says which certificates are trusted that a signature carries.
type Authority struct {
	roots       *x509.CertPool
	subject     Subject
	fingerprint string
}

// NewAuthority returns the authority of the PEM certificates of roots, for
// signers whose certificates have a subject. The roots of the system are never
// used, and a subject is required: without it everyone whom a root ever gave a
// certificate to could sign.
func NewAuthority(roots []byte, subject string) (*Authority, error) {
	name, err := ParseSubject(subject)
	if err != nil {
		return nil, err
	}
	blocks, err := readBlocks(roots, maxRoots)
	switch {
	case errors.Is(err, errNoPEM):
		return nil, fmt.Errorf("root certificates: %w: the text must begin with -----BEGIN %s-----", err, blockCertificate)
	case err != nil:
		return nil, fmt.Errorf("root certificates: %w", err)
	}
	a := &Authority{roots: x509.NewCertPool(), subject: name}
	all := make([]string, 0, len(blocks)+1)
	for i, block := range blocks {
		cert, err := parseRoot(block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", numbered("root certificate", i, len(blocks)), err)
		}
		a.roots.AddCert(cert)
		all = append(all, digestOfBytes(cert.Raw))
	}
	slices.Sort(all)
	a.fingerprint = digestOfBytes([]byte(strings.Join(append(slices.Compact(all), name.String()), "\n")))
	return a, nil
}

func parseRoot(block *pem.Block) (*x509.Certificate, error) {
	switch {
	case strings.HasSuffix(block.Type, privateSuffix):
		return nil, errors.New("this is a private key, and whoever can read it can issue certificates or sign: put the certificate here, " +
			"and replace the pair if others had access")
	case block.Type != blockCertificate:
		return nil, fmt.Errorf("PEM block %q is not a certificate, use %s", short(block.Type), blockCertificate)
	}
	return parseCertificate(block.Bytes)
}

// parseCertificate reads a certificate whose key, if it is an RSA key, is as
// good as that of a signature has to be. Keys in certificates of a signature
// are chosen by whoever made it, and checking with a huge one takes minutes.
func parseCertificate(der []byte) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if pub, ok := cert.PublicKey.(*rsa.PublicKey); ok {
		if err := checkRSA(pub); err != nil {
			return nil, fmt.Errorf("certificate of %q: %w", short(cert.Subject.String()), err)
		}
	}
	return cert, nil
}

// Fingerprint returns a digest of the roots and the subject.
func (a *Authority) Fingerprint() string { return a.fingerprint }

// verify returns the key of the signer, when the certificates that came with a
// signature lead to a root.
func (a *Authority) verify(m *message, certificates [][]byte, at time.Time) (*publicKey, error) {
	if len(certificates) == 0 {
		return nil, errors.New("it carries no certificate, so root certificates cannot be used; configure the public key of the signer")
	}
	leaf, others, err := parseChain(certificates)
	if err != nil {
		return nil, err
	}
	signer, err := newPublicKey(leaf.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the key of its certificate cannot be used: %w", err)
	}
	if !m.signedBy(signer.key) {
		return nil, errors.New("it was not made with the key of the certificate it carries, or was changed")
	}
	if err := checkUsage(leaf); err != nil {
		return nil, err
	}
	if missing, ok := a.subject.missing(&leaf.Subject); ok {
		return nil, fmt.Errorf("the signer's certificate is that of %q, which lacks %s of the subject that is configured", short(leaf.Subject.String()), short(missing))
	}
	signer.notBefore = leaf.NotBefore
	if signer.notAfter, err = a.validUntil(leaf, others, at); err != nil {
		return nil, err
	}
	return signer, nil
}

// parseChain reads the certificates of a signature, that of the signer first.
func parseChain(certificates [][]byte) (*x509.Certificate, *x509.CertPool, error) {
	leaf, err := parseCertificate(certificates[0])
	if err != nil {
		return nil, nil, fmt.Errorf("the signer's certificate cannot be used: %w", err)
	}
	others := x509.NewCertPool()
	for i, der := range certificates[1:] {
		cert, err := parseCertificate(der)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate %d it carries cannot be used: %w", i+2, err)
		}
		others.AddCert(cert)
	}
	return leaf, others, nil
}

// checkUsage wants the certificate to say that it is for signing code. One that
// says nothing was made for something else, most likely a server.
func checkUsage(leaf *x509.Certificate) error {
	if !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("the signer's certificate is not meant for signing code, its extended key usage must have codeSigning")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("the signer's certificate is not meant for signatures, its key usage must have digitalSignature")
	}
	return nil
}

// validUntil builds the chains from a signer to the roots and returns when the
// last of them expires.
func (a *Authority) validUntil(leaf *x509.Certificate, others *x509.CertPool, at time.Time) (time.Time, error) {
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.roots, Intermediates: others, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	if err != nil {
		return time.Time{}, explainChain(leaf, at, err)
	}
	var latest time.Time
	for _, chain := range chains {
		until := chain[0].NotAfter
		for _, cert := range chain[1:] {
			if cert.NotAfter.Before(until) {
				until = cert.NotAfter
			}
		}
		if until.After(latest) {
			latest = until
		}
	}
	return latest, nil
}

// explainChain says what to do about a chain that leads to no root.
func explainChain(leaf *x509.Certificate, at time.Time, err error) error {
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case at.Before(leaf.NotBefore):
		return notValid("the signer's certificate is not valid before %s", date(leaf.NotBefore))
	case at.After(leaf.NotAfter):
		return notValid("the signer's certificate expired on %s; timestamps are not evaluated, have the version signed anew or configure the public key", date(leaf.NotAfter))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		// The text of the library has the time of the check in it, so it is another
		// one each time.
		return notValid("the certificate of %q above the signer's is only valid from %s to %s",
			short(invalid.Cert.Subject.String()), date(invalid.Cert.NotBefore), date(invalid.Cert.NotAfter))
	case errors.As(err, &unknown):
		return fmt.Errorf("the signer's certificate of %q leads to none of the configured root certificates, "+
			"or an intermediate certificate is missing in the signature", short(leaf.Subject.String()))
	}
	return fmt.Errorf("the signer's certificate of %q is not accepted: %w", short(leaf.Subject.String()), err)
}
