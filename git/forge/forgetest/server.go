package forgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/git/forge"
)

// Rights are what a token may do.
type Rights int

// Rights of a Token.
const (
	// Nothing is a token that is known and may not see any repository.
	Nothing Rights = iota
	// Read is one that may read repositories and requests.
	Read
	// Write is one that may also create and change requests, and merge them.
	Write
)

// Token is somebody who may ask.
type Token struct {
	// User is the name of the owner.
	User string
	// Rights are what the token may do.
	Rights Rights
}

// Limit is how often a server may be asked.
type Limit struct {
	// Remaining requests are answered, and then none before Reset.
	Remaining int
	Reset     time.Time
	// Burst makes the refusal that of GitHub's limit against bursts, which is told with Retry-After and in words.
	Burst bool
}

// Request is one that a Server has answered.
type Request struct {
	// Method, Path (escaped, below the API), Query and Body are those of the request; Header is without the token.
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         string
	// User is whose token it had.
	User string
	// Status is how it was answered.
	Status int
}

// Server is a forge: GitHub or GitLab. It is an http.Handler of its API.
type Server struct {
	// URL is the address of a server that Start has started.
	URL string

	provider string
	prefix   string
	serve    func(*Server, *exchange)

	mu           sync.Mutex
	repositories []*repository
	moved        map[string]*repository
	tokens       map[string]Token
	log          []Request
	fault        func(http.ResponseWriter, *http.Request) bool
	lose         func(*http.Request) bool
	limit        *Limit
	ids          int64
	times        int64
}

// New returns a forge without repositories and tokens that does not listen; provider is forge.GitHub or forge.GitLab.
func New(provider string) *Server {
	s := &Server{provider: provider, moved: map[string]*repository{}, tokens: map[string]Token{}, ids: 1000}
	switch provider {
	case forge.GitHub:
		s.prefix, s.serve = "/api/v3", (*Server).github
	case forge.GitLab:
		s.prefix, s.serve = "/api/v4", (*Server).gitlab
	default:
		panic(fmt.Sprintf("there is no test forge %q: use %s or %s", provider, forge.GitHub, forge.GitLab))
	}
	return s
}

// Start returns a forge that listens on loopback until the test ends.
func Start(t testing.TB, provider string) *Server {
	t.Helper()
	s := New(provider)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// APIURL returns the address of the API of a server that was started.
func (s *Server) APIURL() string { return s.URL + s.prefix }

// AddToken makes a token known.
func (s *Server) AddToken(token string, t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = t
}

// Fault sets what is called before a request is looked at; it returns true if it has answered. Nil removes it.
func (s *Server) Fault(f func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Lose sets what decides whether an answer gets lost: the request is done, and the connection breaks before its sender knows. Nil removes it.
func (s *Server) Lose(f func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = f
}

// SetLimit limits how often the server may be asked. Nil removes the limit.
func (s *Server) SetLimit(l *Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = l
}

// Requests returns what was asked since the start or the last Forget, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Forget empties the log of requests.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

// exchange is a request that is being answered.
type exchange struct {
	http.ResponseWriter

	r     *http.Request
	path  []string
	query url.Values
	body  map[string]any
	token Token
	known bool
	// base is the address of the API as the client sees it, and web that of the pages for people.
	base, web string
	status    int
}

// ctx is not that of the connection: what was begun is finished, whether somebody waits for it or not.
func (x *exchange) ctx() context.Context { return context.WithoutCancel(x.r.Context()) }

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	x.status = status
	x.ResponseWriter.WriteHeader(status)
}

// json answers with a value.
func (x *exchange) json(status int, value any) {
	x.Header().Set("Content-Type", "application/json; charset=utf-8")
	x.WriteHeader(status)
	if err := json.NewEncoder(x.ResponseWriter).Encode(value); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// text returns a field of the body, and whether it is there.
func (x *exchange) text(name string) (string, bool) {
	value, ok := x.body[name]
	text, isText := value.(string)
	return text, ok && isText
}

// flag returns a field of the body that is true or false.
func (x *exchange) flag(name string) bool {
	value, ok := x.body[name].(bool)
	return ok && value
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	fault, lose := s.fault, s.lose
	s.mu.Unlock()
	recorder := httptest.NewRecorder()
	if fault != nil && fault(w, r) {
		s.record(r, body, "", 0)
		return
	}
	x := s.exchange(recorder, r, body)
	// One at a time: what a forge does in a transaction is done under this lock.
	s.mu.Lock()
	s.answer(x)
	s.mu.Unlock()
	s.record(r, body, x.token.User, x.status)
	if lose != nil && lose(r) {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	if _, err := recorder.Body.WriteTo(w); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) exchange(w http.ResponseWriter, r *http.Request, body []byte) *exchange {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	x := &exchange{ResponseWriter: w, r: r, query: r.URL.Query(), web: scheme + "://" + r.Host, body: map[string]any{}}
	x.base = x.web + s.prefix
	if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), s.prefix+"/"); ok {
		for part := range strings.SplitSeq(rest, "/") {
			plain, err := url.PathUnescape(part)
			if err != nil {
				plain = part
			}
			x.path = append(x.path, plain)
		}
	}
	if len(body) > 0 && json.Unmarshal(body, &x.body) != nil {
		// An array, or no JSON: whoever needs the body does not find its fields.
		x.body = map[string]any{}
	}
	return x
}

func (s *Server) record(r *http.Request, body []byte, user string, status int) {
	header := r.Header.Clone()
	header.Del("Authorization")
	header.Del("Private-Token")
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.EscapedPath(), s.prefix)
	s.log = append(s.log, Request{Method: r.Method, Path: path, Query: r.URL.Query(), Header: header, Body: string(body), User: user, Status: status})
}

