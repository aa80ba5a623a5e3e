package replication

import (
	"bytes"
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// gate is a proxy in front of a registry: it counts what comes through, can be slow, and can refuse.
type gate struct {
	// host is where it listens, and direct where the registry does.
	host, direct string
	proxy        *httputil.ReverseProxy

	mu     sync.Mutex
	counts counts
	fault  ocmtest.Fault
	// pace is how many bytes of a blob pass in a second, in either direction; zero is as many as can.
	pace int
	// life counts the operators that have come through: who was killed hears of nothing any more.
	life int
	// complaints are what the proxy says, such as that a client is gone.
	complaints complaints
}

// counts are what a gate has let through.
type counts struct {
	// requests are by method and class, as in "GET blobs".
	requests map[string]int
	// uploads and mounts are how often each blob was taken in, by repository@digest, and manifests each manifest, by repository:reference.
	// Uploads are those of which the client was told; unheard are the others.
	uploads, mounts, manifests, unheard map[string]int
	// users are who came to repositories, by the first segment of their names.
	users map[string]map[string]bool
	// received are bytes of blobs that were sent to the registry, whatever became of them.
	received int64
}

func newCounts() counts {
	return counts{
		requests: map[string]int{}, uploads: map[string]int{}, mounts: map[string]int{}, manifests: map[string]int{}, unheard: map[string]int{},
		users: map[string]map[string]bool{},
	}
}

func (c counts) clone() counts {
	return counts{
		requests: maps.Clone(c.requests), uploads: maps.Clone(c.uploads), mounts: maps.Clone(c.mounts), manifests: maps.Clone(c.manifests),
		unheard: maps.Clone(c.unheard), users: maps.Clone(c.users), received: c.received,
	}
}

// writes is how many requests there were that would change something.
func (c counts) writes() int {
	n := 0
	for what, count := range c.requests {
		if method, _, _ := strings.Cut(what, " "); method != http.MethodGet && method != http.MethodHead {
			n += count
		}
	}
	return n
}

// newGate serves a gate in front of a registry until the test ends.
func newGate(t *testing.T, direct string) *gate {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{host: listener.Addr().String(), direct: direct, counts: newCounts()}
	target := &url.URL{Scheme: "http", Host: direct}
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	g.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // registries tell where an upload goes on by the name that they are called
		},
		Transport:      transport,
		ModifyResponse: g.slowDown,
		FlushInterval:  -1,
		ErrorLog:       log.New(&g.complaints, "", log.Ltime|log.Lmicroseconds),
	}
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		_ = server.Close()
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("gate %s in front of %s: %+v; the end of what it complains of:\n%s", g.host, direct, g.seen(), g.complaints.end())
		}
	})
	return g
}

// maxComplaints is how much of what a gate complains of a failure shows. That of operators that were killed is no news.
const maxComplaints = 4 << 10

// complaints are the end of a log.
type complaints struct {
	// except is what lines have that nobody wants to read, unless it is empty.
	except string

	mu   sync.Mutex
	said []byte
}

// Write implements io.Writer.
func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.Lines(p) {
		if c.except == "" || !bytes.Contains(line, []byte(c.except)) {
			c.said = append(c.said, line...)
		}
	}
	c.said = bytes.Clone(c.said[max(0, len(c.said)-maxComplaints):])
	return len(p), nil
}

func (c *complaints) end() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.said)
}

// url is the address of a path of the registry, as objects have it.
func (g *gate) url(path string) string { return "http://" + g.host + "/" + path }

// seen returns the counts until now.
func (g *gate) seen() counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts.clone()
}

// forget lets the counts begin again.
func (g *gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts = newCounts()
}

// breaks answers requests in place of the registry, until nil does.
func (g *gate) breaks(f ocmtest.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fault = f
}

// crawls lets so many bytes of a blob pass in a second; zero is as many as can.
func (g *gate) crawls(pace int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pace = pace
}

