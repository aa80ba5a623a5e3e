package measure

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// Names of servers, as in the tables.
const (
	// Ours is the registry of the operator.
	Ours = "ours"
	// Distribution is distribution v3.
	Distribution = "distribution"
	// ContainerRegistry is the one of go-containerregistry, with blobs in files.
	ContainerRegistry = "go-containerregistry"
	// Machine is the least that a server can do.
	Machine = "machine"
)

// kinds are those of other projects.
var kinds = map[string]server.Kind{Distribution: server.Distribution, ContainerRegistry: server.ContainerRegistryDisk}

// World is a folder, and the servers in it.
type World struct {
	// Dir is the folder. Prepare makes it.
	Dir string
	// Progress is told what is built, and Log gets what the servers log; what is nil gets nothing.
	Progress, Log io.Writer
	// Namespace begins the names of all repositories that may be written to.
	Namespace string
	// Idle is how many connections to one server are kept.
	Idle int

	cert, key string
	roots     *x509.CertPool
	secret    []byte
	login     auth.Credential

	servers    []*server.Process
	transports []*http.Transport
}

// Contestant is a server that is measured, and a client that only talks to it.
type Contestant struct {
	// Name is one of the names of servers.
	Name string
	// Dir is its folder, and URL where it is.
	Dir, URL string
	// Process is the server.
	Process *server.Process
	// Username and Password are the login; both are empty if there is none.
	Username, Password string

	http *http.Client
}

// Prepare makes the folder in another one.
func (w *World) Prepare(parent string) (err error) {
	if w.Dir, err = os.MkdirTemp(parent, "part-"); err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	w.secret = make([]byte, 32)
	_, _ = rand.Read(w.secret) // it returns no error
	issuer, err := auth.NewIssuer(w.secret, nil)
	if err != nil {
		return err
	}
	if w.login, err = issuer.Issue(auth.Scope{Prefix: w.Namespace + "/", Push: true}, time.Hour); err != nil {
		return err
	}
	return w.certify()
}

// certify makes a certificate of the kind that the operator makes for itself, and its files.
func (w *World) certify() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "measure"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	w.roots = x509.NewCertPool()
	w.roots.AppendCertsFromPEM(certificate)
	w.cert, w.key = filepath.Join(w.Dir, "tls.crt"), filepath.Join(w.Dir, "tls.key")
	return errors.Join(
		os.WriteFile(w.cert, certificate, 0o600),
		os.WriteFile(w.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

// Close ends the servers and removes what they have written. They are not waited for: what they have goes with them, and a client
// that keeps a connection open would keep them.
func (w *World) Close() error {
	var errs []error
	for _, transport := range w.transports {
		transport.CloseIdleConnections()
	}
	for _, p := range w.servers {
		errs = append(errs, p.Kill())
	}
	return errors.Join(append(errs, os.RemoveAll(w.Dir))...)
}

// Start starts a contestant, with TLS or without, in a folder of its own.
func (w *World) Start(ctx context.Context, name string, secure bool) (*Contestant, error) {
	dir := filepath.Join(w.Dir, fmt.Sprintf("%s-%d", name, len(w.servers)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create a folder for %s: %w", name, err)
	}
	return w.StartIn(ctx, name, dir, secure)
}

// StartIn starts a contestant in a folder that is there.
func (w *World) StartIn(ctx context.Context, name, dir string, secure bool) (*Contestant, error) {
	cert, key, scheme := "", "", "http://"
	if secure {
		cert, key, scheme = w.cert, w.key, "https://"
	}
	var (
		p   *server.Process
		err error
	)
	if kind, foreign := kinds[name]; foreign {
		p, err = server.StartRegistry(ctx, server.Registry{
			Kind: kind, Dir: dir, Cert: cert, Key: key, Log: w.Log, Progress: w.Progress,
		})
		if err == nil {
			w.servers = append(w.servers, p)
		}
	} else {
		p, err = w.Self(ctx, ServeCommand, name, dir, cert, key)
	}
	if err != nil {
		return nil, err
	}
	// HTTP/2 is slower for all of them, and Flux uses what the server offers: ours offers HTTP/1.1.
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12}, DisableCompression: true,
		MaxIdleConnsPerHost: w.Idle, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}
	w.transports = append(w.transports, transport)
	c := &Contestant{Name: name, Dir: dir, URL: scheme + p.Address(), Process: p, http: &http.Client{Transport: transport}}
	if name == Ours {
		c.Username, c.Password = w.login.Username, w.login.Password
	}
	return c, nil
}

// Stop tells the server to end, and waits for it. Connections of the client don't keep it.
func (c *Contestant) Stop() error {
	c.http.CloseIdleConnections()
	return c.Process.Stop()
}

// Self starts this program again, as a server with these arguments.
func (w *World) Self(ctx context.Context, args ...string) (*server.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p, err := server.Start(ctx, server.Command{
		Path: self, Args: args, Env: []string{secretVariable + "=" + hex.EncodeToString(w.secret)}, Log: w.Log,
	})
	if err == nil {
		w.servers = append(w.servers, p)
	}
	return p, err
}

// Field starts the contestants of a measurement.
func (w *World) Field(ctx context.Context, secure bool, names ...string) ([]*Contestant, error) {
	field := make([]*Contestant, len(names))
	for i, name := range names {
		var err error
		if field[i], err = w.Start(ctx, name, secure); err != nil {
			return nil, err
		}
	}
	return field, nil
}
