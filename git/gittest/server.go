package gittest

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Options says who may do what on a Server. Without any login everybody may do everything.
type Options struct {
	// Username and Password are a login that may write.
	Username, Password string
	// Token may write. It is a bearer token, or the password of any user as with the usual forges.
	Token string
	// ReadOnlyToken may read, and is refused with 403 when it pushes.
	ReadOnlyToken string
	// PublicRead lets everybody read.
	PublicRead bool
	// TLS serves HTTPS with a certificate of an own authority, whose certificate is Server.CA.
	TLS bool
	// ClientCertificates serves HTTPS to those only that show the certificate Server.ClientCertificate.
	ClientCertificates bool
	// Root is the folder with the repositories; one of the test when empty.
	Root string
}

// Fault is called with every request before anything is looked at, and answers it itself if it returns true. It may also change the world,
// such as commit in the repository, and return false. It must not wait for longer than the request's context.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// Request is a request that a server has answered.
type Request struct {
	Method, Host, Path, Query string
	Header                    http.Header
	// Received and Sent are bytes of the two bodies.
	Received, Sent int64
	// Status is 0 where the connection was closed instead of an answer.
	Status int
}

// Server is git's own HTTP server, git http-backend, on loopback.
type Server struct {
	// URL is where the server is, without a slash at its end.
	URL string
	// CA is the PEM certificate of the authority of a server with TLS.
	CA []byte
	// ClientCertificate and ClientKey are PEM files that a server with ClientCertificates wants to see.
	ClientCertificate, ClientKey []byte

	options Options
	backend http.Handler
	spool   string

	mu       sync.Mutex
	fault    Fault
	lose     func(*http.Request) bool
	requests []Request
}

// NewServer serves repositories until the test ends.
func NewServer(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	s := &Server{options: o, spool: t.TempDir()}
	s.backend = &cgi.Handler{
		Path: program(t), Args: []string{"http-backend"}, Dir: o.Root, Logger: log.New(io.Discard, "", 0), Stderr: io.Discard,
		Env: append(Environment(), "GIT_PROJECT_ROOT="+o.Root, "GIT_HTTP_EXPORT_ALL=1"),
	}
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what some tests want
	if o.TLS || o.ClientCertificates {
		server.TLS = s.certificates(t)
		server.EnableHTTP2 = true // as servers on the internet have
		server.StartTLS()
	} else {
		server.Start()
	}
	s.URL = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections() // also of requests that a failed test has left hanging
		server.Close()
	})
	return s
}

// certificates makes what TLS needs.
func (s *Server) certificates(t testing.TB) *tls.Config {
	t.Helper()
	ca := newAuthority(t)
	s.CA = ca.pem
	certificate, key := ca.issue(t, "a git server", x509.ExtKeyUsageServerAuth)
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if s.options.ClientCertificates {
		clients := newAuthority(t)
		s.ClientCertificate, s.ClientKey = clients.issue(t, "a client", x509.ExtKeyUsageClientAuth)
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(clients.pem)
	}
	return config
}

// Dir is the folder of a repository of that name, which NewRepository makes. A name may have folders, as in "team/site.git".
func (s *Server) Dir(name string) string {
	return filepath.Join(s.options.Root, filepath.FromSlash(name))
}

// RepositoryURL is where clients find the repository of that name.
func (s *Server) RepositoryURL(name string) string { return s.URL + "/" + name }

// SetFault sets what happens to the requests from now on; nil ends it.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// LoseAnswers lets git do what the matching requests want, and closes their connections instead of answering; nil ends it.
func (s *Server) LoseAnswers(match func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose = match
}

// Requests returns what was answered since the start or the last ForgetRequests, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// ForgetRequests empties the log.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// ServeHTTP answers a request; http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	fault, lose := s.fault, s.lose
	s.mu.Unlock()
	received, answer := &counter{ReadCloser: r.Body}, &recorder{ResponseWriter: w}
	r.Body = received
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests = append(s.requests, Request{
			Method: r.Method, Host: r.Host, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone(),
			Received: received.n, Sent: answer.n, Status: answer.status,
		})
	}()
	if fault != nil && fault(answer, r) {
		return
	}
	if !s.allow(answer, r) {
		return
	}
	if lose != nil && lose(r) {
		s.serve(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}
	s.serve(answer, r)
}

// allow tells whether the request may go on, and answers it otherwise.
func (s *Server) allow(w http.ResponseWriter, r *http.Request) bool {
	o := s.options
	if o.Username == "" && o.Token == "" && o.ReadOnlyToken == "" {
		return true
	}
	secret, write := "", false
	if username, password, ok := r.BasicAuth(); ok {
		secret, write = password, o.Username != "" && same(username, o.Username) && same(password, o.Password)
	} else if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		secret = token
	}
	write = write || o.Token != "" && same(secret, o.Token)
	read := write || o.ReadOnlyToken != "" && same(secret, o.ReadOnlyToken) || o.PublicRead && secret == ""
	push := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	switch {
	case push && write, !push && read:
		return true
	case read && secret != "":
		http.Error(w, "You are not allowed to push code to this project.", http.StatusForbidden)
	default:
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "Access denied", http.StatusUnauthorized)
	}
	return false
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// serve lets git answer. The body is kept in a file first: CGI wants to know its length, and git may answer before it has read everything,
// which HTTP/1 clients do not expect.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		file, err := os.CreateTemp(s.spool, "body-")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer func() {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}()
		size, err := io.Copy(file, r.Body)
		if err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
		if err != nil {
			http.Error(w, fmt.Sprintf("read the request: %v", err), http.StatusBadRequest)
			return
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength, r.TransferEncoding = file, size, nil
	}
	s.backend.ServeHTTP(w, r)
}

// counter counts what is read.
type counter struct {
	io.ReadCloser

	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// recorder notes what is answered.
type recorder struct {
	http.ResponseWriter

	status int
	n      int64
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.n += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
