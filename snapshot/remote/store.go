package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	// maxManifest bounds a manifest; it is what registries accept.
	maxManifest = 4 << 20
	// maxRedirects bounds the redirects of one request. Many registries keep blobs at another host.
	maxRedirects = 5
	// maxDamaged bounds how many blobs are remembered to be damaged.
	maxDamaged = 1024
	// answerTimeout is how long a registry may take to answer when it has got all of a request. Those that keep content in
	// an object storage copy it before they answer.
	answerTimeout = 5 * time.Minute
	// patience is how long so much may take that is less than any network brings.
	patience   = time.Minute
	leastBytes = 64 << 10
)

// Options say where the registry is and what is accepted from it.
type Options struct {
	// Host is the host of the registry, with a port if it isn't the usual one.
	Host string
	// Path comes before the name of each repository; it may be empty.
	Path string
	// PlainHTTP switches TLS off.
	PlainHTTP bool
	// Access returns by what the registry is accessed now. It is asked before each operation, so it has to remember. Nil is
	// anonymous access, with the certificates of the system.
	Access func(ctx context.Context) (Access, error)
	// Dir is where content lies while it is on its way; empty is the folder of the system for temporary files.
	Dir string
	// MaxBlobBytes bounds a blob, and MaxStagedBytes all that are on their way together; zero is no bound.
	MaxBlobBytes, MaxStagedBytes int64
	// UserAgent is sent with each request.
	UserAgent string
	// Metrics count the requests; may be nil.
	Metrics *Metrics
	// Patience is how long less than 64 KiB may take; zero is a minute.
	Patience time.Duration
}

// Access is by what a registry is accessed.
type Access struct {
	// Username and Password, or one of the tokens, log in; all empty is anonymous.
	Username, Password, RefreshToken, AccessToken string
	// CertificateAuthority are certificates in PEM that are trusted besides those of the system.
	CertificateAuthority string
}

// Store keeps snapshots in a registry. It is safe for concurrent use.
type Store struct {
	options Options
	staging staging

	mu      sync.Mutex
	access  Access
	client  *auth.Client
	forget  func()
	damaged map[string]bool
}

// New returns a store. It sends no request.
func New(o Options) (*Store, error) {
	if o.Access == nil {
		o.Access = func(context.Context) (Access, error) { return Access{}, nil }
	}
	if o.UserAgent == "" {
		o.UserAgent = "ocm-operator"
	}
	if o.Patience <= 0 {
		o.Patience = patience
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the folder for content on its way to the snapshot registry: %w", err)
		}
	}
	ref := registry.Reference{Registry: o.Host, Repository: o.Path}
	if err := ref.ValidateRegistry(); err != nil {
		return nil, fmt.Errorf("snapshot registry: %w", err)
	}
	if o.Path != "" {
		if err := ref.ValidateRepository(); err != nil {
			return nil, fmt.Errorf("snapshot registry: path %q: %w", o.Path, err)
		}
	}
	return &Store{options: o, staging: staging{max: o.MaxStagedBytes}, damaged: map[string]bool{}}, nil
}

var _ snapshot.Store = (*Store)(nil)

// URL returns the address of the registry with scheme and path, below which the repositories are.
func (s *Store) URL() string { return s.scheme() + "://" + s.path("") }

func (s *Store) scheme() string {
	if s.options.PlainHTTP {
		return "http"
	}
	return "https"
}

// path returns host, path and the name of a repository, as far as there are any.
func (s *Store) path(name string) string {
	return joined(joined(s.options.Host, s.options.Path), name)
}

func joined(a, b string) string {
	if b == "" || a == "" {
		return a + b
	}
	return a + "/" + b
}

// Repository implements snapshot.Store.
func (s *Store) Repository(name string) (snapshot.Repository, error) {
	ref := registry.Reference{Registry: s.options.Host, Repository: name}
	if err := ref.ValidateRepository(); err != nil {
		return nil, fmt.Errorf("repository %q of the snapshot registry: %w", name, err)
	}
	ref.Repository = joined(s.options.Path, name)
	return &Repository{store: s, ref: ref, committed: map[digest.Digest]bool{}}, nil
}

// remote returns the client of a repository, with what the registry is accessed by now.
func (s *Store) remote(ctx context.Context, ref registry.Reference) (*remote.Repository, error) {
	access, err := s.options.Access(ctx)
	if err != nil {
		return nil, fmt.Errorf("access to the snapshot registry: %w", err)
	}
	client, err := s.connect(access)
	if err != nil {
		return nil, err
	}
	return &remote.Repository{
		Client: client, Reference: ref, PlainHTTP: s.options.PlainHTTP, MaxMetadataBytes: maxManifest,
		// The manifests of snapshots have no subject, so nobody asks for referrers.
		SkipReferrersGC: true,
	}, nil
}

// connect returns the client that logs in with the access, and keeps it as long as that is the same.
func (s *Store) connect(access Access) (*auth.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && s.access == access {
		return s.client, nil
	}
	transport, err := newTransport(access)
	if err != nil {
		return nil, err
	}
	client := &auth.Client{
		Client: &http.Client{
			Transport: &retry.Transport{
				Base:   s.options.Metrics.over(transport),
				Policy: func() retry.Policy { return retryPolicy{} },
			},
			CheckRedirect: checkRedirect,
		},
		Cache:    auth.NewCache(),
		ClientID: "ocm-operator",
		Credential: auth.StaticCredential(apiHost(s.options.Host), auth.Credential{
			Username: access.Username, Password: access.Password, RefreshToken: access.RefreshToken, AccessToken: access.AccessToken,
		}),
	}
	client.SetUserAgent(s.options.UserAgent)
	if s.forget != nil {
		s.forget()
	}
	s.access, s.client, s.forget = access, client, transport.CloseIdleConnections
	return client, nil
}

// apiHost returns the host that answers for a registry.
func apiHost(host string) string { return (registry.Reference{Registry: host}).Host() }

func newTransport(access Access) (*http.Transport, error) {
	dialer := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           100,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    10 * time.Second,
		ExpectContinueTimeout:  time.Second,
		ResponseHeaderTimeout:  answerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if access.CertificateAuthority == "" {
		return transport, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("certificates of the system: %w", err)
	}
	if !roots.AppendCertsFromPEM([]byte(access.CertificateAuthority)) {
		return nil, errors.New("the certificate authority of the snapshot registry has no certificate in PEM")
	}
	transport.TLSClientConfig.RootCAs = roots
	return transport, nil
}

// checkRedirect bounds redirects and keeps them encrypted. The client takes the credentials off when the host changes.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("stopped after %d redirects", maxRedirects)
	}
	if slices.ContainsFunc(via, func(r *http.Request) bool { return r.URL.Scheme == "https" }) && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s is refused", req.URL.Scheme)
	}
	return nil
}

// markDamaged remembers that the registry gave other bytes than those of a blob, until it is written again: that it has the
// blob is then no reason to leave that out.
func (s *Store) markDamaged(repository string, d digest.Digest, damaged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := repository + "@" + d.String()
	if !damaged {
		delete(s.damaged, key)
		return
	}
	if len(s.damaged) >= maxDamaged {
		clear(s.damaged)
	}
	s.damaged[key] = true
}

func (s *Store) isDamaged(repository string, d digest.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damaged[repository+"@"+d.String()]
}
