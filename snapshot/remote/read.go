package remote

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

// emptyDigest is the digest of no bytes, of which no part can be asked for.
const emptyDigest = digest.Digest("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

// hollowAnswers is how often a registry has to give no bytes of a blob that it says it has, to be believed.
const hollowAnswers = 3

// errHollow says that a registry has promised content and not given any.
var errHollow = errors.New("it says that it has the content, and gives none of it")

// Manifest implements snapshot.Repository. The digest is that of the bytes, whatever the registry says.
func (r *Repository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	object := "manifest " + ref
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	resp, err := r.send(ctx, request{ //nolint:bodyclose // closed with what watches over it
		method: http.MethodGet, class: "manifests", ref: ref, accept: ocispec.MediaTypeImageManifest + ", " + ocispec.MediaTypeImageIndex,
	})
	if err != nil {
		return ocispec.Descriptor{}, nil, r.explain(object, watch.cause(err))
	}
	body := watch.over(resp.Body)
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("%w: more than the %d bytes of a manifest", ErrTooLarge, maxManifest)
	}
	if err != nil {
		return ocispec.Descriptor{}, nil, r.explain(object, err)
	}
	got, err := r.checkManifest(ref, data, resp)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	return ocispec.Descriptor{MediaType: mediaTypeOf(resp), Digest: got, Size: int64(len(data))}, data, nil
}

// checkManifest returns the digest of a manifest, if that is what was asked for. What doesn't even call itself a manifest is
// no proof that the one in the registry is damaged.
func (r *Repository) checkManifest(ref string, data []byte, resp *http.Response) (digest.Digest, error) {
	kind := mediaTypeOf(resp)
	sure := strings.Contains(kind, "manifest") || strings.Contains(kind, "image.index")
	want, err := digest.Parse(ref)
	if err != nil {
		want, err = digest.Parse(resp.Header.Get(digestHeader))
	}
	got := digest.FromBytes(data)
	if err == nil {
		got = want.Algorithm().FromBytes(data)
	}
	switch {
	case err != nil && sure, got == want:
		return got, nil
	case sure:
		return "", &snapshot.DigestMismatchError{What: "manifest", Want: want, Got: got}
	}
	return "", fmt.Errorf("manifest %s at %s: %w: content of type %q came", ref, r.where(), ErrUnsure, kind)
}

// OpenBlob implements snapshot.Repository. The reader compares what comes with the digest.
func (r *Repository) OpenBlob(ctx context.Context, dgst digest.Digest) (io.ReadCloser, int64, error) {
	object := "content " + dgst.String()
	if err := dgst.Validate(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", object, err)
	}
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	resp, err := r.send(ctx, request{method: http.MethodGet, class: "blobs", ref: dgst.String()}) //nolint:bodyclose // its reader closes it
	if err != nil {
		err = watch.cause(err)
		watch.end()
		return nil, 0, r.explain(object, err)
	}
	body := watch.over(resp.Body)
	size := resp.ContentLength
	switch {
	case isPage(resp, dgst):
		err = r.explain(object, fmt.Errorf("%w: a page for people came", ErrUnsure))
	case resp.StatusCode != http.StatusOK:
		err = r.explain(object, fmt.Errorf("%w: %s to a question for all of it", ErrUnsure, resp.Status))
	case size < 0:
		size, err = r.StatBlob(ctx, dgst)
	}
	if most := r.store.options.MaxBlobBytes; err == nil && most > 0 && size > most {
		err = r.explain(object, fmt.Errorf("%w: it has %d bytes, more than the %d of --registry-max-blob-size", ErrTooLarge, size, most))
	}
	if err != nil {
		return nil, 0, errors.Join(err, body.Close())
	}
	return &checked{rc: body, repository: r, want: dgst, size: size, hash: dgst.Algorithm().Hash()}, size, nil
}

