package access_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// shelf is a web server with archives, with a certificate of an authority that nobody knows.
type shelf struct {
	*httptest.Server

	ca *authority

	mu      sync.Mutex
	files   map[string][]byte
	tag     string // of all files; none if empty
	handle  http.HandlerFunc
	seen    []*http.Request
	whole   int // how often a whole file was asked for
	unknown int // how often it was answered that nothing has changed
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	ca, err := newAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := ca.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{ca: ca, files: map[string][]byte{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *shelf) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	handle, data, tag := s.handle, s.files[req.URL.Path], s.tag
	s.seen = append(s.seen, req)
	unchanged := tag != "" && req.Header.Get("If-None-Match") == tag
	if unchanged {
		s.unknown++
	} else {
		s.whole++
	}
	s.mu.Unlock()
	switch {
	case handle != nil:
		handle(w, req)
	case data == nil:
		http.NotFound(w, req)
	case unchanged:
		w.WriteHeader(http.StatusNotModified)
	default:
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		w.Write(data)
	}
}

func (s *shelf) put(t *testing.T, path, tag string, data []byte) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path], s.tag = data, tag
}

func (s *shelf) counts() (whole, unchanged int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.whole, s.unknown
}

// ca returns the Secret by which the shelf is trusted.
func (s *shelf) trust(name string) *corev1.Secret {
	return secret(name, map[string]string{"ca.crt": string(s.ca.pem)})
}

