package gitsync

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/gittest"
)

// gate is a proxy in front of the API of a forge: it tells what comes through, and can answer in place of the forge.
type gate struct {
	// url is where it listens, in place of the forge.
	url string

	proxy *httputil.ReverseProxy

	mu       sync.Mutex
	fault    gittest.Fault
	requests []string
}

// newGate serves a gate in front of a server until the test ends.
func newGate(t *testing.T, target string) *gate {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	g := &gate{proxy: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) },
		Transport: transport, ErrorLog: log.New(io.Discard, "", 0), // clients that are killed are no news
	}}
	server := httptest.NewServer(g)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	g.url = server.URL
	return g
}

// breaks has requests answered by a fault, until nil does.
func (g *gate) breaks(f gittest.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = f
}

// seen returns the requests so far that would change something, with their paths.
func (g *gate) seen() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.requests)
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	if r.Method != http.MethodGet {
		g.requests = append(g.requests, r.Method+" "+r.URL.Path)
	}
	fault := g.fault
	g.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	g.proxy.ServeHTTP(w, r)
}

// limited answers as each forge does that was asked too often, for some time after the first request: how long that takes to come is nobody's
// business here.
func limited(patience time.Duration) gittest.Fault {
	end := sync.OnceValue(func() time.Time { return time.Now().Add(patience) })
	return func(w http.ResponseWriter, _ *http.Request) bool {
		until := end()
		if time.Now().After(until) {
			return false
		}
		at := strconv.FormatInt(until.Unix()+1, 10)
		header := w.Header()
		header.Set("X-RateLimit-Remaining", "0")
		header.Set("X-RateLimit-Reset", at)
		header.Set("RateLimit-Remaining", "0")
		header.Set("RateLimit-Reset", at)
		header.Set("Retry-After", strconv.Itoa(int(time.Until(until).Seconds())+1))
		header.Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"message":"API rate limit exceeded"}`)
		return true
	}
}