// killed tells that whoever has sent requests until now is dead.
func (g *gate) killed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life++
}

func (g *gate) speed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pace
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	class := ocmtest.Class(r)
	g.arrived(r, class)
	g.mu.Lock()
	fault, life := g.fault, g.life
	g.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if r.Body != nil && class == ocmtest.ClassUploads {
		r.Body = &metered{paced: paced{ReadCloser: r.Body, ctx: r.Context(), pace: g.speed}, gate: g}
	}
	answer := &told{ResponseWriter: w}
	defer func() { g.left(r, class, answer.status, life) }() // the proxy panics when a client is gone
	g.proxy.ServeHTTP(answer, r)
}

func (g *gate) arrived(r *http.Request, class string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.counts.requests[r.Method+" "+class]++
	if first, _, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/"); ok {
		user, _, _ := r.BasicAuth()
		if g.counts.users[first] == nil {
			g.counts.users[first] = map[string]bool{}
		}
		g.counts.users[first][user] = true
	}
}

// left counts what the registry has taken in. It has, even if the answer reached nobody: who was killed meanwhile, and comes back
// before the registry is done with the blob, does not find it. That the sender is gone may be heard of after the answer: the life
// in which the request came tells, too.
func (g *gate) left(r *http.Request, class string, status, life int) {
	if status != http.StatusCreated {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	repository, reference := split(r.URL.Path)
	query := r.URL.Query()
	switch {
	case class == ocmtest.ClassManifests:
		g.counts.manifests[repository+":"+reference]++
	case query.Has("mount"):
		g.counts.mounts[repository+"@"+query.Get("mount")]++
	case query.Has("digest") && (life != g.life || r.Context().Err() != nil):
		g.counts.unheard[repository+"@"+query.Get("digest")]++
	case query.Has("digest"):
		g.counts.uploads[repository+"@"+query.Get("digest")]++
	}
}

// split returns the repository of a request, and what it is about there.
func split(path string) (repository, reference string) {
	path = strings.TrimPrefix(path, "/v2/")
	for _, part := range []string{"/blobs/", "/manifests/", "/tags/"} {
		if i := strings.LastIndex(path, part); i >= 0 {
			return path[:i], path[i+len(part):]
		}
	}
	return path, ""
}

// slowDown lets blobs that are read pass at the pace of the gate.
func (g *gate) slowDown(r *http.Response) error {
	if r.Request.Method == http.MethodGet && ocmtest.Class(r.Request) == ocmtest.ClassBlobs {
		r.Body = &paced{ReadCloser: r.Body, ctx: r.Request.Context(), pace: g.speed}
	}
	return nil
}

// told remembers the status of an answer.
type told struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *told) WriteHeader(status int) {
	if w.status == 0 || w.status < http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *told) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// slice is how long a part of a body takes at a bounded pace.
const slice = 20 * time.Millisecond

// paced is a body that comes at a pace.
type paced struct {
	io.ReadCloser
	ctx  context.Context
	pace func() int
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	pace := p.pace()
	if pace == 0 {
		return p.ReadCloser.Read(b)
	}
	e2etest.Pause(p.ctx, slice)
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.ReadCloser.Read(b[:min(len(b), max(1, pace*int(slice)/int(time.Second)))])
}

// metered counts the bytes that come.
type metered struct {
	paced
	gate *gate
}

// Read implements io.Reader.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.paced.Read(b)
	m.gate.mu.Lock()
	m.gate.counts.received += int64(n)
	m.gate.mu.Unlock()
	return n, err
}

// answers makes a fault: requests of some methods and a class are answered with a status.
func answers(status int, code string, matches func(r *http.Request) bool) ocmtest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !matches(r) {
			return false
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // so that the client reads the answer
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"errors":[{"code":"`+code+`","message":"as the test wants it"}]}`)
		return true
	}
}

// writing tells whether a request would change something.
func writing(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }
