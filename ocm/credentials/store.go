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
}

// IsZero reports whether the credential is empty, which means anonymous access.
func (c Credential) IsZero() bool { return c == Credential{} }

// String describes the credential without its secrets.
func (c Credential) String() string {
	switch {
	case c.IsZero():
		return "no credentials"
	case c.Username != "":
		return fmt.Sprintf("user %q", c.Username)
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

type entry struct {
	host string // lower case, with port if one was given
	path string // without slashes around it
	// plain is true when the key says http://, so that whoever gave the
	// credential knows that it travels unencrypted.
	plain bool
	cred  Credential
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

// Add binds a credential to a key of the form [scheme://]host[:port][/path].
func (s *Store) Add(key string, c Credential) {
	host, path := splitKey(key)
	if host != "" {
		plain := strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), "http://")
		s.entries = append(s.entries, entry{host: host, path: path, plain: plain, cred: c})
	}
}

// Lookup returns the credential for a repository path on a host[:port]. The
// longest path that is a prefix by whole segments wins; without any match the
// result is the zero credential and false.
func (s *Store) Lookup(hostport, path string) (Credential, bool) {
	return s.lookup(hostport, path, func(entry) bool { return true })
}

// LookupPlain is Lookup among the credentials that were given for http://
// explicitly. It is for places that somebody else chose, such as the registry
// of an image in a descriptor.
func (s *Store) LookupPlain(hostport, path string) (Credential, bool) {
	return s.lookup(hostport, path, func(e entry) bool { return e.plain })
}

func (s *Store) lookup(hostport, path string, allowed func(entry) bool) (Credential, bool) {
	if s == nil {
		return Credential{}, false
	}
	host := canonicalHost(hostport)
	path = strings.Trim(path, "/")
	best := -1
	for i, e := range s.entries {
		if allowed(e) && e.host == host && hasPathPrefix(path, e.path) && (best < 0 || len(e.path) > len(s.entries[best].path)) {
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
