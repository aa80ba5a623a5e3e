package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/turns"
)

// Repository is one repository of a registry.
type Repository struct {
	location   Location
	credential credentials.Credential
	client     *auth.Client
	// remote names the repository to whom gives tokens for it.
	remote registry.Reference
	limits Limits
	// credentialAt returns the credential that is used for another repository.
	credentialAt func(Location) credentials.Credential
	// home is the host that the user chose.
	home string
	// field is the field that says so, for messages.
	field    string
	memory   *Memory
	verdicts *verdicts
	turns    *turns.Turns[turnKey]
	// connection tells whose answers may be shared.
	connection string
	// patience is for manifests; who reads blobs has their own.
	patience time.Duration
	// times are how long the answer may take when a blob was sent.
	times commitTimes
}

// Repository returns the repository at a location, using the credentials for
// its host and path.
func (c *Client) Repository(l Location) (*Repository, error) {
	return c.repository(l, c.credentialAt(l))
}

// credentialAt returns the credential for a location that the user chose.
func (c *Client) credentialAt(l Location) credentials.Credential {
	credential, _ := c.options.Credentials.Find(credentials.Consumer{Scheme: l.scheme(), Host: l.Host, Path: l.Path})
	return credential
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
		location:     l,
		credential:   credential,
		client:       client,
		limits:       c.limits,
		home:         c.options.Home,
		field:        c.options.Field,
		memory:       c.options.Memory,
		verdicts:     c.verdicts,
		turns:        c.turns,
		connection:   c.options.Connection,
		patience:     Patience,
		times:        usualTimes,
		remote:       ref,
		credentialAt: c.credentialAt,
	}, nil
}

// Location returns where the repository is.
func (r *Repository) Location() Location { return r.location }

// String returns where the repository is, for messages.
func (r *Repository) String() string { return r.location.String() }

// Resolve returns the digest a tag points to.
func (r *Repository) Resolve(ctx context.Context, tag string) (digest.Digest, error) {
	object := fmt.Sprintf("resolve %s:%s", r.location, tag)
	resp, err := r.do(ctx, http.MethodHead, "manifests", tag, http.Header{"Accept": {acceptTag}})
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
	want, err := digest.Parse(ref)
	byDigest := err == nil
	if byDigest {
		m, _, err := r.readManifest(ctx, ref, want, accept(true))
		return m, err
	}
	address := r.url("manifests", ref)
	header := accept(false)
	known, _ := r.recall(address, header).(*Manifest)
	m, etag, err := r.readManifest(ctx, ref, "", header)
	switch {
	case known != nil && answered(err, http.StatusNotModified):
		if known.meant(err) {
			r.memory.told(KindManifest, true)
			return known.clone(), nil
		}
		// Without a condition the registry says what it has.
		r.remember(address, "", nil, 0)
		return r.Manifest(ctx, ref)
	case err != nil:
		return nil, err
	}
	r.memory.told(KindManifest, false)
	r.remember(address, etag, m.clone(), len(m.Bytes))
	return m, nil
}

// meant reports whether the manifest is the one that a registry says has not
// changed: it is what it was when it was read, and has the digest that the answer
// states, if it states one.
func (m *Manifest) meant(unchanged error) bool {
	if digest.FromBytes(m.Bytes) != m.Digest {
		return false
	}
	refusal, ok := errors.AsType[*refusal](unchanged)
	if !ok {
		return false
	}
	stated, err := digest.Parse(refusal.stated)
	return err != nil || stated.Algorithm().FromBytes(m.Bytes) == stated
}

// clone returns a copy whose fields can be set.
func (m *Manifest) clone() *Manifest {
	out := *m
	return &out
}

// readManifest reads a manifest, whose digest is compared if it is not empty, and
// the tag of its content.
func (r *Repository) readManifest(ctx context.Context, ref string, want digest.Digest, header http.Header) (*Manifest, string, error) {
	object := fmt.Sprintf("manifest %s of %s", ref, r.location)
	ctx, watch := NewWatch(ctx, r.patience)
	defer watch.End()
	resp, err := r.do(ctx, http.MethodGet, "manifests", ref, header)
	if err != nil {
		return nil, "", r.explain(object, err)
	}
	defer resp.Body.Close()
	body := watch.Over(resp.Body)
	defer body.Close()
	data, err := readAll(body, object, r.limits.ManifestBytes)
	if errors.Is(err, ErrTooLarge) {
		return nil, "", doubtPage(resp, err)
	}
	if err != nil {
		return nil, "", r.explain(object, err)
	}
	if want != "" {
		if got := want.Algorithm().FromBytes(data); got != want {
			return nil, "", doubtPage(resp, &DigestMismatchError{Object: object, Want: want.String(), Got: got.String()})
		}
	}
	m, err := NewManifest(data, resp.Header.Get("Content-Type"))
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", object, err)
	}
	if stated, err := digest.Parse(resp.Header.Get(digestHeader)); err == nil {
		m.Stated = stated
	}
	if want != "" {
		m.Digest = want
	}
	return m, resp.Header.Get("ETag"), nil
}

