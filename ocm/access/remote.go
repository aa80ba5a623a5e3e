package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Remote reads content from web servers. Their addresses come out of component
// versions, which are not trusted: whoever publishes one can make this process
// send requests to any address it can reach, those of its own network included.
// So nothing is read unless its kind is allowed.
type Remote struct {
	// Allow lists the kinds that are read: KindHelm, KindWget.
	Allow []string
	// Transport sends the requests, that of package oci if nil.
	Transport http.RoundTripper
	// Hosts are those that requests may be sent to.
	Hosts *oci.Hosts
	// Budget bounds what is sent to a host at once; nil means no bounds.
	Budget *oci.Budget
	// Connection is what Transport connects with, as for package oci.
	Connection string
	// UserAgent is sent with each request.
	UserAgent string
	// Credentials are those of chart repositories.
	Credentials *credentials.Store
	// Redirects bounds the redirects of one request.
	Redirects int
	// IndexBytes bounds the index of a chart repository.
	IndexBytes int64
}

// check returns an error unless a kind may be read.
func (r *Remote) check(kind string) error {
	if slices.Contains(r.Allow, kind) {
		return nil
	}
	return &UnsupportedError{
		What:   fmt.Sprintf("access of kind %q, which reads from any address that the component names,", kind),
		Advice: fmt.Sprintf("start the operator with --enable-access-methods=%s to allow it, or transfer the component version with its resources by value", kind),
	}
}

// request is one request to a web server.
type request struct {
	url        *url.URL
	header     http.Header
	credential credentials.Credential
	noRedirect bool
}

// parseAddress reads the address of a web server.
func parseAddress(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("its address is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("address %s: scheme %q is not supported, use https or http", u.Redacted(), u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("address %s: credentials do not belong into a component version", u.Redacted())
	case u.Hostname() == "":
		return nil, fmt.Errorf("address %q has no host", raw)
	}
	return u, nil
}

// get sends a request and returns the answer if it is good.
func (r *Remote) get(ctx context.Context, what request) (*http.Response, error) {
	own, err := r.transport(what.credential)
	if err != nil {
		return nil, err
	}
	// A certificate of the client is for the server only, as its password is.
	other, err := r.transport(credentials.Credential{CertificateAuthority: what.credential.CertificateAuthority})
	if err != nil {
		return nil, err
	}
	guard := &hostGuard{own: own, other: other, server: what.url.Host, hosts: r.Hosts}
	client := &http.Client{Transport: guard, CheckRedirect: r.redirect(what.noRedirect)}
	req, err := r.request(ctx, what)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if host, ok := errors.AsType[*oci.HostError](err); ok {
		return nil, host
	}
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	resp.Body.Close()
	return nil, refused(what.url, resp.StatusCode)
}

// request makes the request.
func (r *Remote) request(ctx context.Context, what request) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, what.url.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	for name, values := range what.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("User-Agent", r.UserAgent)
	// Transparent compression would change the bytes the digest is over.
	req.Header.Set("Accept-Encoding", "identity")
	switch c := what.credential; {
	case c.AccessToken != "":
		req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	case c.Username != "":
		req.SetBasicAuth(c.Username, c.Password)
	}
	return req, nil
}

