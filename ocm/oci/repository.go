package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

const (
	// digestHeader is where a registry states the digest of a manifest. It may be left out.
	digestHeader = "Docker-Content-Digest"
	tagPageSize  = 1000
	// errorBytes bounds how much of the answer to a failed request is read.
	errorBytes = 8 << 10
)

// Repository is one repository of a registry.
type Repository struct {
	location   Location
	credential credentials.Credential
	client     *auth.Client
	remote     *remote.Repository
	limits     Limits
	// home is the host that the user chose.
	home string
	// patience is for manifests; who reads blobs has their own.
	patience time.Duration
}

// Repository returns the repository at a location, using the credentials for
// its host and path.
func (c *Client) Repository(l Location) (*Repository, error) {
	credential, _ := c.options.Credentials.Find(credentials.Consumer{Scheme: l.scheme(), Host: l.Host, Path: l.Path})
	return c.repository(l, credential)
}

// ForeignRepository returns the repository at a location that somebody else
// chose, host and scheme: a credential goes there unencrypted only if it was
// given for http:// explicitly.
func (c *Client) ForeignRepository(l Location) (*Repository, error) {
	if !l.PlainHTTP {
		return c.Repository(l)
	}
	credential, _ := c.options.Credentials.LookupPlain(l.Host, l.Path)
	return c.repository(l, credential)
}

func (c *Client) repository(l Location, credential credentials.Credential) (*Repository, error) {
	ref := registry.Reference{Registry: l.Host, Repository: l.Path}
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("repository %s: %w", l, err)
	}
	client, err := c.authClient(l, credential)
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", l, err)
	}
	return &Repository{
		location:   l,
		credential: credential,
		client:     client,
		limits:     c.limits,
		home:       c.options.Home,
		patience:   Patience,
		remote: &remote.Repository{
			Client:           client,
			Reference:        ref,
			PlainHTTP:        l.PlainHTTP,
			TagListPageSize:  tagPageSize,
			TagListMaxPages:  c.limits.TagPages,
			MaxMetadataBytes: c.limits.ManifestBytes,
		},
	}, nil
}

// Location returns where the repository is.
func (r *Repository) Location() Location { return r.location }

// String returns where the repository is, for messages.
func (r *Repository) String() string { return r.location.String() }

// Tags lists all tags.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	object := "list tags of " + r.location.String()
	var all []string
	err := r.remote.Tags(ctx, "", func(page []string) error {
		if len(all)+len(page) > r.limits.Tags {
			return &hint{fmt.Sprintf("more than %d tags; --max-tags allows more", r.limits.Tags), ErrTooLarge, nil}
		}
		all = append(all, page...)
		return nil
	})
	if err != nil {
		return nil, r.explain(object, err)
	}
	return all, nil
}

// Resolve returns the digest a tag points to.
func (r *Repository) Resolve(ctx context.Context, tag string) (digest.Digest, error) {
	object := fmt.Sprintf("resolve %s:%s", r.location, tag)
	resp, err := r.do(ctx, http.MethodHead, "manifests", tag)
	var response *errcode.ErrorResponse
	if err != nil && (!errors.As(err, &response) || response.StatusCode != http.StatusMethodNotAllowed && response.StatusCode != http.StatusNotFound) {
		return "", r.explain(object, err)
	}
	if err == nil {
		resp.Body.Close()
		if d, err := digest.Parse(resp.Header.Get(digestHeader)); err == nil {
			return d, nil
		}
	}
	// The header is optional; without it only the content tells the digest. Nor does the answer say, without content,
	// whether it is the registry that has no such tag.
	m, err := r.Manifest(ctx, tag)
	if err != nil {
		return "", err
	}
	return m.Digest, nil
}

// Manifest reads the manifest of a tag or a digest. Its digest is computed from
// the bytes, and compared if it was asked for by digest.
func (r *Repository) Manifest(ctx context.Context, ref string) (*Manifest, error) {
	object := fmt.Sprintf("manifest %s of %s", ref, r.location)
	want, err := digest.Parse(ref)
	byDigest := err == nil
	ctx, watch := NewWatch(ctx, r.patience)
	defer watch.End()
	resp, err := r.do(ctx, http.MethodGet, "manifests", ref)
	if err != nil {
		return nil, r.explain(object, err)
	}
	defer resp.Body.Close()
	body := watch.Over(resp.Body)
	defer body.Close()
	data, err := readAll(body, object, r.limits.ManifestBytes)
	if errors.Is(err, ErrTooLarge) {
		return nil, doubtPage(resp, err)
	}
	if err != nil {
		return nil, r.explain(object, err)
	}
	if byDigest {
		if got := want.Algorithm().FromBytes(data); got != want {
			return nil, doubtPage(resp, &DigestMismatchError{Object: object, Want: want.String(), Got: got.String()})
		}
	}
	m, err := NewManifest(data, resp.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", object, err)
	}
	if stated, err := digest.Parse(resp.Header.Get(digestHeader)); err == nil {
		m.Stated = stated
	}
	if byDigest {
		m.Digest = want
	}
	return m, nil
}

