package forge

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxBody is enough for any request: GitLab takes texts of a megabyte, which have six at most as JSON, and Gitea takes any.
	maxBody = 8 << 20
	// maxErrorBody is enough for any message; the rest of it is not read.
	maxErrorBody = 64 << 10
	// maxDepth is more than twice what the forges send.
	maxDepth = 64
	// maxHops bounds redirects.
	maxHops = 5
	// requestTimeout bounds one request with its answer, whatever the context allows.
	requestTimeout = 60 * time.Second
)

// client sends requests to the API of one forge and reads its answers within bounds.
type client struct {
	http      *http.Client
	base      *url.URL
	token     string
	userAgent string
	header    http.Header
	now       func() time.Time
	// perPage is the name of the parameter for the length of pages.
	perPage string
	// kind tells what an answer is that is not told by its status alone; nil where there is nothing to add.
	kind func(status int, message string) error
}

// newClient checks address and token.
func newClient(o Options, api string) (*client, error) {
	base, err := url.Parse(api)
	if err != nil || (base.Scheme != "https" && base.Scheme != "http") || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the address of the API of the forge is not https://host/path or http://host/path: correct repository.apiURL")
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	base.RawPath = ""
	token := strings.TrimSpace(o.Token)
	if token == "" {
		return nil, errors.New("there is no token for the API of the forge: add the key apiToken to the Secret")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return nil, errors.New("the token for the API of the forge has characters that no token has: correct it in the Secret")
	}
	c := &client{base: base, token: token, userAgent: o.UserAgent, header: http.Header{}, now: time.Now, perPage: "per_page"}
	if c.userAgent == "" {
		c.userAgent = "ocm-operator"
	}
	c.http = &http.Client{}
	if o.Client != nil {
		*c.http = *o.Client
	}
	// Redirects are looked at by us: net/http would take the token to sub domains, and turn a POST into a GET.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http.Jar = nil
	return c, nil
}

// call is one request. Segments are escaped one by one, so a slash in one of them stays part of it.
type call struct {
	method string
	path   []string
	query  url.Values
	body   any
	// what is the start of errors: what is done to which object.
	what string
}

// do sends a request and decodes the answer into result, which may be nil. It returns the header of the answer.
func (c *client) do(ctx context.Context, r call, result any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	header, err := c.exchange(ctx, r, result)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.what, err)
	}
	return header, nil
}

func (c *client) exchange(ctx context.Context, r call, result any) (http.Header, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	address := c.address(r)
	for hop := 0; ; hop++ {
		resp, err := c.send(ctx, r.method, address, body)
		if err != nil {
			return nil, err
		}
		next, err := c.redirected(resp, r.method, address)
		if err == nil && next == nil {
			err = c.read(resp, result)
		}
		resp.Body.Close()
		switch {
		case err != nil:
			return nil, err
		case next == nil:
			return resp.Header, nil
		case hop == maxHops:
			return nil, &RedirectError{From: plain(address), To: plain(next)}
		}
		address = next
	}
}

// comment says something on a request that was closed. It is no part of the work: were it done before, or its failure an error, each try would add one, and mail it to everybody.
func (c *client) comment(ctx context.Context, r call, text string) {
	if text == "" {
		return
	}
	r.body = map[string]any{"body": text}
	if _, err := c.do(ctx, r, nil); err != nil {
		return
	}
}

// address returns the URL of a call.
func (c *client) address(r call) *url.URL {
	u := *c.base
	for _, part := range r.path {
		u.RawPath += "/" + url.PathEscape(part)
		u.Path += "/" + part
	}
	u.RawPath = c.base.EscapedPath() + u.RawPath
	u.RawQuery = r.query.Encode()
	return &u
}

func (c *client) send(ctx context.Context, method string, address *url.URL, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, c.header)
	req.Header.Set("User-Agent", c.userAgent)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// The cause without the address, which is long and has a query; what was done is said by the caller.
		if failure, ok := errors.AsType[*url.Error](err); ok {
			err = failure.Err
		}
		return nil, fmt.Errorf("ask %s: %w", address.Host, c.bounded(err))
	}
	return resp, nil
}

// redirected returns where a request is to be sent again: the same host may say so for a GET. All else is an error for the user.
func (c *client) redirected(resp *http.Response, method string, from *url.URL) (*url.URL, error) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil //nolint:nilnil // neither a redirect nor an error
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return nil, &ResponseError{Status: resp.StatusCode, Message: "a redirect that does not say where to"}
	}
	if method != http.MethodGet || to.User != nil || !sameServer(from, to) {
		return nil, &RedirectError{From: plain(from), To: plain(to)}
	}
	return to, nil
}

// sameServer tells whether a redirect stays with the server that the token is for. From http to https it may change to the usual port; any other may be another's server.
func sameServer(from, to *url.URL) bool {
	if !strings.EqualFold(from.Hostname(), to.Hostname()) {
		return false
	}
	upgrade := from.Scheme == "http" && to.Scheme == "https"
	return (from.Scheme == to.Scheme || upgrade) && port(from) == port(to) || upgrade && port(to) == "443"
}

// port returns the port of an address.
func port(u *url.URL) string {
	if u.Scheme == "https" {
		return cmp.Or(u.Port(), "443")
	}
	return cmp.Or(u.Port(), "80")
}

// plain returns an address for people: without user and query, shortened.
func plain(u *url.URL) string {
	return printable((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String(), maxMessage)
}

// read decodes an answer, or turns it into an error.
func (c *client) read(resp *http.Response, result any) error {
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return c.failure(resp)
	}
	if e, ok := result.(*elements); ok {
		return e.from(c, resp.Body)
	}
	data, err := c.whole(resp.Body)
	if err != nil || result == nil {
		return err
	}
	return decode(data, result)
}

// whole reads an answer to its end.
func (c *client) whole(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return nil, c.broken(err)
	case len(data) > maxBody:
		return nil, &TooLargeError{What: "bytes", Limit: maxBody}
	}
	return data, nil
}

// broken is for an answer that ends with an error of the transport.
func (c *client) broken(err error) error { return fmt.Errorf("read the answer: %w", c.bounded(err)) }

// decode reads JSON of bounded depth. What a forge sends that is no JSON is usually the page of a proxy or of a log-in.
func decode(data []byte, result any) error {
	if deep(data) {
		return &TooLargeError{What: "the depth", Limit: maxDepth}
	}
	if err := json.Unmarshal(data, result); err != nil {
		return refused(err)
	}
	return nil
}

// refused is for an answer that is not the JSON that was asked for.
func refused(err error) error {
	return fmt.Errorf("the answer is not what the API of the forge sends: check repository.provider and repository.apiURL: %w", jsonError(err))
}

// jsonError shortens errors of the decoder, which can repeat what was sent.
func jsonError(err error) error { return errors.New(printable(err.Error(), 128)) }

// deep tells whether brackets are nested too deep. Broken JSON is left to the decoder.
func deep(data []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}
