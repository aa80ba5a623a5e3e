package oci

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// WithTLS returns a transport that trusts the certificates of a credential
// besides those the given one trusts, and identifies itself with its
// certificate. Without any of them it is the given transport, and else a *Transport.
func WithTLS(base http.RoundTripper, c credentials.Credential) (http.RoundTripper, error) {
	if c.CertificateAuthority == "" && c.Certificate == "" {
		return base, nil
	}
	out := &Transport{answer: answerTimeout}
	switch base := base.(type) {
	case *Transport:
		out.Transport, out.answer = base.Clone(), base.answer
	case *http.Transport:
		out.Transport = base.Clone()
	default:
		return nil, errors.New("certificates of credentials cannot be used with the transport of this client")
	}
	if out.TLSClientConfig == nil {
		out.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CertificateAuthority != "" {
		roots, err := trusted(out.TLSClientConfig.RootCAs)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM([]byte(c.CertificateAuthority)) {
			return nil, errors.New("certificateAuthority of the credentials has no certificate in PEM")
		}
		out.TLSClientConfig.RootCAs = roots
	}
	if c.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.PrivateKey))
		if err != nil {
			return nil, fmt.Errorf("certificate of the credentials: %w", err)
		}
		out.TLSClientConfig.Certificates = append(out.TLSClientConfig.Certificates, pair)
	}
	return out, nil
}

// ConnectionWith names the connections of a transport that WithTLS returns, given
// what names those of the other one.
func ConnectionWith(connection string, c credentials.Credential) string {
	if c.CertificateAuthority == "" && c.Certificate == "" {
		return connection
	}
	sum := sha256.New()
	for _, part := range []string{connection, c.CertificateAuthority, c.Certificate, c.PrivateKey} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return string(sum.Sum(nil))
}

func trusted(roots *x509.CertPool) (*x509.CertPool, error) {
	if roots != nil {
		return roots.Clone(), nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificates of the system: %w", err)
	}
	return roots, nil
}
