package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
)

// ErrNoCertificate says that a server was asked for a certificate before it was given one.
var ErrNoCertificate = errors.New("registry has no certificate yet")

// Dynamic serves the certificate that it was given last. Connections that are open keep the one
// that they began with. The zero value has none.
type Dynamic struct {
	current atomic.Pointer[tls.Certificate]
}

// Set changes the certificate. When the bundle is not good, the one before stays.
func (d *Dynamic) Set(b Bundle) error {
	cert, err := tls.X509KeyPair(b.Cert, b.Key)
	if err != nil {
		return fmt.Errorf("load certificate of the registry: %w", err)
	}
	d.current.Store(&cert)
	return nil
}

// GetCertificate is for tls.Config.
func (d *Dynamic) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := d.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, ErrNoCertificate
}

// Config returns a server's configuration that always uses the current certificate.
func (d *Dynamic) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: d.GetCertificate}
}
