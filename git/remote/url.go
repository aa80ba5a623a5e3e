package remote

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Schemes of a URL.
const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
	schemeSSH   = "ssh"
)

// maxURL is how long the address of a repository may be.
const maxURL = 2048

// URL is the address of a repository.
type URL struct {
	// Scheme is http, https or ssh.
	Scheme string
	// User is the user of SSH, and empty for HTTP.
	User string
	// Host is the name or the address of the host, in lower case and without brackets.
	Host string
	// Port is the port, always set.
	Port string
	// Path is the path as the server gets it. For SSH it may be relative.
	Path string
}

var (
	// scpPattern is user@host:path.
	scpPattern  = regexp.MustCompile(`^([A-Za-z0-9._-]+)@([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([^ ]+)$`)
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?$`)
	userPattern = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._-]*$`)
)

var defaultPorts = map[string]string{schemeHTTP: "80", schemeHTTPS: "443", schemeSSH: "22"}

// ParseURL reads the address of a repository: https://host/path, http://host/path, ssh://user@host/path or user@host:path.
// Everything else is refused, in particular what would read files or start programs, and credentials.
func ParseURL(raw string) (*URL, error) {
	u, err := parseURL(raw)
	if err != nil {
		// The address is not repeated: it may hold what it must not.
		return nil, fmt.Errorf("the url of the repository: %w", err)
	}
	return u, nil
}

func parseURL(raw string) (*URL, error) {
	if len(raw) > maxURL {
		return nil, fmt.Errorf("it has more than %d characters", maxURL)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, errors.New("it has a space or a control character; remove it")
	}
	if m := scpPattern.FindStringSubmatch(raw); m != nil && !strings.Contains(raw, "://") {
		return checked(&URL{Scheme: schemeSSH, User: m[1], Host: strings.Trim(m[2], "[]"), Path: m[3]})
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("it cannot be read; want for example https://github.com/acme/fleet")
	}
	u := &URL{Scheme: strings.ToLower(parsed.Scheme), Host: parsed.Hostname(), Port: parsed.Port(), Path: parsed.Path}
	if defaultPorts[u.Scheme] == "" || parsed.Opaque != "" {
		return nil, errors.New("want https://host/path, http://host/path, ssh://user@host/path or user@host:path")
	}
	if parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" {
		return nil, errors.New("it has a query or a fragment; remove it")
	}
	if _, secret := parsed.User.Password(); secret || parsed.User != nil && u.Scheme != schemeSSH {
		return nil, errors.New("it has credentials; remove them and put them into a Secret")
	}
	u.User = parsed.User.Username()
	if u.Scheme == schemeSSH && strings.HasPrefix(u.Path, "/~") {
		// What begins with a home is not below the root.
		u.Path = u.Path[1:]
	}
	return checked(u)
}

func checked(u *URL) (*URL, error) {
	u.Host = strings.ToLower(strings.TrimSuffix(u.Host, "."))
	if u.Port == "" {
		u.Port = defaultPorts[u.Scheme]
	}
	if u.Scheme == schemeSSH && u.User == "" {
		u.User = "git"
	}
	if port, err := strconv.ParseUint(u.Port, 10, 16); err != nil || port == 0 {
		return nil, errors.New("its port is not a number from 1 to 65535")
	}
	if net.ParseIP(u.Host) == nil && !hostPattern.MatchString(u.Host) {
		return nil, errors.New("it has no host, or one that is no name of a host")
	}
	if u.Scheme == schemeSSH && !userPattern.MatchString(u.User) {
		return nil, errors.New("its user is not made of letters, digits, dots, dashes and underscores")
	}
	if strings.HasPrefix(u.Path, "-") || strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("it has no path, or one that begins with a dash")
	}
	if strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("its path has a control character")
	}
	return u, nil
}

// Address is host and port to connect to.
func (u *URL) Address() string {
	return net.JoinHostPort(u.Host, u.Port)
}

// String is the address as a URL. It never has credentials.
func (u *URL) String() string {
	out := url.URL{Scheme: u.Scheme, Host: u.hostPort(), Path: u.Path}
	if u.Scheme != schemeSSH {
		return out.String()
	}
	out.User = url.User(u.User)
	if !strings.HasPrefix(u.Path, "/") {
		// What is relative to the home of the user is written so that it can be read again.
		if u.Port == defaultPorts[schemeSSH] && !strings.Contains(u.Path, " ") {
			return u.User + "@" + u.hostPort() + ":" + u.Path
		}
		out.Path = "/" + u.Path
	}
	return out.String()
}

// hostPort is the host, with its port if that is not the one of the scheme.
func (u *URL) hostPort() string {
	if u.Port != defaultPorts[u.Scheme] {
		return u.Address()
	}
	if strings.Contains(u.Host, ":") {
		return "[" + u.Host + "]"
	}
	return u.Host
}