// bytesOf returns the file of an archive with the component.
func bytesOf(t *testing.T, name, version, content string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	archived(t, path, app(version, content))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// from returns the repository with an archive of the shelf.
func (s *shelf) from(path string) v1alpha1.Repository {
	return v1alpha1.Repository{URL: "ctf::" + s.URL + path, CertSecretRef: &meta.LocalObjectReference{Name: "trust"}}
}

func user() access.User {
	return access.User{Kind: v1alpha1.ComponentSubscriptionKind, Namespace: reconcilertest.Namespace, Name: "app"}
}

func openAt(t *testing.T, p *access.Provider, r v1alpha1.Repository) *access.Repository {
	t.Helper()
	repository, err := p.Open(t.Context(), user(), r, "spec.source")
	if err != nil {
		t.Fatal(err)
	}
	return repository
}

// clock is a time that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// TestDownload reads archives behind URLs: once, as long as the server says that nothing has changed.
func TestDownload(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	temp := t.TempDir()
	for _, name := range []string{"/app.tgz", "/deep/app.tar"} {
		s.put(t, name, `"1"`, bytesOf(t, filepath.Base(name), "1.0.0", "one"))
	}
	now := &clock{now: time.Now()}
	p := provider(t, access.Options{Live: reconcilertest.New(t, s.trust("trust")).Client, Archives: access.ArchiveOptions{TempDir: temp}, Now: now.Now})
	for i, name := range []string{"/app.tgz", "/deep/app.tar"} {
		for range 3 {
			if got, err := dataOf(t, openAt(t, p, s.from(name)), "1.0.0"); err != nil || got != "one" {
				t.Fatalf("%s = %q, %v", name, got, err)
			}
		}
		if whole, unchanged := s.counts(); whole != i+1 || unchanged != 0 {
			t.Errorf("%s: %d downloads and %d questions, want one download: it was read at once", name, whole, unchanged)
		}
	}
	now.add(time.Minute)
	if got, err := dataOf(t, openAt(t, p, s.from("/app.tgz")), "1.0.0"); err != nil || got != "one" {
		t.Errorf("after a minute: %q, %v", got, err)
	}
	if whole, unchanged := s.counts(); whole != 2 || unchanged != 1 {
		t.Errorf("after a minute: %d downloads and %d questions, want that it was asked for changes once", whole, unchanged)
	}
	s.put(t, "/app.tgz", `"2"`, bytesOf(t, "app.tgz", "2.0.0", "two"))
	now.add(time.Minute)
	if versions, err := openAt(t, p, s.from("/app.tgz")).ListVersions(t.Context(), component); err != nil || len(versions) != 1 || versions[0] != "2.0.0" {
		t.Errorf("ListVersions after a change = %v, %v", versions, err)
	}
	// What can't be reached is still there by its digest, as with a registry that is away after something was read.
	repository := openAt(t, p, s.from("/app.tgz"))
	current, pinned, err := repository.Current(t.Context(), component, "2.0.0")
	if err != nil || current == nil {
		t.Fatal(err)
	}
	s.CloseClientConnections()
	s.Listener.Close()
	now.add(time.Minute)
	if _, err := repository.ListVersions(t.Context(), component); !errors.Is(err, oci.ErrUnreachable) || !strings.Contains(err.Error(), "check spec.source.url") {
		t.Errorf("ListVersions of a server that is away = %v, want ErrUnreachable", err)
	}
	if _, err := repository.GetPinned(t.Context(), component, "2.0.0", pinned); err != nil {
		t.Errorf("GetPinned when the server is away: %v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("files with names are in the temporary directory: %v, %v", left, err)
	}
}

// TestDownloadWithoutValidators has a server that does not tell what has changed: it is asked for all of it, once an hour.
func TestDownloadWithoutValidators(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "/app.tgz", "", bytesOf(t, "app.tgz", "1.0.0", "one"))
	now := &clock{now: time.Now()}
	p := provider(t, access.Options{Live: reconcilertest.New(t, s.trust("trust")).Client, Archives: access.ArchiveOptions{TempDir: t.TempDir()}, Now: now.Now})
	for want, wait := range map[int]time.Duration{1: 0} {
		now.add(wait)
		if _, err := dataOf(t, openAt(t, p, s.from("/app.tgz")), "1.0.0"); err != nil {
			t.Fatal(err)
		}
		if whole, _ := s.counts(); whole != want {
			t.Errorf("%d downloads, want %d", whole, want)
		}
	}
	for range 5 {
		now.add(11 * time.Minute)
		if _, err := openAt(t, p, s.from("/app.tgz")).ListVersions(t.Context(), component); err != nil {
			t.Fatal(err)
		}
	}
	if whole, _ := s.counts(); whole != 1 {
		t.Errorf("%d downloads within an hour, want 1", whole)
	}
	now.add(11 * time.Minute)
	if _, err := openAt(t, p, s.from("/app.tgz")).ListVersions(t.Context(), component); err != nil {
		t.Fatal(err)
	}
	if whole, _ := s.counts(); whole != 2 {
		t.Errorf("%d downloads after more than an hour, want 2", whole)
	}
}

// TestDownloadCredentials sends a log-in to the server of the URL, and to nobody that it redirects to.
func TestDownloadCredentials(t *testing.T) {
	t.Parallel()
	s, other := newShelf(t), newShelf(t)
	data := bytesOf(t, "app.tgz", "1.0.0", "one")
	other.put(t, "/elsewhere", "", data)
	s.handle = func(w http.ResponseWriter, req *http.Request) {
		if name, word, _ := req.BasicAuth(); name != "user" || word != "word" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if req.URL.Path == "/away.tgz" {
			http.Redirect(w, req, other.URL+"/elsewhere", http.StatusFound)
			return
		}
		w.Write(data)
	}
	both := secret("trust", map[string]string{"ca.crt": string(s.ca.pem) + string(other.ca.pem)})
	w := reconcilertest.New(t, both, secret("login", map[string]string{"username": "user", "password": "word"}),
		secret("wrong", map[string]string{"username": "user", "password": "other"}))
	archives := access.ArchiveOptions{TempDir: t.TempDir()}
	usual := provider(t, access.Options{Live: w.Client, Archives: archives})
	listed := provider(t, access.Options{Live: w.Client, Archives: archives, AllowedHosts: []string{"127.0.0.1"}})
	for name, tc := range map[string]struct {
		provider    *access.Provider
		path, login string
		is          error
	}{
		"no log-in":                        {usual, "/app.tgz", "", oci.ErrUnauthorized},
		"wrong log-in":                     {usual, "/app.tgz", "wrong", oci.ErrUnauthorized},
		"log-in":                           {usual, "/app.tgz", "login", nil},
		"redirect to this machine":         {usual, "/away.tgz", "login", oci.ErrHostRefused},
		"redirect to a host that's listed": {listed, "/away.tgz", "login", nil},
	} {
		r := s.from(tc.path)
		if tc.login != "" {
			r.SecretRef = &meta.LocalObjectReference{Name: tc.login}
		}
		got, err := dataOf(t, openAt(t, tc.provider, r), "1.0.0")
		if tc.is == nil && (err != nil || got != "one") || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("%s: %q, %v, want %v", name, got, err, tc.is)
		}
		if err != nil && strings.Contains(err.Error(), "word") {
			t.Errorf("%s: the message shows the password: %v", name, err)
		}
	}
	for _, req := range other.seen {
		if req.Header.Get("Authorization") != "" {
			t.Error("the log-in went to the server that it was redirected to")
		}
	}
}