// Blob opens a blob. The reader compares size and digest at the end; a size
// below zero is not known yet, and the returned one is what the registry says.
func (r *Repository) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	object := fmt.Sprintf("blob %s of %s", d, r.location)
	if err := d.Validate(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	resp, err := r.do(ctx, http.MethodGet, "blobs", d.String())
	if err != nil {
		return nil, 0, r.explain(object, err)
	}
	if length := resp.ContentLength; length >= 0 {
		if size >= 0 && length != size {
			resp.Body.Close()
			wrong := &DigestMismatchError{Object: object, Want: fmt.Sprintf("%d bytes of %s", size, d), Got: fmt.Sprintf("%d bytes", length)}
			return nil, 0, doubtPage(resp, wrong)
		}
		size = length
	}
	rc, err := Verify(resp.Body, object, size, append([]digest.Digest{d}, also...)...)
	if err != nil {
		resp.Body.Close()
		return nil, 0, err
	}
	if isPage(resp) {
		rc = DoubtContent(rc)
	}
	return rc, size, nil
}

// do sends a request and turns every status but 200 into an error.
func (r *Repository) do(ctx context.Context, method, class, ref string) (*http.Response, error) {
	ctx = auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull)
	l := r.location
	l.Host = apiHost(l.Host)
	url := fmt.Sprintf("%s/v2/%s/%s/%s", l.base(), l.Path, class, ref)
	req, err := http.NewRequestWithContext(ctx, method, url, nil) //nolint:gocritic // with http.NoBody the client of oras doesn't retry
	if err != nil {
		return nil, err
	}
	// Transparent compression would change the bytes the digest is over.
	req.Header.Set("Accept-Encoding", "identity")
	if class == "manifests" {
		req.Header.Set("Accept", strings.Join([]string{
			ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerManifestList,
		}, ", "))
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	failure := &errcode.ErrorResponse{Method: method, URL: req.URL, StatusCode: resp.StatusCode}
	var body struct {
		Errors errcode.Errors `json:"errors"`
	}
	if data, err := io.ReadAll(io.LimitReader(resp.Body, errorBytes)); err == nil && json.Unmarshal(data, &body) == nil {
		failure.Errors = body.Errors
	}
	return nil, failure
}

// PushBlob uploads a blob unless it is there already. The content is opened
// again when the registry asks to try later.
func (r *Repository) PushBlob(ctx context.Context, desc ocispec.Descriptor, open func() (io.ReadCloser, error)) error {
	object := fmt.Sprintf("push blob %s to %s", desc.Digest, r.location)
	exists, err := r.remote.Blobs().Exists(ctx, desc)
	if err != nil {
		return r.explain(object, err)
	}
	for attempt := 0; !exists; attempt++ {
		err := r.pushOnce(ctx, desc, object, open)
		var response *errcode.ErrorResponse
		again := errors.As(err, &response) && retryable(&http.Response{StatusCode: response.StatusCode}, nil)
		if isDigestInvalid(response) {
			return &DigestMismatchError{Object: object, Want: desc.Digest.String(), Got: "other content, says the registry"}
		}
		if !again || attempt >= maxRetries {
			return r.explain(object, err)
		}
		timer := time.NewTimer(backoff(attempt))
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s: %w", object, ctx.Err())
		case <-timer.C:
		}
	}
	return nil
}

// isDigestInvalid reports whether a registry compared the digest and found it
// wrong. Its answer may come before the reader of the content has said so.
func isDigestInvalid(response *errcode.ErrorResponse) bool {
	return response != nil && slices.ContainsFunc(response.Errors, func(e errcode.Error) bool { return e.Code == errcode.ErrorCodeDigestInvalid })
}

func (r *Repository) pushOnce(ctx context.Context, desc ocispec.Descriptor, object string, open func() (io.ReadCloser, error)) error {
	content, err := open()
	if err != nil {
		return err
	}
	defer content.Close()
	verified, err := Verify(content, object, desc.Size, desc.Digest)
	if err != nil {
		return err
	}
	return r.remote.Blobs().Push(ctx, desc, verified)
}

// PushManifest uploads a manifest and lets the tag point to it, in one request,
// so that no reader sees the one without the other.
func (r *Repository) PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error) {
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	err := r.remote.Manifests().PushReference(ctx, desc, bytes.NewReader(slices.Clone(body)), tag)
	if err != nil {
		return "", r.explain(fmt.Sprintf("push manifest %s:%s", r.location, tag), err)
	}
	return desc.Digest, nil
}
