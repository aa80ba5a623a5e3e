package oci

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/turns"
)

// Options configure a client.
type Options struct {
	// Credentials are looked up by host and path; nil means anonymous.
	Credentials *credentials.Store
	// Transport sends the requests, DefaultTransport if nil.
	Transport http.RoundTripper
	// Home is the host that the user of the client chose. The component chooses
	// the others. It is empty for an archive.
	Home string
	// HomeTransport sends the requests to that host, Transport if nil. It is the
	// one that may have a certificate of the client.
	HomeTransport http.RoundTripper
	// Connection is what the transports connect with: who differs in a proxy or in
	// whom it trusts gets answers from others, even in the name of one host. Clients
	// share what Budget and Memory know of a host only if they have it in common. A
	// client with a transport that says nothing here shares it with nobody.
	Connection string
	// Hosts are the hosts that a component may lead to besides. Transports must
	// be made with the same.
	Hosts *Hosts
	// UserAgent is sent with each request.
	UserAgent string
	// Limits bound what is accepted.
	Limits Limits
	// Budget bounds what is sent to a host at once; nil means no bounds. Clients
	// that are used side by side should share one.
	Budget *Budget
	// Memory remembers listings and manifests of tags, so that nothing is sent
	// again that did not change, and which hosts compare what they are sent with its
	// digest; nil means that only the latter is remembered, by this client.
	Memory *Memory
	// Field is the field of an object that says where the home is, for messages;
	// spec.repository by default.
	Field string
}

// Client makes repositories that share tokens and connections. It is safe for
// concurrent use.
type Client struct {
	options Options
	limits  Limits
	// verdicts and turns are those of the memory if there is one.
	verdicts *verdicts
	turns    *turns.Turns[turnKey]

	mu    sync.Mutex
	auths map[authKey]login
}

// login is a client that stays logged in.
type login struct {
	client *auth.Client
	// forget closes what only this client uses.
	forget func()
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
	if o.Connection == "" && (o.Transport != nil || o.HomeTransport != nil) {
		o.Connection = rand.Text()
	}
	if o.Transport == nil {
		o.Transport = DefaultTransport()
	}
	if o.HomeTransport == nil {
		o.HomeTransport = o.Transport
	}
	o.Field = cmp.Or(o.Field, "spec.repository")
	verdicts, tags := newVerdicts(), turns.New[turnKey](1)
	if o.Memory != nil {
		verdicts, tags = o.Memory.verdicts, o.Memory.turns
	}
	return &Client{options: o, limits: o.Limits.WithDefaults(), verdicts: verdicts, turns: tags, auths: map[authKey]login{}}
}

// Connection is Options.Connection, or what stands for it.
func (c *Client) Connection() string { return c.options.Connection }

// maxAuthClients bounds how many places a client stays logged in at.
const maxAuthClients = 64

// authClient returns the client that authenticates at one registry with one
// credential and never anywhere else.
func (c *Client) authClient(l Location, credential credentials.Credential) (*auth.Client, error) {
	key := authKey{base: l.base(), credential: credential}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.auths[key]; ok {
		return known.client, nil
	}
	host := apiHost(l.Host)
	last, forget, err := c.guard(l, credential)
	if err != nil {
		return nil, err
	}
	a := &auth.Client{
		Client: &http.Client{
			Transport: &retry.Transport{
				Base:   last,
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
		// Descriptors choose the hosts. Whoever is forgotten logs in again.
		for _, known := range c.auths {
			known.forget()
		}
		clear(c.auths)
	}
	c.auths[key] = login{client: a, forget: forget}
	return a, nil
}

// guard returns what sends the requests for one registry and one credential,
// and what closes the connections that nobody else uses.
func (c *Client) guard(l Location, credential credentials.Credential) (*guard, func(), error) {
	home := strings.EqualFold(l.Host, c.options.Home)
	base := c.options.Transport
	if home {
		base = c.options.HomeTransport
	}
	own, err := WithTLS(base, credential)
	if err != nil {
		return nil, nil, err
	}
	// A certificate of the client is for the registry only, as its password is.
	forOther := credentials.Credential{CertificateAuthority: credential.CertificateAuthority}
	other, err := WithTLS(c.options.Transport, forOther)
	if err != nil {
		return nil, nil, err
	}
	forget := func() {
		closeOwn(own, base)
		closeOwn(other, c.options.Transport)
	}
	budget, connection := c.options.Budget, c.options.Connection
	return &guard{
		own:      budget.Over(ConnectionWith(connection, credential), own),
		other:    budget.Over(ConnectionWith(connection, forOther), other),
		registry: apiHost(l.Host), home: home, hosts: c.options.Hosts,
	}, forget, nil
}

// closeOwn closes the idle connections of a transport unless it is the shared
// one.
func closeOwn(transport, shared http.RoundTripper) {
	if own, ok := transport.(*Transport); ok && transport != shared {
		own.CloseIdleConnections()
	}
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
		return dockerAPIHost
	}
	return host
}

// realmError says that a registry wanted its credentials sent elsewhere.
type realmError struct{ registry, realm string }

func (e *realmError) Error() string {
	return fmt.Sprintf("the registry %s wants its credentials to be sent to %s, which belongs to another domain; this is refused", e.registry, e.realm)
}

// guard is the last stop before the network. It refuses to send requests to
// hosts that are not allowed, and credentials to a token service that does not
// belong to the domain of the registry.
type guard struct {
	own, other http.RoundTripper
	registry   string
	// home is true for the registry that the user chose, which may lead anywhere
	// but to this machine: many keep their blobs at other hosts.
	home  bool
	hosts *Hosts
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	own := strings.EqualFold(req.URL.Host, g.registry)
	check := g.hosts.CheckRequest(req)
	if g.home {
		check = redirected(req, g.hosts.checkLiteral(req.URL.Host, req.URL.Scheme, own))
	}
	switch {
	case check != nil:
		return nil, check
	case own && g.home:
		return g.own.RoundTrip(toChosen(req))
	case own:
		return g.own.RoundTrip(req)
	}
	if carriesSecret(req) && !sameSite(req.URL, g.registry) {
		return nil, &realmError{registry: g.registry, realm: req.URL.Host}
	}
	return g.other.RoundTrip(req)
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
	siteA, okA := site(a)
	siteB, okB := site(b)
	return okA && okB && siteA == siteB
}

// site returns the domain that somebody registered for a host. The names of a
// cluster have none: its services belong to different people.
func site(host string) (string, bool) {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	labels := strings.Split(host, ".")
	if strings.HasSuffix(host, ".cluster.local") || slices.Contains(labels, "svc") || slices.Contains(labels, "pod") {
		return "", false
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	return domain, err == nil
}
