package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxRedirects is how many redirects of one host are followed.
const maxRedirects = 5

// httpTransport speaks smart HTTP.
type httpTransport struct {
	client *http.Client
	auth   Auth
	agent  string
	limits advertLimits
	clean  func(string) string

	mu sync.Mutex
	// base is the address of the repository, as far as redirects have told.
	base *url.URL
}

func newHTTP(u *URL, o Options, clean func(string) string) (*httpTransport, error) {
	conn, err := newRoundTripper(o)
	if err != nil {
		return nil, err
	}
	t := &httpTransport{auth: o.Auth, agent: o.UserAgent, limits: advertLimits{refs: o.MaxRefs}, clean: clean}
	t.base = &url.URL{Scheme: u.Scheme, Host: u.hostPort(), Path: strings.TrimRight(u.Path, "/")}
	// Redirects are followed here, where they are compared with the host of the repository, and where a POST stays one.
	t.client = &http.Client{Transport: conn, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return t, nil
}

// newRoundTripper returns a transport of HTTP/1.1, as requests of git are few and long.
func newRoundTripper(o Options) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CA) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(o.CA) {
			return nil, errors.New("the certificate authority has no certificate in PEM; check ca.crt")
		}
		config.RootCAs = roots
	}
	if len(o.Certificate) > 0 || len(o.Key) > 0 {
		pair, err := tls.X509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, fmt.Errorf("the certificate of the client and its key; check tls.crt and tls.key: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	proxy := http.ProxyFromEnvironment
	if o.Proxy != nil {
		proxy = http.ProxyURL(o.Proxy)
	}
	return &http.Transport{
		Proxy:               proxy,
		DialContext:         o.Dial,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 10 * time.Second,
		// A connection is kept from one request of an operation to the next.
		IdleConnTimeout: 15 * time.Second,
		// Packs are compressed, and what is not asked for cannot blow up.
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}

// close implements transport.
func (t *httpTransport) close() {
	t.client.CloseIdleConnections()
}

// httpConversation is one POST.
type httpConversation struct {
	t       *httpTransport
	service string
	advert  *advertisement
}

// open implements transport.
func (t *httpTransport) open(ctx context.Context, service string) (conversation, error) {
	suffix := "/info/refs"
	resp, err := t.do(ctx, http.MethodGet, suffix, "service="+service, http.Header{"Accept": {"*/*"}, "Pragma": {"no-cache"}}, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := checkType(resp, "application/x-"+service+"-advertisement"); err != nil {
		return nil, err
	}
	advert, err := readAdvertisement(resp.Body, t.limits, t.clean)
	if err != nil {
		return nil, err
	}
	return &httpConversation{t: t, service: service, advert: advert}, nil
}

// resume implements transport.
func (t *httpTransport) resume(_ context.Context, service string, known capabilities) (conversation, error) {
	return &httpConversation{t: t, service: service, advert: &advertisement{caps: known}}, nil
}

// advertised implements conversation.
func (c *httpConversation) advertised() *advertisement {
	return c.advert
}

// ask implements conversation.
func (c *httpConversation) ask(ctx context.Context, request body) (io.ReadCloser, error) {
	header := http.Header{
		"Accept":       {"application/x-" + c.service + "-result"},
		"Content-Type": {"application/x-" + c.service + "-request"},
	}
	resp, err := c.t.do(ctx, http.MethodPost, "/"+c.service, "", header, request)
	if err != nil {
		return nil, err
	}
	if err := checkType(resp, "application/x-"+c.service+"-result"); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// explain implements conversation: HTTP has a status, and nothing beside the answer.
func (c *httpConversation) explain(err error) error {
	return err
}

// close implements conversation.
func (c *httpConversation) close() {}

// checkType tells a git server from a page for people, such as that of a log-in, which comes with the status of success.
func checkType(resp *http.Response, want string) error {
	if got, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || got != want {
		return fmt.Errorf("%w: the answer is of another type than %s", ErrProtocol, want)
	}
	return nil
}

// do sends a request, again where the same host says so, and returns an answer of success.
func (t *httpTransport) do(ctx context.Context, method, suffix, query string, header http.Header, request body) (*http.Response, error) {
	for range maxRedirects + 1 {
		base := t.where()
		target := *base
		target.Path += suffix
		target.RawQuery = query
		resp, err := t.send(ctx, method, &target, header, request)
		if err != nil {
			return nil, reason(err)
		}
		if resp.StatusCode/100 == 2 {
			return resp, nil
		}
		err = t.moved(&target, suffix, resp)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: more than %d redirects", ErrProtocol, maxRedirects)
}

func (t *httpTransport) where() *url.URL {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.base
}

func (t *httpTransport) send(ctx context.Context, method string, target *url.URL, header http.Header, request body) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	if request != nil {
		content, size, err := request()
		if err != nil {
			return nil, err
		}
		req.Body, req.ContentLength = content, size
		// A connection that turns out to be closed is replaced, for which the content is read again.
		req.GetBody = func() (io.ReadCloser, error) {
			again, _, err := request()
			return again, err
		}
	}
	req.Header = header.Clone()
	req.Header.Set("User-Agent", t.agent)
	switch {
	case t.auth.BearerToken != "":
		req.Header.Set("Authorization", "Bearer "+t.auth.BearerToken)
	case t.auth.Username != "" || t.auth.Password != "":
		req.SetBasicAuth(basicUser(t.auth), t.auth.Password)
	}
	return t.client.Do(req)
}

// basicUser is the user of basic authentication: servers that take tokens as passwords want any.
func basicUser(a Auth) string {
	return cmp.Or(a.Username, "git")
}

// reason takes the request out of an error of net/http, which has said where it was sent already.
func reason(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the certificate of the server is not trusted; add its authority to ca.crt of certSecretRef: %w", err)
	}
	return err
}

// moved notes where the repository is according to a redirect, or returns what an answer says that is none.
func (t *httpTransport) moved(from *url.URL, suffix string, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return &StatusError{Code: resp.StatusCode, Message: t.said(resp)}
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil {
		return fmt.Errorf("%w: a redirect to something that is no address", ErrProtocol)
	}
	if !sameHost(from, to) {
		return &RedirectError{From: endOf(t.clean, from), To: endOf(t.clean, to)}
	}
	path, ok := strings.CutSuffix(to.Path, suffix)
	if !ok {
		return fmt.Errorf("%w: %s redirects to a page that is not of the repository, as servers do which want a log-in; check the url and the Secret", ErrProtocol, endOf(t.clean, from))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: path}
	return nil
}

// sameHost reports whether a redirect stays with the server that the credentials are for.
func sameHost(from, to *url.URL) bool {
	if to.User != nil || to.Hostname() == "" || !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	switch {
	case strings.EqualFold(from.Scheme, to.Scheme):
		return portOf(from) == portOf(to)
	case from.Scheme == schemeHTTP && to.Scheme == schemeHTTPS:
		// The usual way to TLS; another port may be another's server.
		return portOf(to) == defaultPorts[schemeHTTPS] || portOf(from) == portOf(to)
	}
	return false
}

func portOf(u *url.URL) string {
	return cmp.Or(u.Port(), defaultPorts[strings.ToLower(u.Scheme)])
}

// endOf is what an error says of an address: its path and what comes before its host may be secret.
func endOf(clean func(string) string, u *url.URL) string {
	return clean(cut(u.Scheme+"://"+u.Host, 300))
}

// said is what the server says about a failure, if that is for people to read as it is.
func (t *httpTransport) said(resp *http.Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "text/plain" && kind != "application/json" {
		return ""
	}
	var text bytes.Buffer
	// What can be read of it is enough.
	_, _ = io.Copy(&text, io.LimitReader(resp.Body, maxHeard))
	return t.clean(text.String())
}
