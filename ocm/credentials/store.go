package credentials

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Credential authenticates a client at a registry.
type Credential struct {
	// Username and Password are for basic authentication and for fetching
	// tokens.
	Username string
	Password string
	// RefreshToken is an OAuth2 refresh token, which the configuration of the
	// Docker client calls identity token.
	RefreshToken string
	// AccessToken is sent as it is.
	AccessToken string

	// CertificateAuthority are certificates in PEM that are trusted besides
	// those of the system.
	CertificateAuthority string
	// Certificate and PrivateKey, in PEM, identify the client.
	Certificate string
	PrivateKey  string
}

// IsZero reports whether the credential says nothing of who the client is,
// which means anonymous access.
func (c Credential) IsZero() bool {
	c.CertificateAuthority = ""
	return c == Credential{}
}

// String describes the credential without its secrets.
func (c Credential) String() string {
	switch {
	case c.IsZero():
		return "no credentials"
	case c.Username != "":
		return fmt.Sprintf("user %q", c.Username)
	case c.RefreshToken == "" && c.AccessToken == "" && c.Password == "":
		return "a certificate"
	default:
		return "a token"
	}
}

// GoString keeps secrets out of %#v.
func (c Credential) GoString() string { return "credentials.Credential(" + c.String() + ")" }

// Store holds credentials by host and path. The zero value and a nil pointer
// are empty stores. A filled store is safe for concurrent reads.
type Store struct {
	entries []entry
}

// Kind is what kind of server a credential is for.
type Kind string

// Kinds of servers, by the names configurations of the Open Component Model use.
const (
	// OCIRegistry is a registry. It is what an empty kind means.
	OCIRegistry Kind = "OCIRegistry"
	// HelmChartRepository is a chart repository that is no registry.
	HelmChartRepository Kind = "HelmChartRepository"
)

// Consumer is who needs a credential.
type Consumer struct {
	// Kind is the kind of the server.
	Kind Kind
	// Scheme is http or https; it may be unknown.
	Scheme string
	// Host is the host with its port if that is not the one of the scheme.
	Host string
	// Path is the path of what is accessed.
	Path string
	// GivenPlain asks only for what was given for http:// explicitly. It is for
	// places without encryption that somebody else chose, such as the registry
	// of an image in a descriptor.
	GivenPlain bool
}

type entry struct {
	kind    Kind
	scheme  string // empty if any
	host    string // lower case, with port if one was given
	anyPort bool
	path    string // without slashes around it
	// plain is true when it was given for http://, so that whoever gave the
	// credential knows that it travels unencrypted.
	plain bool
	cred  Credential
}

func (e entry) matches(c Consumer, host string) bool {
	if e.anyPort {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = canonicalHost(h)
		}
	}
	scheme := e.scheme == "" || c.Scheme == "" || e.scheme == c.Scheme
	return e.kind == c.Kind && scheme && (e.plain || !c.GivenPlain) && e.host == host && hasPathPrefix(c.Path, e.path)
}

// moreSpecific compares two entries that both match.
func (e entry) moreSpecific(than entry) bool {
	if len(e.path) != len(than.path) {
		return len(e.path) > len(than.path)
	}
	if e.anyPort != than.anyPort {
		return than.anyPort
	}
	return e.scheme != "" && than.scheme == ""
}

// FromBasic returns a store that knows one user at one host, given as host or
// host:port.
func FromBasic(hostport, username, password string) *Store {
	s := &Store{}
	s.Add(hostport, Credential{Username: username, Password: password})
	return s
}

// Merge returns a store with the credentials of all given stores. Where two
// are equally specific, the one from the earlier store wins.
func Merge(stores ...*Store) *Store {
	out := &Store{}
	for _, s := range stores {
		if s != nil {
			out.entries = append(out.entries, s.entries...)
		}
	}
	return out
}

// Add binds a credential for a registry to a key of the form
// [scheme://]host[:port][/path].
func (s *Store) Add(key string, c Credential) {
	host, path := splitKey(key)
	if host != "" {
		plain := strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), "http://")
		s.entries = append(s.entries, entry{kind: OCIRegistry, host: host, path: path, plain: plain, cred: c})
	}
}

// Lookup returns the credential for a repository path of the registry at a
// host[:port]. The longest path that is a prefix by whole segments wins; without
// any match the result is the zero credential and false.
func (s *Store) Lookup(hostport, path string) (Credential, bool) {
	return s.Find(Consumer{Kind: OCIRegistry, Host: hostport, Path: path})
}

// LookupPlain is Lookup among the credentials that were given for http://
// explicitly. It is for places that somebody else chose, such as the registry
// of an image in a descriptor.
func (s *Store) LookupPlain(hostport, path string) (Credential, bool) {
	return s.Find(Consumer{Kind: OCIRegistry, Scheme: "http", Host: hostport, Path: path, GivenPlain: true})
}

// Find is like Lookup for any kind of server. Among equally long paths one that
// was given for the port, and then for the scheme, wins over one for any.
func (s *Store) Find(c Consumer) (Credential, bool) {
	if s == nil {
		return Credential{}, false
	}
	if c.Kind == "" {
		c.Kind = OCIRegistry
	}
	host := canonicalHost(c.Host)
	c.Path = strings.Trim(c.Path, "/")
	best := -1
	for i, e := range s.entries {
		if e.matches(c, host) && (best < 0 || e.moreSpecific(s.entries[best])) {
			best = i
		}
	}
	if best < 0 {
		return Credential{}, false
	}
	return s.entries[best].cred, true
}

// Len returns the number of credentials.
func (s *Store) Len() int {
	if s == nil {
		return 0
	}
	return len(s.entries)
}

func hasPathPrefix(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

func splitKey(key string) (host, path string) {
	key = strings.TrimSpace(key)
	if strings.Contains(key, "://") {
		u, err := url.Parse(key)
		if err != nil {
			return "", ""
		}
		host, path = u.Host, u.Path
	} else {
		host, path, _ = strings.Cut(key, "/")
	}
	path = strings.Trim(path, "/")
	// Docker's own tools write the version of the API into the key.
	if path == "v1" || path == "v2" {
		path = ""
	}
	return canonicalHost(host), path
}

// canonicalHost makes the spellings of one host comparable. Port 443 is what a
// missing port means, and Docker Hub answers to several names.
func canonicalHost(hostport string) string {
	host := strings.ToLower(strings.TrimSpace(hostport))
	if h, port, err := net.SplitHostPort(host); err == nil && port == "443" {
		host = h
	}
	switch host {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return "docker.io"
	}
	return host
}
