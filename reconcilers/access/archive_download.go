package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	// downloadFresh is how long an answer about a download is good for.
	downloadFresh = 10 * time.Second
	// untoldFresh is how long a download is good for of which the server does not tell whether it has changed.
	untoldFresh = time.Hour
)

// download is a transport archive behind a URL. It implements ctf.Source.
type download struct {
	url *url.URL
	// label is the address as the user wrote it, and field where.
	label, field string
	credential   credentials.Credential
	userAgent    string
	redirects    int
	// own sends the requests to the host of the URL, and others those to where it redirects.
	own, others http.RoundTripper
	hosts       *oci.Hosts
	budget      *oci.Budget
	connection  string
	now         func() time.Time
}

var _ ctf.Source = (*download)(nil)

// downloaded is what the server said of a download. It is comparable.
type downloaded struct {
	tag, modified string
	at            time.Time
}

// Path implements ctf.Source.
func (d *download) Path() string { return d.label }

// Fresh implements ctf.Source.
func (*download) Fresh() time.Duration { return downloadFresh }

// Idle implements ctf.Source.
func (*download) Idle() time.Duration { return downloadKept }

// Open implements ctf.Source. It downloads what has changed.
func (d *download) Open(ctx context.Context, known ctf.Version, o ctf.Options) (*ctf.Store, ctf.Version, error) {
	before, _ := known.(downloaded)
	if known != nil && before.tag == "" && before.modified == "" && d.now().Sub(before.at) < untoldFresh {
		return nil, before, nil
	}
	ctx, watch := oci.NewWatch(ctx, oci.Patience)
	defer watch.End()
	resp, err := d.request(ctx, before) //nolint:bodyclose // it is closed with the reader over it
	if err != nil {
		return nil, nil, fmt.Errorf("transport archive %s: %w", d.label, err)
	}
	body := watch.Over(resp.Body)
	defer body.Close()
	if resp.StatusCode == http.StatusNotModified && known != nil {
		return nil, before, nil
	}
	if err := d.check(resp, o.ArchiveBytes); err != nil {
		return nil, nil, err
	}
	store, err := ctf.Receive(&limited{r: body, left: o.ArchiveBytes}, d.label, o)
	if err != nil && oci.IsPage(resp.Header.Get("Content-Type")) {
		err = oci.Doubt(fmt.Errorf("the server answered with a page for people: %w", err))
	}
	if err != nil {
		return nil, nil, err
	}
	return store, downloaded{tag: resp.Header.Get("ETag"), modified: resp.Header.Get("Last-Modified"), at: d.now()}, nil
}

// request asks for the archive unless it is the one that is known.
func (d *download) request(ctx context.Context, known downloaded) (*http.Response, error) {
	own, err := d.within(d.own, d.credential)
	if err != nil {
		return nil, err
	}
	others, err := d.within(d.others, credentials.Credential{CertificateAuthority: d.credential.CertificateAuthority})
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: oci.Chosen(d.url.Host, own, others, d.hosts), CheckRedirect: d.redirect}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", d.userAgent)
	// A server that packs it once more would say more bytes than there are.
	req.Header.Set("Accept-Encoding", "identity")
	if known.tag != "" {
		req.Header.Set("If-None-Match", known.tag)
	}
	if known.modified != "" {
		req.Header.Set("If-Modified-Since", known.modified)
	}
	switch c := d.credential; {
	case c.AccessToken != "":
		req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	case c.Username != "":
		req.SetBasicAuth(c.Username, c.Password)
	}
	resp, err := client.Do(req)
	if host, ok := errors.AsType[*oci.HostError](err); ok {
		return nil, host
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err // without the URL, which is said already
	}
	if err != nil {
		return nil, oci.ExplainServer(err, d.field)
	}
	return resp, nil
}

// within returns a transport with the certificates of a credential, within the budget.
func (d *download) within(base http.RoundTripper, c credentials.Credential) (http.RoundTripper, error) {
	transport, err := single(base, c)
	return d.budget.Over(oci.ConnectionWith(d.connection, c), transport), err
}

// single returns a transport with the certificates of a credential.
func single(base http.RoundTripper, c credentials.Credential) (http.RoundTripper, error) {
	transport, err := oci.WithTLS(base, c)
	if own, ok := transport.(*oci.Transport); ok && transport != base {
		own.DisableKeepAlives = true // nobody uses its connections again
	}
	return transport, err
}

// redirect bounds redirects, keeps them encrypted, and keeps credentials from other hosts.
func (d *download) redirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > d.redirects:
		return fmt.Errorf("stopped after %d redirects", d.redirects)
	case req.URL.Scheme != "https":
		return fmt.Errorf("redirect from https to %s is refused", req.URL.Scheme)
	case req.URL.Host != d.url.Host:
		req.Header.Del("Authorization")
		req.Header.Del("Cookie")
	}
	return nil
}

// check returns an error unless an answer has an archive of a size that is accepted.
func (d *download) check(resp *http.Response, limit int64) error {
	answer := fmt.Errorf("the server answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch status := resp.StatusCode; {
	case status == http.StatusOK && resp.ContentLength > limit:
		return fmt.Errorf("transport archive %s is %w: %d bytes, at most %d are read", d.label, oci.ErrTooLarge, resp.ContentLength, limit)
	case status == http.StatusOK:
		return nil
	case status == http.StatusNotFound:
		// Every server answers like this, also those between here and there.
		return oci.Doubt(&ctf.MissingError{Path: d.label, Err: fmt.Errorf("%w; check %s", answer, d.field)})
	case status == http.StatusGone:
		return &ctf.MissingError{Path: d.label, Err: answer}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		who := d.credential.String() + " was used"
		if d.credential.IsZero() {
			who = "no credentials for " + d.url.Host + " were given; add them in a Secret that secretRef names"
		}
		return fmt.Errorf("transport archive %s: %w: %w; %s", d.label, oci.ErrUnauthorized, answer, who)
	case status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
		return fmt.Errorf("transport archive %s: server is %w: %w", d.label, oci.ErrUnreachable, answer)
	}
	return fmt.Errorf("transport archive %s: %w", d.label, answer)
}

// limited fails when there is more than it may pass on.
type limited struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("it is %w: more bytes than --archives-max-size came", oci.ErrTooLarge)
	}
	return n, err
}