// answer finds out who asks, and whether too often, and lets the provider do the rest.
func (s *Server) answer(x *exchange) {
	token := x.r.Header.Get("Private-Token")
	if s.provider == forge.GitHub {
		token = ""
	}
	kind, value, _ := strings.Cut(x.r.Header.Get("Authorization"), " ")
	if token == "" && (strings.EqualFold(kind, "Bearer") || (strings.EqualFold(kind, "token") && s.provider == forge.GitHub)) {
		token = strings.TrimSpace(value)
	}
	x.token, x.known = s.tokens[token]
	if token != "" && !x.known {
		s.unauthorized(x)
		return
	}
	if s.limit != nil && s.limited(x) {
		return
	}
	s.serve(s, x)
}

func (s *Server) unauthorized(x *exchange) {
	if s.provider == forge.GitHub {
		githubError(x, http.StatusUnauthorized, "Bad credentials")
		return
	}
	x.json(http.StatusUnauthorized, map[string]any{"message": "401 Unauthorized"})
}

// limited counts a request, and refuses it if there were enough.
func (s *Server) limited(x *exchange) bool {
	l := s.limit
	if !time.Now().Before(l.Reset) {
		s.limit = nil
		return false
	}
	over := l.Remaining <= 0
	l.Remaining = max(l.Remaining-1, 0)
	wait := strconv.Itoa(int(time.Until(l.Reset).Seconds()) + 1)
	prefix := "X-RateLimit-"
	if s.provider == forge.GitLab {
		prefix = "RateLimit-"
	}
	if !l.Burst {
		x.Header().Set(prefix+"Limit", "5000")
		x.Header().Set(prefix+"Remaining", strconv.Itoa(l.Remaining))
		x.Header().Set(prefix+"Reset", strconv.FormatInt(l.Reset.Unix(), 10))
	}
	switch {
	case !over:
		return false
	case s.provider == forge.GitLab:
		x.Header().Set("Retry-After", wait)
		x.Header().Set("Content-Type", "text/plain")
		x.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprintln(x.ResponseWriter, "Retry later")
	case l.Burst:
		x.Header().Set("Retry-After", wait)
		x.json(http.StatusForbidden, map[string]any{
			"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		})
	default:
		x.json(http.StatusForbidden, map[string]any{
			"message":           "API rate limit exceeded for user ID 1.",
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
		})
	}
	return true
}

// paged cuts a list to the page that is asked for and sets the links to the others.
func paged[T any](x *exchange, items []T) []T {
	size := clamp(x.query.Get("per_page"), 20, 100)
	if strings.HasSuffix(x.base, "/api/v3") {
		size = clamp(x.query.Get("per_page"), 30, 100)
	}
	page := clamp(x.query.Get("page"), 1, 1<<20)
	last := max((len(items)+size-1)/size, 1)
	var links []string
	link := func(rel string, number int) {
		q := maps.Clone(x.query)
		q.Set("page", strconv.Itoa(number))
		q.Set("per_page", strconv.Itoa(size))
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", x.web, x.r.URL.EscapedPath(), q.Encode(), rel))
	}
	if page > 1 {
		link("prev", page-1)
	}
	if page < last {
		link("next", page+1)
		link("last", last)
	}
	link("first", 1)
	if last > 1 || strings.HasSuffix(x.base, "/api/v4") {
		x.Header().Set("Link", strings.Join(links, ", "))
	}
	if strings.HasSuffix(x.base, "/api/v4") {
		gitlabPages(x.Header(), len(items), page, size, last)
	}
	from := min((page-1)*size, len(items))
	return items[from:min(from+size, len(items))]
}

// clamp reads a number from 1 to limit; what is none is the default.
func clamp(text string, otherwise, limit int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return otherwise
	}
	return min(n, limit)
}