// TestDownloadRefused has servers that send what must not be accepted.
func TestDownloadRefused(t *testing.T) {
	t.Parallel()
	data := bytesOf(t, "app.tgz", "1.0.0", "one")
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }))
	t.Cleanup(plain.Close)
	const most = 1 << 20
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		is     error
		says   string
	}{
		"missing":       {func(w http.ResponseWriter, req *http.Request) { http.NotFound(w, req) }, ocm.ErrNotFound, "404"},
		"gone":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, ocm.ErrNotFound, "410"},
		"forbidden":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, ocm.ErrUnauthorized, "no credentials for"},
		"broken server": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, oci.ErrUnreachable, "502"},
		"page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>log in first</html>")
		}, ocm.ErrUnsure, "page for people"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(data)))
			w.Write(data[:len(data)/2])
		}, nil, "unexpected EOF"},
		"empty":            {func(http.ResponseWriter, *http.Request) {}, nil, "no archive"},
		"too large, told":  {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", strconv.Itoa(most+1)) }, ocm.ErrTooLarge, "at most"},
		"too large, comes": {endless, ocm.ErrTooLarge, ""},
		"to plain http": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, plain.URL+"/app.tgz", http.StatusFound)
		}, nil, "redirect from https to http is refused"},
		"around and around": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, req.URL.Path+"x.tgz", http.StatusFound)
		}, nil, "redirects"},
		"to a cloud": {func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://169.254.169.254/latest", http.StatusFound)
		}, ocm.ErrHostRefused, "169.254.169.254"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t)
			s.handle = tc.handle
			temp := t.TempDir()
			p := provider(t, access.Options{
				Live: reconcilertest.New(t, s.trust("trust")).Client, Archives: access.ArchiveOptions{TempDir: temp, MaxBytes: most, TempBytes: most},
			})
			_, err := openAt(t, p, s.from("/app.tgz")).ListVersions(t.Context(), component)
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want %v that says %q", err, tc.is, tc.says)
			}
			if left := openBelow(t, temp); len(left) > 0 {
				t.Errorf("files are still open: %q", left)
			}
		})
	}
}

// endless sends an archive that has no end.
func endless(w http.ResponseWriter, _ *http.Request) {
	junk := make([]byte, 64<<10)
	for {
		if _, err := w.Write(junk); err != nil {
			return
		}
	}
}

// openBelow lists files of this process below a directory, those without a name included.
func openBelow(t *testing.T, dir string) []string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil // this system does not tell
	}
	var open []string
	for _, fd := range fds {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, dir) {
			open = append(open, target)
		}
	}
	return open
}
