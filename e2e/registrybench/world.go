package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/server"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// Names of contestants, as in the table.
const (
	ours    = "ours"
	other   = "distribution"
	machine = "machine"
)

// world is the folder of one part, and the servers in it.
type world struct {
	bench     *bench
	dir       string
	cert, key string
	roots     *x509.CertPool
	secret    []byte
	basic     string

	servers    []*server.Process
	transports []*http.Transport
}

// contestant is a server that is measured, and a client that only talks to it.
type contestant struct {
	name    string
	dir     string
	url     string
	process *server.Process
	http    *http.Client
	basic   string
}

func (w *world) prepare() (err error) {
	if w.dir, err = os.MkdirTemp(w.bench.dir, "part-"); err != nil {
		return fmt.Errorf("create a folder: %w", err)
	}
	w.secret = make([]byte, 32)
	_, _ = rand.Read(w.secret) // it returns no error
	issuer, err := auth.NewIssuer(w.secret, nil)
	if err != nil {
		return err
	}
	credential, err := issuer.Issue(auth.Scope{Prefix: namespace + "/", Push: true}, time.Hour)
	if err != nil {
		return err
	}
	w.basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(credential.Username+":"+credential.Password))
	return w.certify()
}

// certify makes a certificate of the kind that the operator makes for itself, and its files.
func (w *world) certify() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registrybench"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
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
	w.cert, w.key = filepath.Join(w.dir, "tls.crt"), filepath.Join(w.dir, "tls.key")
	return errors.Join(
		os.WriteFile(w.cert, certificate, 0o600),
		os.WriteFile(w.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600),
	)
}

// close ends the servers and removes what they have written.
func (w *world) close() error {
	var errs []error
	for _, transport := range w.transports {
		transport.CloseIdleConnections()
	}
	for _, p := range w.servers {
		errs = append(errs, p.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// start starts a contestant, with TLS or without, in a folder of its own.
func (w *world) start(ctx context.Context, name string, secure bool) (*contestant, error) {
	dir := filepath.Join(w.dir, fmt.Sprintf("%s-%d", name, len(w.servers)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create a folder for %s: %w", name, err)
	}
	return w.startIn(ctx, name, dir, secure)
}

func (w *world) startIn(ctx context.Context, name, dir string, secure bool) (*contestant, error) {
	cert, key, scheme := "", "", "http://"
	if secure {
		cert, key, scheme = w.cert, w.key, "https://"
	}
	var (
		p   *server.Process
		err error
	)
	if name == other {
		p, err = server.StartRegistry(ctx, server.Registry{
			Kind: server.Distribution, Dir: dir, Cert: cert, Key: key, Log: w.bench.progress, Progress: w.bench.progress,
		})
	} else {
		p, err = w.startOwn(ctx, name, dir, cert, key)
	}
	if err != nil {
		return nil, err
	}
	w.servers = append(w.servers, p)
	// HTTP/2 is slower for all of them, and Flux uses what the server offers: ours offers HTTP/1.1.
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.roots, MinVersion: tls.VersionTLS12}, DisableCompression: true,
		MaxIdleConnsPerHost: 2 * w.bench.workers, WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
	}
	w.transports = append(w.transports, transport)
	c := &contestant{name: name, dir: dir, url: scheme + p.Address(), process: p, http: &http.Client{Transport: transport}}
	if name == ours {
		c.basic = w.basic
	}
	return c, nil
}

// startOwn starts this program again, as a server.
func (w *world) startOwn(ctx context.Context, name, dir, cert, key string) (*server.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return server.Start(ctx, server.Command{
		Path: self, Args: []string{serveCommand, name, dir, cert, key}, Env: []string{secretVariable + "=" + hex.EncodeToString(w.secret)}, Log: w.bench.progress,
	})
}

// field starts the contestants of a measurement.
func (w *world) field(ctx context.Context, secure bool, names ...string) ([]*contestant, error) {
	field := make([]*contestant, len(names))
	for i, name := range names {
		var err error
		if field[i], err = w.start(ctx, name, secure); err != nil {
			return nil, err
		}
	}
	return field, nil
}
