package transfer_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// request is one that a proxy has passed on.
type request struct {
	method, class, path string
	// blob is the digest that an upload ends with.
	blob   string
	status int
}

// proxy passes requests on to a registry, and remembers them.
type proxy struct {
	url string

	mu       sync.Mutex
	requests []request
	// running is how many requests are on the way.
	running int
	// before is called before a request is passed on.
	before func(request)
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // so that the registry leads back here
		},
		ModifyResponse: func(resp *http.Response) error {
			p.remember(requestOf(resp.Request, resp.StatusCode))
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before := p.began()
		defer p.ended()
		if before != nil {
			before(requestOf(r, 0))
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

func (p *proxy) began() (before func(request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running++
	return p.before
}

func (p *proxy) ended() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
}

// onTheWay is how many requests are not answered yet.
func (p *proxy) onTheWay() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running
}

func requestOf(r *http.Request, status int) request {
	return request{method: r.Method, class: ocmtest.Class(r), path: r.URL.Path, blob: r.URL.Query().Get("digest"), status: status}
}

func (p *proxy) remember(r request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
}

// seen returns the requests since it was called last.
func (p *proxy) seen() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := p.requests
	p.requests = nil
	return seen
}

// sent counts the blobs that were sent, by repository and digest.
func sent(all []request) map[string]int {
	out := map[string]int{}
	for _, r := range all {
		if r.method == http.MethodPut && r.class == ocmtest.ClassUploads && r.status == http.StatusCreated {
			out[repositoryOf(r)+"@"+r.blob]++
		}
	}
	return out
}

// repositoryOf cuts the repository out of the path of a request.
func repositoryOf(r request) string {
	for _, part := range []string{"/blobs/", "/manifests/", "/tags/"} {
		if name, _, ok := strings.Cut(strings.TrimPrefix(r.path, "/v2/"), part); ok {
			return name
		}
	}
	return ""
}
