package access_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{certificate: certificate, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, err
}

// issue returns a certificate for a host, or for a client, and its key.
func (a *authority) issue(name string) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), err
}

// world is what every client of this process trusts, in place of the authorities of the machine.
var world *authority

func TestMain(m *testing.M) {
	var err error
	if world, err = newAuthority(); err != nil {
		panic(err)
	}
	if err := trustWorld(); err != nil {
		panic(err)
	}
	clustertest.Main(m, cluster.Options{})
}

// trustWorld makes the clients of the clouds trust the world: they take the certificates of the system, which are read once.
// Programs that are started don't get to see it.
func trustWorld() error {
	dir, err := os.MkdirTemp("", "access")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "ca.crt")
	if err := errors.Join(os.WriteFile(file, world.pem, 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", dir)); err != nil {
		return err
	}
	_, err = x509.SystemCertPool()
	return errors.Join(err, os.Unsetenv("SSL_CERT_FILE"), os.Unsetenv("SSL_CERT_DIR"))
}

// internet is a proxy behind which hosts are served by handlers, all with a certificate that this process trusts.
type internet struct {
	// Address is that of the proxy.
	Address string
	// Login is what the proxy wants in Proxy-Authorization; empty is nothing.
	Login string

	mu    sync.Mutex
	hosts map[string]http.Handler
	asked []string
}

func newInternet(t *testing.T, hosts map[string]http.Handler) *internet {
	t.Helper()
	n := &internet{hosts: hosts}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: n, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	n.Address = "http://" + listener.Addr().String()
	return n
}

// Asked returns the hosts that were connected to, in their order.
func (n *internet) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.asked...)
}

// ServeHTTP connects to a host.
func (n *internet) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	host, _, err := net.SplitHostPort(req.Host)
	n.mu.Lock()
	handler, ok := n.hosts[host]
	n.asked = append(n.asked, host)
	n.mu.Unlock()
	switch {
	case n.Login != "" && req.Header.Get("Proxy-Authorization") != n.Login:
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	case err != nil || req.Method != http.MethodConnect || !ok:
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n\r\n")
	certificate, key, err := world.issue(host)
	if err != nil {
		return
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return
	}
	serveOne(tls.Server(&early{Conn: conn, first: buffered.Reader}, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), handler)
}

// early is a connection of which something was read already.
type early struct {
	net.Conn
	first *bufio.Reader
}

// Read implements io.Reader.
func (e *early) Read(p []byte) (int, error) { return e.first.Read(p) }

// serveOne serves one connection to its end.
func serveOne(conn net.Conn, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	_ = server.Serve(&single{conn: conn, done: make(chan struct{})})
}

// single is a listener with one connection.
type single struct {
	conn net.Conn
	once sync.Once
	done chan struct{}
}

// Accept implements net.Listener.
func (s *single) Accept() (net.Conn, error) {
	var conn net.Conn
	s.once.Do(func() { conn = &closing{Conn: s.conn, closed: sync.OnceFunc(func() { close(s.done) })} })
	if conn != nil {
		return conn, nil
	}
	<-s.done
	return nil, io.EOF
}

// Close implements net.Listener.
func (s *single) Close() error { return nil }

// Addr implements net.Listener.
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }

// closing tells when it is closed.
type closing struct {
	net.Conn
	closed func()
}

// Close implements io.Closer.
func (c *closing) Close() error {
	c.closed()
	return c.Conn.Close()
}
