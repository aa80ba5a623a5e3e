package oci

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Location is a host and a path below it.
type Location struct {
	// PlainHTTP is true for http:// only.
	PlainHTTP bool
	// Host is the host with an optional port, as it was written.
	Host string
	// Path is the path without slashes around it; it may be empty.
	Path string
}

var (
	hostPattern = regexp.MustCompile(`^([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*\.?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$`)
	// pathPattern is what registries accept as repository name.
	pathPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:[._]|__|[-]*)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|[-]*)[a-z0-9]+)*)*$`)
	tagPattern  = regexp.MustCompile(`^\w[\w.-]{0,127}$`)
)

// CheckPath returns an error if a path cannot be that of a repository.
func CheckPath(path string) error {
	if !pathPattern.MatchString(path) {
		return fmt.Errorf("%q is no repository name", path)
	}
	return nil
}

// CheckTag returns an error if a text cannot be a tag.
func CheckTag(tag string) error {
	if !tagPattern.MatchString(tag) {
		return fmt.Errorf("%q is no tag", tag)
	}
	return nil
}

// ParseURL reads the URL of a repository of components: host[:port][/path] with
// https://, http:// or oci:// in front, or nothing, which means https.
func ParseURL(raw string) (Location, error) {
	rest := strings.TrimSpace(raw)
	l := Location{}
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		switch strings.ToLower(scheme) {
		case "http":
			l.PlainHTTP = true
		case "https", "oci":
		default:
			return Location{}, fmt.Errorf("repository URL %q: scheme %q is not supported, use https, oci or http", redact(raw), scheme)
		}
		rest = after
	}
	if strings.ContainsAny(rest, "?#") {
		return Location{}, fmt.Errorf("repository URL %q: it must not have a query or fragment", redact(raw))
	}
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") {
		return Location{}, fmt.Errorf("repository URL %q: credentials do not belong into the URL, where everybody reads them: put them into a Secret", redact(raw))
	}
	host, path, _ := strings.Cut(rest, "/")
	l.Host, l.Path = host, strings.Trim(path, "/")
	if !hostPattern.MatchString(l.Host) {
		return Location{}, fmt.Errorf("repository URL %q: %q is no host, write for example ghcr.io/acme", redact(raw), l.Host)
	}
	if l.Path != "" && !pathPattern.MatchString(l.Path) {
		return Location{}, fmt.Errorf("repository URL %q: path %q is not allowed in a registry, which wants lower-case letters, digits and single separators", redact(raw), l.Path)
	}
	return l, nil
}

// redact removes what may be a password from a URL in a message.
func redact(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		return u.Redacted()
	}
	if i := strings.LastIndex(raw, "@"); i >= 0 {
		return "..." + raw[i:]
	}
	return raw
}

// String returns the location with its scheme, as ParseURL accepts it. Without
// a host it is the path alone.
func (l Location) String() string {
	switch {
	case l.Host == "":
		return l.Path
	case l.Path == "":
		return l.base()
	}
	return l.base() + "/" + l.Path
}

func (l Location) base() string { return l.scheme() + "://" + l.Host }

func (l Location) scheme() string {
	if l.PlainHTTP {
		return "http"
	}
	return "https"
}

// Join returns the location of a path below.
func (l Location) Join(path string) Location {
	if l.Path != "" {
		path = l.Path + "/" + path
	}
	l.Path = path
	return l
}

// Reference names an artifact in a registry.
type Reference struct {
	Location

	// Tag is the tag, if there is one.
	Tag string
	// Digest is the digest, if there is one; it counts more than the tag.
	Digest digest.Digest
}

const (
	// dockerHost is where images without a host are.
	dockerHost = "docker.io"
	// dockerAPIHost is the host that answers for it.
	dockerAPIHost = "registry-1.docker.io"
)

// ParseReference reads an image reference: [scheme://][host/]path[:tag][@digest].
// A first segment without dot, colon or the name localhost is no host; such
// images are at Docker Hub.
func ParseReference(raw string) (Reference, error) {
	ref := Reference{}
	rest := raw
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		switch scheme {
		case "http":
			ref.PlainHTTP = true
		case "https", "oci":
		default:
			return Reference{}, fmt.Errorf("image reference %q: scheme %q is not supported", raw, scheme)
		}
		rest = after
	}
	if err := ref.cutVersion(&rest); err != nil {
		return Reference{}, fmt.Errorf("image reference %q: %w", raw, err)
	}
	host, path, ok := strings.Cut(rest, "/")
	if !ok || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		host, path = dockerHost, rest
	}
	if host == dockerHost && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	if !hostPattern.MatchString(host) {
		return Reference{}, fmt.Errorf("image reference %q: %q is no host", raw, host)
	}
	ref.Host, ref.Path = host, path
	if !pathPattern.MatchString(path) {
		return Reference{}, fmt.Errorf("image reference %q: %q is no repository name", raw, path)
	}
	return ref, nil
}

// ParseRelative reads a reference without a host: path[:tag][@digest].
func ParseRelative(l Location, raw string) (Reference, error) {
	ref := Reference{Location: Location{PlainHTTP: l.PlainHTTP, Host: l.Host}}
	rest := strings.TrimPrefix(raw, "/")
	if err := ref.cutVersion(&rest); err != nil {
		return Reference{}, fmt.Errorf("relative reference %q: %w", raw, err)
	}
	if !pathPattern.MatchString(rest) {
		return Reference{}, fmt.Errorf("relative reference %q: %q is no repository name", raw, rest)
	}
	ref.Path = rest
	return ref, nil
}

// cutVersion takes tag and digest from the end.
func (r *Reference) cutVersion(rest *string) error {
	if name, d, ok := strings.Cut(*rest, "@"); ok {
		r.Digest = digest.Digest(d)
		if err := r.Digest.Validate(); err != nil {
			return fmt.Errorf("digest %q: %w", d, err)
		}
		*rest = name
	}
	if i := strings.LastIndexByte(*rest, ':'); i > strings.LastIndexByte(*rest, '/') {
		r.Tag = (*rest)[i+1:]
		if !tagPattern.MatchString(r.Tag) {
			return fmt.Errorf("%q is no tag", r.Tag)
		}
		*rest = (*rest)[:i]
	}
	return nil
}

// String returns the reference without a scheme, as kubelets want it. Without a
// host it is one into an archive.
func (r Reference) String() string {
	s := r.Path
	if r.Host != "" {
		s = r.Host + "/" + r.Path
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

// Version returns the digest or tag the artifact is looked up by.
func (r Reference) Version() string {
	switch {
	case r.Digest != "":
		return r.Digest.String()
	case r.Tag != "":
		return r.Tag
	}
	return "latest"
}