// Blob opens a blob. The reader compares size and digest at the end; a size
// below zero is not known yet, and the returned one is what the registry says.
func (r *Repository) Blob(ctx context.Context, d digest.Digest, size int64, also ...digest.Digest) (io.ReadCloser, int64, error) {
	return r.open(ctx, d, size, append([]digest.Digest{d}, also...))
}

// sized opens a blob whose digest somebody else compares. The reader compares its
// size.
func (r *Repository) sized(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, _, err := r.open(ctx, desc.Digest, desc.Size, nil)
	return rc, err
}

// open opens a blob, whose reader compares the size and some digests.
func (r *Repository) open(ctx context.Context, d digest.Digest, size int64, want []digest.Digest) (io.ReadCloser, int64, error) {
	object := fmt.Sprintf("blob %s of %s", d, r.location)
	if err := d.Validate(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	resp, err := r.do(ctx, http.MethodGet, "blobs", d.String(), nil)
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
	if isPage(resp) && len(want) == 0 {
		want = []digest.Digest{d}
	}
	rc, err := Verify(resp.Body, object, size, want...)
	if err != nil {
		resp.Body.Close()
		return nil, 0, err
	}
	if isPage(resp) {
		rc = DoubtContent(rc)
	}
	return rc, size, nil
}

// accept returns which media types of a manifest are asked for.
func accept(byDigest bool) http.Header {
	if byDigest {
		return http.Header{"Accept": {acceptDigest}}
	}
	return http.Header{"Accept": {acceptTag}}
}

// Has reports whether a blob is there, and of the size that it must have.
func (r *Repository) Has(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return r.has(ctx, fmt.Sprintf("blob %s of %s", desc.Digest, r.location), desc)
}

func (r *Repository) has(ctx context.Context, object string, desc ocispec.Descriptor) (bool, error) {
	if err := desc.Digest.Validate(); err != nil {
		return false, fmt.Errorf("%s: %w", object, err)
	}
	resp, err := r.do(ctx, http.MethodHead, "blobs", desc.Digest.String(), nil)
	if answered(err, http.StatusNotFound) {
		return false, nil
	}
	if err != nil {
		return false, r.explain(object, err)
	}
	resp.Body.Close()
	return desc.Size < 0 || resp.ContentLength < 0 || resp.ContentLength == desc.Size, nil
}

// HasManifest reports whether a manifest is there.
func (r *Repository) HasManifest(ctx context.Context, d digest.Digest) (bool, error) {
	object := fmt.Sprintf("manifest %s of %s", d, r.location)
	if err := d.Validate(); err != nil {
		return false, fmt.Errorf("%s: %w", object, err)
	}
	resp, err := r.do(ctx, http.MethodHead, "manifests", d.String(), accept(true))
	switch {
	case err == nil:
		return true, resp.Body.Close()
	case answered(err, http.StatusNotFound):
		return false, nil
	case !answered(err, http.StatusMethodNotAllowed):
		return false, r.explain(object, err)
	}
	if _, err = r.Manifest(ctx, d.String()); errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// answered reports whether an error is an answer with one of some statuses.
func answered(err error, statuses ...int) bool {
	refusal, ok := errors.AsType[*refusal](err)
	return ok && slices.Contains(statuses, refusal.StatusCode)
}

// PushManifest uploads a manifest and lets the tag point to it, in one request,
// so that no reader sees the one without the other. The tag may be the digest.
func (r *Repository) PushManifest(ctx context.Context, mediaType string, body []byte, tag string) (digest.Digest, error) {
	object := fmt.Sprintf("push manifest %s:%s", r.location, tag)
	d := digest.FromBytes(body)
	if want, err := digest.Parse(tag); err == nil {
		object = fmt.Sprintf("push manifest %s@%s", r.location, tag)
		if d = want.Algorithm().FromBytes(body); d != want {
			return "", &DigestMismatchError{Object: object, Want: want.String(), Got: d.String()}
		}
	} else if err := CheckTag(tag); err != nil {
		return "", fmt.Errorf("%s: %w", object, err)
	}
	ctx = r.scoped(ctx, auth.ActionPull, auth.ActionPush)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("manifests", tag), bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := r.client.Do(req)
	if err == nil && resp.StatusCode != http.StatusCreated {
		err = answer(resp)
	}
	if err != nil {
		return "", sided(ctx, Target, r.explain(object, err))
	}
	resp.Body.Close()
	return d, at(Target, stated(resp, d))
}
