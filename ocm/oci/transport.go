package oci

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// answerTimeout is how long a registry may take to begin its answer.
	answerTimeout = time.Minute
	// idlePerHost is how many connections to a registry are kept; a pipeline
	// reads several things at once.
	idlePerHost = 16
)

// TransportOptions configure a transport.
type TransportOptions struct {
	// Hosts are those that may be connected to.
	Hosts *Hosts
	// Proxy is where requests are sent through. Nil is what the environment
	// says.
	Proxy *url.URL
	// CertificateAuthority are certificates in PEM that are trusted besides those
	// of the system.
	CertificateAuthority []byte
	// Certificate and PrivateKey, in PEM, identify the client to every server
	// that asks.
	Certificate, PrivateKey []byte
}

// NewTransport returns a transport with time limits for servers that do not
// answer. It never connects to the addresses that Hosts refuses.
func NewTransport(o TransportOptions) (*http.Transport, error) {
	through := &proxies{choose: http.ProxyFromEnvironment}
	if o.Proxy != nil {
		through.choose = http.ProxyURL(o.Proxy)
	}
	transport := &http.Transport{
		Proxy:                 through.of,
		DialContext:           o.Hosts.dial(net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}, through),
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          100,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: answerTimeout,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if len(o.CertificateAuthority) > 0 {
		roots, err := trusted(nil)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(o.CertificateAuthority) {
			return nil, errors.New("the certificate authority has no certificate in PEM")
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	if len(o.Certificate) > 0 {
		pair, err := tls.X509KeyPair(o.Certificate, o.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("the certificate of the client and its key: %w", err)
		}
		transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	return transport, nil
}

// proxies are the addresses of those that requests were sent through, for whoever
// connects and sees nothing but an address.
type proxies struct {
	choose func(*http.Request) (*url.URL, error)
	known  sync.Map
}

// of returns the proxy of a request.
func (p *proxies) of(req *http.Request) (*url.URL, error) {
	proxy, err := p.choose(req)
	if proxy != nil {
		port := proxy.Port()
		if port == "" {
			port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
		}
		p.known.Store(net.JoinHostPort(proxy.Hostname(), cmp.Or(port, "80")), true)
	}
	return proxy, err
}

func (p *proxies) has(address string) bool {
	if p == nil {
		return false
	}
	_, ok := p.known.Load(address)
	return ok
}

// DefaultTransport is the transport of clients that are given none.
var DefaultTransport = sync.OnceValue(func() *http.Transport {
	transport, err := NewTransport(TransportOptions{})
	if err != nil {
		panic(err) // without options nothing can go wrong
	}
	return transport
})
