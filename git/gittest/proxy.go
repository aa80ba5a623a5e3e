package gittest

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// Proxy is an HTTP proxy on loopback: it tunnels TLS and forwards plain requests.
type Proxy struct {
	// URL has the login, if there is one.
	URL *url.URL

	username, password string
	forward            *httputil.ReverseProxy

	mu    sync.Mutex
	hosts []string

	tunnels sync.WaitGroup
	open    map[net.Conn]struct{}
}

// NewProxy serves as a proxy until the test ends, to everybody when the login is empty.
func NewProxy(t testing.TB, username, password string) *Proxy {
	t.Helper()
	transport := &http.Transport{}
	p := &Proxy{username: username, password: password, open: map[net.Conn]struct{}{}, forward: &httputil.ReverseProxy{
		Rewrite: func(*httputil.ProxyRequest) {}, Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		p.closeTunnels()
		transport.CloseIdleConnections()
	})
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if username != "" {
		address.User = url.UserPassword(username, password)
	}
	p.URL = address
	return p
}

// Hosts returns whom clients wanted to reach, a host:port for each tunnel and each forwarded request, in that order.
func (p *Proxy) Hosts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hosts)
}

// ServeHTTP answers a client of the proxy; http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.username != "" {
		// A proxy's login is written like any other, only under another name.
		probe := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if username, password, ok := probe.BasicAuth(); !ok || !same(username, p.username) || !same(password, p.password) {
			w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
			http.Error(w, "the proxy wants a login", http.StatusProxyAuthRequired)
			return
		}
	}
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	switch {
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.IsAbs():
		r.Header.Del("Proxy-Authorization")
		p.forward.ServeHTTP(w, r)
	default:
		http.Error(w, "this is a proxy", http.StatusBadRequest)
	}
}

// tunnel connects the client with the server that it names.
func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	upstream, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = upstream.Close()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !p.keep(client, upstream) {
		return
	}
	copyTo := func(to net.Conn, from io.Reader) {
		defer p.tunnels.Done()
		_, _ = io.Copy(to, from)
		_ = client.Close() // one direction that ended ends the other
		_ = upstream.Close()
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go copyTo(upstream, buffered)
	copyTo(client, upstream)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, client)
	delete(p.open, upstream)
}

// keep notes both ends of a tunnel, which http.Server forgets when they are hijacked. It closes them if the proxy is closed.
func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		for _, conn := range conns {
			_ = conn.Close()
		}
		return false
	}
	p.tunnels.Add(len(conns))
	for _, conn := range conns {
		p.open[conn] = struct{}{}
	}
	return true
}

func (p *Proxy) closeTunnels() {
	p.mu.Lock()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.tunnels.Wait()
}
