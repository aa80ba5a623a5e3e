package access

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/lru"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// maxTransports bounds how many transports are kept. Each has connections of its own.
const maxTransports = 64

// connection is how a registry is connected to, beyond the address.
type connection struct {
	proxy *url.URL
	// authority are certificates that are trusted, certificate and key those of the client; all in PEM.
	authority, certificate, key []byte
}

// plain tells whether there is nothing special.
func (c connection) plain() bool {
	return c.proxy == nil && len(c.authority) == 0 && len(c.certificate) == 0
}

// forOthers is the connection to hosts that the component leads to: they don't get to see the certificate of the client.
func (c connection) forOthers() connection {
	c.certificate, c.key = nil, nil
	return c
}

// fingerprint tells two connections apart.
func (c connection) fingerprint() string {
	sum := sha256.New()
	proxy := ""
	if c.proxy != nil {
		proxy = c.proxy.String()
	}
	for _, part := range [][]byte{[]byte(proxy), c.authority, c.certificate, c.key} {
		fmt.Fprintf(sum, "%d:", len(part))
		sum.Write(part)
	}
	return string(sum.Sum(nil))
}

// transports keeps one transport for each way to connect, so that objects which connect alike share connections.
type transports struct {
	hosts *oci.Hosts
	// usual is for connections with nothing special; nil is made like the others.
	usual http.RoundTripper

	mu    sync.Mutex
	known *lru.Cache
}

func newTransports(hosts *oci.Hosts, usual http.RoundTripper, size int) *transports {
	return &transports{hosts: hosts, usual: usual, known: lru.NewWithEvictionFunc(size, func(_ lru.Key, value any) {
		// Whoever uses it still can; its connections are not kept for later.
		if transport, ok := value.(*oci.Transport); ok {
			transport.CloseIdleConnections()
		}
	})}
}

func (t *transports) get(c connection) (http.RoundTripper, error) {
	if t.usual != nil && c.plain() {
		return t.usual, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := c.fingerprint()
	if known, ok := t.known.Get(key); ok {
		if transport, ok := known.(*oci.Transport); ok {
			return transport, nil
		}
	}
	made, err := oci.NewTransport(oci.TransportOptions{
		Hosts: t.hosts, Proxy: c.proxy, CertificateAuthority: c.authority, Certificate: c.certificate, PrivateKey: c.key,
	})
	if err != nil {
		return nil, err
	}
	t.known.Add(key, made)
	return made, nil
}

// Certificates returns what a Secret says about TLS, all in PEM: certificates that are trusted, and certificate and key of the client. It
// returns an *UnusableError if it says nothing, or half of it.
func Certificates(secret *corev1.Secret) (authority, certificate, key []byte, err error) {
	c := connection{authority: secret.Data[authorityKey], certificate: secret.Data[certificateKey], key: secret.Data[privateKeyKey]}
	switch {
	case (len(c.certificate) == 0) != (len(c.key) == 0):
		err = unusable(secret.Namespace, secret.Name, fmt.Sprintf("has one of the keys %q and %q only: they belong together", certificateKey, privateKeyKey))
	case c.plain():
		err = unusable(secret.Namespace, secret.Name, fmt.Sprintf("has neither the key %q nor the keys %q and %q; it has: %v",
			authorityKey, certificateKey, privateKeyKey, slices.Sorted(maps.Keys(secret.Data))))
	}
	return c.authority, c.certificate, c.key, err
}

// Proxy returns the proxy that a Secret names. It returns an *UnusableError if there is none.
func Proxy(secret *corev1.Secret) (*url.URL, error) {
	if len(secret.Data[addressKey]) == 0 {
		return nil, unusable(secret.Namespace, secret.Name,
			fmt.Sprintf("has no key %q with the address of a proxy; it has: %v", addressKey, slices.Sorted(maps.Keys(secret.Data))))
	}
	proxy, err := parseProxy(string(secret.Data[addressKey]), string(secret.Data[usernameKey]), string(secret.Data[passwordKey]))
	if err != nil {
		return nil, unusable(secret.Namespace, secret.Name, fmt.Sprintf("has a key %q that %v", addressKey, err))
	}
	return proxy, nil
}

// parseProxy reads the address of a proxy. Errors don't show it: it may hold a password.
func parseProxy(address, username, password string) (*url.URL, error) {
	proxy, err := url.Parse(strings.TrimSpace(address))
	if err != nil || proxy.Host == "" {
		return nil, fmt.Errorf("is no URL, want for example http://proxy.example.com:3128")
	}
	switch proxy.Scheme {
	case "http", "https", "socks5":
	default:
		return nil, fmt.Errorf("has the scheme %q, want http, https or socks5", proxy.Scheme)
	}
	if username != "" {
		proxy.User = url.UserPassword(username, password)
	}
	return proxy, nil
}