// checked is content that ends well only if it is what was asked for.
type checked struct {
	rc         io.ReadCloser
	repository *Repository
	want       digest.Digest
	size, came int64
	hash       hash.Hash
	err        error
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.rc.Read(p)
	c.came += int64(n)
	if c.came > c.size {
		c.err = c.mismatch("")
		return 0, c.err
	}
	c.hash.Write(p[:n])
	switch {
	case err == io.EOF: //nolint:errorlint // one that wraps it is a connection that was closed
		err = c.verdict()
	case err != nil:
		err = c.repository.explainAny("content "+c.want.String(), err)
	}
	c.err = err
	return n, err
}

func (c *checked) verdict() error {
	if got := digest.NewDigest(c.want.Algorithm(), c.hash); c.came != c.size || got != c.want {
		return c.mismatch(got)
	}
	return io.EOF
}

// mismatch makes it known that the registry has other bytes, so that the content is written again.
func (c *checked) mismatch(got digest.Digest) error {
	c.repository.store.markDamaged(c.repository.ref.Repository, c.want, true)
	return &snapshot.DigestMismatchError{What: "content", Want: c.want, Got: got, WantSize: c.size, GotSize: c.came}
}

// Close implements io.Closer.
func (c *checked) Close() error { return c.rc.Close() }

// StatBlob implements snapshot.Repository. It asks for the first byte rather than for the header alone: the answer to that
// says in its body whether it is the registry that has no such content, and some registries know of content that they have
// lost. Content that was found damaged is a *snapshot.DigestMismatchError until it is written again.
func (r *Repository) StatBlob(ctx context.Context, dgst digest.Digest) (int64, error) {
	object := "content " + dgst.String()
	if err := dgst.Validate(); err != nil {
		return 0, fmt.Errorf("%s: %w", object, err)
	}
	if r.store.isDamaged(r.ref.Repository, dgst) {
		return 0, &snapshot.DigestMismatchError{What: "content", Want: dgst}
	}
	for attempt := 1; ; attempt++ {
		size, err := r.firstByte(ctx, dgst)
		if !errors.Is(err, errHollow) {
			return size, r.explain(object, err)
		}
		if attempt == hollowAnswers {
			return 0, fmt.Errorf("%w; %w", &snapshot.DigestMismatchError{What: "content", Want: dgst, WantSize: size}, errHollow)
		}
	}
}

// firstByte returns the size of a blob, if its first byte comes.
func (r *Repository) firstByte(ctx context.Context, dgst digest.Digest) (int64, error) {
	ctx, watch := newWatch(ctx, r.store.options.Patience)
	defer watch.end()
	q := request{method: http.MethodGet, class: "blobs", ref: dgst.String(), span: "bytes=0-0"}
	if dgst == emptyDigest {
		q.span = ""
	}
	resp, err := r.send(ctx, q) //nolint:bodyclose // closed with what watches over it
	if err != nil {
		return 0, watch.cause(err)
	}
	body := watch.over(resp.Body)
	defer body.Close()
	size, known := sizeOf(resp)
	switch {
	case isPage(resp, dgst):
		return 0, fmt.Errorf("%w: a page for people came", ErrUnsure)
	case !known:
		return 0, fmt.Errorf("%w: it does not say how large the content is", ErrUnsure)
	case size == 0:
		return 0, nil
	}
	if _, err = io.ReadFull(body, make([]byte, 1)); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		if resp.Header.Get(digestHeader) == dgst.String() {
			return size, errHollow
		}
		return 0, fmt.Errorf("%w: it closed the connection", ErrUnreachable)
	}
	return size, err
}

// sizeOf returns the size of the whole content of which some came.
func sizeOf(resp *http.Response) (int64, bool) {
	if resp.StatusCode != http.StatusPartialContent {
		return resp.ContentLength, resp.ContentLength >= 0 && resp.StatusCode == http.StatusOK
	}
	span, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	return size, err == nil && size > 0 && strings.HasPrefix(span, "bytes 0-")
}
