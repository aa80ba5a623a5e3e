// Package pki makes the keys and certificates of a throw-away cluster. They are kept in a folder, so that a cluster
// can be started again over its old data. It is not for anything that has to stay secret longer than a test.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is longer than any demo runs; the certificates are made anew for every test.
const validity = 365 * 24 * time.Hour

// Request describes a certificate.
type Request struct {
	Name         string // of its files
	CommonName   string // the user, for a client
	Groups       []string
	Hosts        []string // DNS names and addresses; empty for a pure client
	ServerClient bool     // a server that is a client of its own kind too, such as an etcd member
}

// Authority is a certificate authority whose files and leaves lie in one folder.
type Authority struct {
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// OpenAuthority returns the authority that lies in dir under that name, and makes it if there is none.
func OpenAuthority(dir, name string) (*Authority, error) {
	a := &Authority{dir: dir, name: name}
	cert, key, err := read(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create()
	}
	if err != nil {
		return nil, fmt.Errorf("read authority %s: %w", name, err)
	}
	a.cert, a.key = cert, key
	return a, nil
}

func (a *Authority) create() error {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: a.name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
	}
	cert, key, err := a.sign(template, nil, nil)
	if err != nil {
		return fmt.Errorf("create authority %s: %w", a.name, err)
	}
	a.cert, a.key = cert, key
	return write(a.dir, a.name, cert, key)
}

// CertFile returns the file of the authority's certificate.
func (a *Authority) CertFile() string { return certFile(a.dir, a.name) }

// KeyFile returns the file of the authority's key.
func (a *Authority) KeyFile() string { return keyFile(a.dir, a.name) }

// CertPEM returns the authority's certificate.
func (a *Authority) CertPEM() []byte { return certPEM(a.cert) }

// Pool returns a pool with the authority's certificate.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Leaf is a certificate that an Authority signed, with its key.
type Leaf struct {
	CertFile, KeyFile string
	CertPEM, KeyPEM   []byte
}

// Issue makes a new certificate and writes its files over those of the last time.
func (a *Authority) Issue(r Request) (*Leaf, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.CommonName, Organization: r.Groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(r.Hosts) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if r.ServerClient {
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		}
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	cert, key, err := a.sign(template, a.cert, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate %s: %w", r.Name, err)
	}
	if err := write(a.dir, r.Name, cert, key); err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return &Leaf{CertFile: certFile(a.dir, r.Name), KeyFile: keyFile(a.dir, r.Name), CertPEM: certPEM(cert), KeyPEM: keyPEM}, nil
}

// sign signs the template for a new key; without a parent it signs itself.
func (a *Authority) sign(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
	template.NotAfter = time.Now().Add(validity)
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// SigningKey returns the files of a key pair for signing tokens, and makes it if there is none.
func SigningKey(dir, name string) (private, public string, err error) {
	private, public = keyFile(dir, name), filepath.Join(dir, name+".pub")
	if _, err := os.Stat(public); err == nil {
		return private, public, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("generate key %s: %w", name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return "", "", err
	}
	if err := writeFile(private, keyPEM, 0o600); err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKIXPublicKey(crypto.PublicKey(&key.PublicKey))
	if err != nil {
		return "", "", fmt.Errorf("encode key %s: %w", name, err)
	}
	return private, public, writeFile(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644)
}

func certFile(dir, name string) string { return filepath.Join(dir, name+".crt") }
func keyFile(dir, name string) string  { return filepath.Join(dir, name+".key") }

func certPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// write writes the key first: a certificate without its key would look complete.
func write(dir, name string, cert *x509.Certificate, key *ecdsa.PrivateKey) error {
	keyPEM, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(keyFile(dir, name), keyPEM, 0o600); err != nil {
		return err
	}
	return writeFile(certFile(dir, name), certPEM(cert), 0o644)
}

func writeFile(path string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create folder for keys: %w", err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		return fmt.Errorf("write key material: %w", err)
	}
	return nil
}

func read(dir, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certBlock, err := readPEM(certFile(dir, name))
	if err != nil {
		return nil, nil, err
	}
	keyBlock, err := readPEM(keyFile(dir, name))
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(certBlock)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBlock)
	return cert, key, err
}

func readPEM(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block; delete it", path)
	}
	return block.Bytes, nil
}
