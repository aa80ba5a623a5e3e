package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	// digestHeader is where a registry states the digest of a manifest. It may be left out.
	digestHeader = "Docker-Content-Digest"
	// errorBytes and errorTime bound how much of the answer to a failed request is
	// read, and for how long.
	errorBytes = 8 << 10
	errorTime  = 10 * time.Second
)

// Media types that are asked for when a tag is read, and when a digest is, whose
// content may be of any type.
var (
	acceptTag    = strings.Join([]string{ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerManifestList}, ", ")
	acceptDigest = acceptTag + ", " + artifactManifest + ", */*;q=0.1"
)

// refusal is an answer of a registry that is not what was asked for.
type refusal struct {
	*errcode.ErrorResponse

	// after is when to ask again, as the registry says it.
	after string
	// stated is the digest that it says, if it says one.
	stated string
	page   bool
}

// Unwrap returns the answer as the client of other tools describes it.
func (r *refusal) Unwrap() error { return r.ErrorResponse }

// url returns the URL of something in the repository.
func (r *Repository) url(segments ...string) string {
	return r.host() + "/v2/" + r.location.Path + "/" + strings.Join(segments, "/")
}

// host returns the URL of the host that answers for the registry.
func (r *Repository) host() string {
	l := r.location
	l.Host = apiHost(l.Host)
	return l.base()
}

// own returns the URL of this registry that a registry's answer leads to. Only
// path and query are taken from the answer, as many registries behind a proxy do
// not know the scheme and the port that they are reached at. Other hosts are
// refused: they get neither credentials nor content.
func (r *Repository) own(resp *http.Response, reference string) (string, error) {
	base := resp.Request.URL
	to, err := base.Parse(reference)
	if err != nil || reference == "" {
		return "", fmt.Errorf("the registry leads to %q, which is no address", reference)
	}
	own, err := url.Parse(r.host())
	if err != nil {
		return "", err
	}
	if !strings.EqualFold(to.Hostname(), own.Hostname()) && !strings.EqualFold(to.Hostname(), base.Hostname()) {
		return "", fmt.Errorf("the registry leads to the host %s, which is not its own; this is refused: configure the registry with the address that it is reached at", to.Host)
	}
	to.Scheme, to.Host, to.User, to.Fragment = own.Scheme, own.Host, nil, ""
	return to.String(), nil
}

// scoped returns the context of requests that need the given rights, beside those
// that it has.
func (r *Repository) scoped(ctx context.Context, actions ...string) context.Context {
	return auth.AppendRepositoryScope(ctx, r.remote, actions...)
}

// get sends a request that changes nothing.
func (r *Repository) get(ctx context.Context, method, address string, header http.Header) (*http.Response, error) {
	ctx = r.scoped(ctx, auth.ActionPull)
	req, err := http.NewRequestWithContext(ctx, method, address, nil) //nolint:gocritic // with http.NoBody the client of oras doesn't retry
	if err != nil {
		return nil, err
	}
	if header != nil {
		req.Header = header
	}
	// Transparent compression would change the bytes the digest is over.
	req.Header.Set("Accept-Encoding", "identity")
	return r.client.Do(req)
}

// do sends a request that changes nothing and turns every status but 200 into an
// error.
func (r *Repository) do(ctx context.Context, method, class, ref string, header http.Header) (*http.Response, error) {
	resp, err := r.get(ctx, method, r.url(class, ref), header)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, answer(resp)
	}
	return resp, nil
}

// answer makes an error of an answer, and closes it.
func answer(resp *http.Response) error { return answerWithin(resp, errorTime) }

// answerWithin is answer with a time limit. What came until then counts only if it is
// whole.
func answerWithin(resp *http.Response, limit time.Duration) error {
	defer resp.Body.Close()
	defer time.AfterFunc(limit, func() { resp.Body.Close() }).Stop()
	where := *resp.Request.URL
	// What says where an upload goes on is another each time, and conditions compare messages.
	if before, _, ok := strings.Cut(where.Path, "/blobs/uploads/"); ok {
		where.Path, where.RawPath, where.RawQuery = before+"/blobs/uploads/", "", ""
	}
	failure := &errcode.ErrorResponse{Method: resp.Request.Method, URL: &where, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if data, err := io.ReadAll(io.LimitReader(resp.Body, errorBytes)); err == nil && json.Unmarshal(data, &body) == nil {
		failure.Errors = body.Errors
	}
	return &refusal{ErrorResponse: failure, after: resp.Header.Get("Retry-After"), stated: resp.Header.Get(digestHeader), page: isPage(resp)}
}
