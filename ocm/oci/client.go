package oci

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// Options configure a client.
type Options struct {
	// Credentials are looked up by host and path; nil means anonymous.
	Credentials *credentials.Store
	// Transport sends the requests, http.DefaultTransport if nil.
	Transport http.RoundTripper
	// UserAgent is sent with each request.
	UserAgent string
	// Limits bound what is accepted.
	Limits Limits
}

// Client makes repositories that share tokens and connections. It is safe for
// concurrent use.
type Client struct {
	options Options
	limits  Limits

	mu    sync.Mutex
	auths map[authKey]*auth.Client
}

// authKey keeps the tokens of different credentials apart, even at one host.
type authKey struct {
	base       string
	credential credentials.Credential
}

// NewClient returns a client.
func NewClient(o Options) *Client {
	if o.UserAgent == "" {
		o.UserAgent = "ocm-operator"
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	return &Client{options: o, limits: o.Limits.WithDefaults(), auths: map[authKey]*auth.Client{}}
}

// maxAuthClients bounds how many places a client stays logged in at.
const maxAuthClients = 64

// authClient returns the client that authenticates at one registry with one
// credential and never anywhere else.
func (c *Client) authClient(l Location, credential credentials.Credential) (*auth.Client, error) {
	key := authKey{base: l.base(), credential: credential}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.auths[key]; ok {
		return a, nil
	}
	host := apiHost(l.Host)
	base, err := WithTLS(c.options.Transport, credential)
	if err != nil {
		return nil, err
	}
	a := &auth.Client{
		Client: &http.Client{
			Transport: &retry.Transport{
				Base:   &guard{base: base, registry: host},
				Policy: func() retry.Policy { return retryPolicy{} },
			},
			CheckRedirect: c.checkRedirect,
		},
		Cache: auth.NewCache(),
		Credential: func(_ context.Context, hostport string) (auth.Credential, error) {
			if hostport != host {
				return auth.EmptyCredential, nil
			}
			return auth.Credential{
				Username:     credential.Username,
				Password:     credential.Password,
				RefreshToken: credential.RefreshToken,
				AccessToken:  credential.AccessToken,
			}, nil
		},
		ClientID: "ocm-operator",
	}
	a.SetUserAgent(c.options.UserAgent)
	if len(c.auths) >= maxAuthClients {
		clear(c.auths) // descriptors choose the hosts; whoever is forgotten logs in again
	}
	c.auths[key] = a
	return a, nil
}

// checkRedirect bounds redirects and keeps them encrypted. The authentication
// client has already taken the credentials off when the host changes.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > c.limits.Redirects {
		return fmt.Errorf("stopped after %d redirects", c.limits.Redirects)
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect from https to %s is refused", req.URL.Scheme)
	}
	return nil
}

// apiHost returns the host that answers for a registry.
func apiHost(host string) string {
	if host == dockerHost {
		return "registry-1.docker.io"
	}
	return host
}

// realmError says that a registry wanted its credentials sent elsewhere.
type realmError struct{ registry, realm string }

func (e *realmError) Error() string {
	return fmt.Sprintf("the registry %s wants its credentials to be sent to %s, which belongs to another domain; this is refused", e.registry, e.realm)
}

// guard is the last stop before the network. It refuses to send credentials to
// a token service that does not belong to the domain of the registry.
type guard struct {
	base     http.RoundTripper
	registry string
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if carriesSecret(req) && !strings.EqualFold(req.URL.Host, g.registry) && !sameSite(req.URL, g.registry) {
		return nil, &realmError{registry: g.registry, realm: req.URL.Host}
	}
	return g.base.RoundTrip(req)
}

// carriesSecret recognises requests with a password in a header or, as for
// refresh tokens, in a form.
func carriesSecret(req *http.Request) bool {
	return req.Header.Get("Authorization") != "" || req.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
}

func sameSite(u *url.URL, registry string) bool {
	a, b := u.Hostname(), registry
	if h, _, err := net.SplitHostPort(registry); err == nil {
		b = h
	}
	if strings.EqualFold(a, b) {
		return true
	}
	if net.ParseIP(a) != nil || net.ParseIP(b) != nil {
		return false
	}
	siteA, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(a))
	siteB, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(b))
	return errors.Join(errA, errB) == nil && siteA == siteB
}