// refused makes an error of an answer that is not what was asked for.
func refused(where *url.URL, status int) error {
	err := fmt.Errorf("%s answered %d %s", where.Redacted(), status, http.StatusText(status))
	switch status {
	case http.StatusNotFound:
		// Every server answers like this, also those between here and there.
		return oci.Doubt(fmt.Errorf("%w: %w", oci.ErrNotFound, err))
	case http.StatusGone:
		return fmt.Errorf("%w: %w", oci.ErrNotFound, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", oci.ErrUnauthorized, err)
	}
	return err
}

// transport returns what sends the requests with the certificates of a
// credential.
func (r *Remote) transport(c credentials.Credential) (http.RoundTripper, error) {
	base := r.Transport
	if base == nil {
		base = oci.DefaultTransport()
	}
	transport, err := oci.WithTLS(base, c)
	if err != nil {
		return nil, err
	}
	if own, ok := transport.(*oci.Transport); ok && transport != base {
		own.DisableKeepAlives = true // nobody uses it again
	}
	return r.Budget.Over(oci.ConnectionWith(r.Connection, c), transport), nil
}

// hostGuard refuses requests to hosts that are not allowed, whatever led there,
// and identifies itself to one server only.
type hostGuard struct {
	own, other http.RoundTripper
	server     string
	hosts      *oci.Hosts
}

// RoundTrip implements http.RoundTripper.
func (g *hostGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.hosts.CheckRequest(req); err != nil {
		return nil, err
	}
	if req.URL.Host == g.server {
		return g.own.RoundTrip(req)
	}
	return g.other.RoundTrip(req)
}

// redirect bounds redirects, keeps them encrypted, and keeps credentials from
// other hosts.
func (r *Remote) redirect(never bool) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		switch {
		case never:
			return http.ErrUseLastResponse
		case len(via) > r.Redirects:
			return fmt.Errorf("stopped after %d redirects", r.Redirects)
		case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
			return fmt.Errorf("redirect from https to %s is refused", req.URL.Scheme)
		}
		if req.URL.Host != via[0].URL.Host {
			req.Header.Del("Authorization")
			req.Header.Del("Cookie")
		}
		return nil
	}
}

// credential returns the credential of a chart repository. The address is
// chosen by the component version, so nothing goes there unencrypted unless it
// was meant to.
func (r *Remote) credential(u *url.URL) credentials.Credential {
	c, _ := r.Credentials.Find(credentials.Consumer{
		Kind: credentials.HelmChartRepository, Scheme: u.Scheme, Host: u.Host, Path: u.Path, GivenPlain: u.Scheme == "http",
	})
	return c
}

// open opens what is at an address, to be compared with the digest of the
// resource and others.
func (r *Remote) open(ctx context.Context, res *descriptor.Resource, what request, also ...digest.Digest) (*Blob, error) {
	want, err := blobDigest(res, "")
	if err != nil {
		return nil, err
	}
	want = append(want, also...)
	resp, err := r.get(ctx, what)
	if err != nil {
		return nil, err
	}
	rc, err := oci.Verify(resp.Body, what.url.Redacted(), resp.ContentLength, want...)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	if oci.IsPage(resp.Header.Get("Content-Type")) {
		rc = oci.DoubtContent(rc)
	}
	blob := &Blob{ReadCloser: rc, Size: resp.ContentLength}
	if len(want) > 0 {
		blob.Digest = want[0]
	}
	return blob, nil
}

// small reads what is at an address and known to be small.
func (r *Remote) small(ctx context.Context, what request, limit int64) ([]byte, error) {
	ctx, watch := oci.NewWatch(ctx, oci.Patience)
	defer watch.End()
	resp, err := r.get(ctx, what)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body := watch.Over(resp.Body)
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what.url.Redacted(), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is %w: more than %d bytes", what.url.Redacted(), oci.ErrTooLarge, limit)
	}
	return data, nil
}

// Wget is content at any address of the web.
type Wget struct {
	Type       string              `json:"type"`
	URL        string              `json:"url"`
	MediaType  string              `json:"mediaType,omitempty"`
	Header     map[string][]string `json:"header,omitempty"`
	Verb       string              `json:"verb,omitempty"`
	Body       string              `json:"body,omitempty"`
	NoRedirect bool                `json:"noRedirect,omitempty"`
}

func (s *Source) openWget(ctx context.Context, res *descriptor.Resource) (*Blob, error) {
	if err := s.Remote.check(KindWget); err != nil {
		return nil, err
	}
	var spec Wget
	if err := decode(res.Access, &spec); err != nil {
		return nil, err
	}
	if spec.Verb != "" && spec.Verb != http.MethodGet || spec.Body != "" {
		return nil, &UnsupportedError{What: "a request other than GET without a body", Advice: "transfer the component version with its resources by value"}
	}
	u, err := parseAddress(spec.URL)
	if err != nil {
		return nil, malformed(err)
	}
	blob, err := s.Remote.open(ctx, res, request{url: u, header: spec.Header, noRedirect: spec.NoRedirect})
	if err != nil {
		return nil, err
	}
	// What the server says about it can change, and would change what is made of it.
	blob.MediaType = spec.MediaType
	return blob, nil
}
