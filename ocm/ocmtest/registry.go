package ocmtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Classes of requests that are counted, each prefixed by the method as in
// "GET manifests".
const (
	ClassManifests = "manifests"
	ClassBlobs     = "blobs"
	ClassUploads   = "uploads"
	ClassTags      = "tags"
	ClassOther     = "other"
)

// Fault may answer a request in place of the registry; it returns whether it
// did.
type Fault func(w http.ResponseWriter, req *http.Request) bool

// Registry is a real OCI registry that keeps its content in memory. It is an
// http.Handler and safe for concurrent use.
type Registry struct {
	inner http.Handler

	mu       sync.Mutex
	counts   map[string]int
	faults   []Fault
	user     string
	password string
	pageSize int
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		inner:  registry.New(registry.Logger(log.New(io.Discard, "", 0))),
		counts: map[string]int{},
	}
}

// RequireLogin makes the registry refuse requests without this user and
// password.
func (r *Registry) RequireLogin(user, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.password = user, password
}

// Paginate makes the registry list at most n tags a page.
func (r *Registry) Paginate(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pageSize = n
}

// Inject adds a fault. Faults are asked in the order they were added, before
// the log-in is checked.
func (r *Registry) Inject(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, f)
}

// Heal removes all faults.
func (r *Registry) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Requests returns how many requests there were by method and class.
func (r *Registry) Requests() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// ResetRequests sets all counts to zero.
func (r *Registry) ResetRequests() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.counts)
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	class := Class(req)
	r.mu.Lock()
	r.counts[req.Method+" "+class]++
	faults := slices.Clone(r.faults)
	user, password, pageSize := r.user, r.password, r.pageSize
	r.mu.Unlock()
	for _, f := range faults {
		if f(w, req) {
			return
		}
	}
	if user != "" {
		if u, p, ok := req.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("Www-Authenticate", `Basic realm="ocmtest"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"log in first"}]}`, http.StatusUnauthorized)
			return
		}
	}
	if class == ClassTags && pageSize > 0 {
		r.serveTags(w, req, pageSize)
		return
	}
	r.inner.ServeHTTP(w, req)
}

// Class returns the class of a request.
func Class(req *http.Request) string {
	segments := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	switch n := len(segments); {
	case n >= 3 && segments[n-2] == "tags":
		return ClassTags
	case slices.Contains(segments, "uploads"):
		return ClassUploads
	case n >= 3 && segments[n-2] == "manifests":
		return ClassManifests
	case n >= 3 && segments[n-2] == "blobs":
		return ClassBlobs
	}
	return ClassOther
}

// serveTags lists tags in pages that are linked, which the wrapped registry
// cannot do.
func (r *Registry) serveTags(w http.ResponseWriter, req *http.Request, pageSize int) {
	query := req.URL.Query()
	all := httptest.NewRecorder()
	plain := req.Clone(req.Context())
	plain.URL.RawQuery = ""
	r.inner.ServeHTTP(all, plain)
	var listing struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if all.Code != http.StatusOK || json.Unmarshal(all.Body.Bytes(), &listing) != nil {
		w.WriteHeader(all.Code)
		_, _ = w.Write(all.Body.Bytes()) // the client is gone if this fails
		return
	}
	slices.Sort(listing.Tags)
	start, found := slices.BinarySearch(listing.Tags, query.Get("last"))
	if found {
		start++
	}
	listing.Tags = listing.Tags[start:]
	if n, err := strconv.Atoi(query.Get("n")); err == nil && n > 0 {
		pageSize = min(pageSize, n)
	}
	if len(listing.Tags) > pageSize {
		listing.Tags = listing.Tags[:pageSize]
		next := url.Values{"last": {listing.Tags[pageSize-1]}, "n": {strconv.Itoa(pageSize)}}
		w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", req.URL.Path, next.Encode()))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(listing) //nolint:errchkjson // strings only; the client is gone if this fails
}

// TB is the part of testing.TB that Start needs.
type TB interface {
	Helper()
	Cleanup(cleanup func())
	Fatal(args ...any)
}

// Server is a registry that listens on a port of the loopback interface.
type Server struct {
	*Registry

	// URL is the URL of the registry, with http:// in front.
	URL string
	// Host is its host and port.
	Host string
}

// Start serves a new registry until the test ends.
func Start(tb TB) *Server {
	tb.Helper()
	r := NewRegistry()
	// Not an httptest.Server: closing one cuts the idle connections of the transport that parallel tests share.
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &http.Server{Handler: r, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(listener) }()
	tb.Cleanup(func() { _ = s.Close() })
	host := listener.Addr().String()
	return &Server{Registry: r, URL: "http://" + host, Host: host}
}

// FailWith returns a fault that answers the first n requests of a method and
// class, as in "GET manifests", with a status.
func FailWith(status, n int, methodAndClass string) Fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, req *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if n == 0 || req.Method+" "+Class(req) != methodAndClass {
			return false
		}
		n--
		w.Header().Set("Retry-After", "0")
		http.Error(w, `{"errors":[{"code":"UNKNOWN","message":"injected"}]}`, status)
		return true
	}
}
