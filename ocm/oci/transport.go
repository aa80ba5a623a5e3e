package oci

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
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

// Transport is a transport that gives up on servers which take a request and do not
// answer. The limit of net/http is one for all requests, and a registry may take much
// longer over a large blob, for which another transport would have connections of its
// own.
type Transport struct {
	*http.Transport

	// answer is how long an answer may take.
	answer time.Duration
}

// NewTransport returns a transport with time limits for servers that do not
// answer. It never connects to the addresses that Hosts refuses.
func NewTransport(o TransportOptions) (*Transport, error) {
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
	return &Transport{Transport: transport, answer: answerTimeout}, nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, ok := req.Context().Value(flowKey{}).(*flow); ok && req.Method == http.MethodPut {
		// Content that is sent has limits of its own, and so has its answer.
		return t.Transport.RoundTrip(req)
	}
	ctx, stop := context.WithCancelCause(req.Context())
	s := &silence{limit: t.answer, stop: stop}
	out := req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: s.begin}))
	resp, err := t.Transport.RoundTrip(out)
	if silent := s.end(); silent != nil {
		if err == nil {
			resp.Body.Close()
		}
		return nil, silent
	}
	if err != nil {
		stop(nil)
		return nil, err
	}
	resp.Request = req
	resp.Body = &answerBody{ReadCloser: resp.Body, end: stop}
	return resp, nil
}

// answerBody is the body of an answer, which ends the context of its request.
type answerBody struct {
	io.ReadCloser

	end context.CancelCauseFunc
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	defer b.end(nil)
	return b.ReadCloser.Close()
}

// silence is the time between a request and the answer.
type silence struct {
	limit time.Duration
	stop  context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer
	over  bool
	err   error
}

// begin notes that a request was written, which happens again on another connection
// if the first one turns out to be closed.
func (s *silence) begin(written httptrace.WroteRequestInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over || written.Err != nil:
	case s.timer == nil:
		s.timer = time.AfterFunc(s.limit, s.giveUp)
	default:
		s.timer.Reset(s.limit)
	}
}

func (s *silence) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.err = &silentError{s.limit}
		s.stop(s.err)
	}
}

// end notes that there was an answer or an error, and returns an error if it was too
// late.
func (s *silence) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
	return s.err
}

// silentError says that a server took a request and did not answer. It is a timeout,
// as that of net/http.
type silentError struct{ limit time.Duration }

// Error implements error.
func (e *silentError) Error() string {
	return fmt.Sprintf("it took the request and gave no answer for %s", e.limit)
}

// Timeout implements net.Error.
func (*silentError) Timeout() bool { return true }

// Temporary implements net.Error.
func (*silentError) Temporary() bool { return true }

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
var DefaultTransport = sync.OnceValue(func() *Transport {
	transport, err := NewTransport(TransportOptions{})
	if err != nil {
		panic(err) // without options nothing can go wrong
	}
	return transport
})
