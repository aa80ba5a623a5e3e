package access

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// openLocal opens content that is stored with the component version.
func (s *Source) openLocal(ctx context.Context, res *descriptor.Resource) (*Blob, error) {
	spec, err := decodeLocal(res.Access)
	if err != nil {
		return nil, err
	}
	if formOf(spec.MediaType) == nestedForm {
		return s.openNested(ctx, res, spec)
	}
	local, err := s.locate(spec)
	if err != nil {
		return nil, err
	}
	if formOf(spec.MediaType) == packedForm {
		return s.openPacked(ctx, res, local)
	}
	return s.openPlain(ctx, res, local)
}

// localBlob is where the bytes of a local blob are.
type localBlob struct {
	mediaType string
	chunks    []chunk
	size      int64
}

// own returns the digest that the bytes are compared with anyway. It is empty for
// split ones.
func (l *localBlob) own() digest.Digest {
	if len(l.chunks) != 1 {
		return ""
	}
	return l.chunks[0].digest
}

type chunk struct {
	digest digest.Digest
	size   int64
}

// locate finds the layers that a local blob is made of. Only the layers of its
// manifest belong to the component version.
func (s *Source) locate(spec *LocalBlob) (*localBlob, error) {
	all, err := spec.Chunks()
	if err != nil {
		return nil, err
	}
	local := &localBlob{mediaType: spec.MediaType}
	for _, d := range all {
		layer, ok := s.Component.Layer(d)
		if !ok {
			return nil, fmt.Errorf("local blob %s is no layer of the manifest %s of the component version: %w", d, s.Component.Digest, oci.ErrNotFound)
		}
		if local.mediaType == "" {
			local.mediaType = layer.MediaType
		}
		local.chunks = append(local.chunks, chunk{digest: d, size: layer.Size})
		if local.size += layer.Size; layer.Size < 0 || local.size < 0 {
			return nil, malformed(fmt.Errorf("the manifest %s of the component version says that blob %s has %d bytes", s.Component.Digest, d, layer.Size))
		}
	}
	return local, nil
}

// openChunks opens the bytes of a local blob. The chunks are compared with
// their digests, and all of it with the given ones.
func (s *Source) openChunks(ctx context.Context, local *localBlob, also ...digest.Digest) (io.ReadCloser, int64, error) {
	first := local.chunks[0]
	if len(local.chunks) == 1 {
		return s.Repository.Blob(ctx, first.digest, first.size, also...)
	}
	// The first one is opened now, so that most errors come before the content.
	rc, _, err := s.Repository.Blob(ctx, first.digest, first.size)
	if err != nil {
		return nil, 0, err
	}
	c := &chain{current: rc, rest: local.chunks[1:], open: func(next chunk) (io.ReadCloser, error) {
		rc, _, err := s.Repository.Blob(ctx, next.digest, next.size)
		return rc, err
	}}
	object := fmt.Sprintf("the local blob of %d chunks in %s", len(local.chunks), s.Repository)
	verified, err := oci.Verify(c, object, local.size, also...)
	if err != nil {
		return nil, 0, errors.Join(err, c.Close())
	}
	return verified, local.size, nil
}

// chain reads blobs one after the other as if they were one.
type chain struct {
	current io.ReadCloser
	rest    []chunk
	open    func(chunk) (io.ReadCloser, error)
}

// Read implements io.Reader.
func (c *chain) Read(p []byte) (int, error) {
	for {
		n, err := c.current.Read(p)
		if err != io.EOF || len(c.rest) == 0 { //nolint:errorlint // only this is the end of a chunk
			return n, err
		}
		c.current.Close()
		next, err := c.open(c.rest[0])
		if err != nil {
			return n, err
		}
		c.current, c.rest = next, c.rest[1:]
		if n > 0 {
			return n, nil
		}
	}
}

// Close implements io.Closer.
func (c *chain) Close() error { return c.current.Close() }

func (s *Source) openPlain(ctx context.Context, res *descriptor.Resource, local *localBlob) (*Blob, error) {
	blob := &Blob{MediaType: local.mediaType}
	var also []digest.Digest
	var err error
	blob.Digest = local.own()
	if also, err = blobDigest(res, blob.Digest); blob.Digest == "" && len(also) > 0 {
		blob.Digest = also[0]
	}
	if err != nil {
		return nil, err
	}
	blob.ReadCloser, blob.Size, err = s.openChunks(ctx, local, also...)
	if err != nil {
		return nil, err
	}
	return blob, nil
}

// openNested opens the content of an OCI artifact that is stored beside the
// manifest of the component version.
func (s *Source) openNested(ctx context.Context, res *descriptor.Resource, spec *LocalBlob) (*Blob, error) {
	m, err := s.readNested(ctx, res, spec)
	if err != nil {
		return nil, err
	}
	return openContent(ctx, s.Repository, m)
}

func (s *Source) readNested(ctx context.Context, res *descriptor.Resource, spec *LocalBlob) (*oci.Manifest, error) {
	d, err := s.nested(spec)
	if err != nil {
		return nil, err
	}
	m, err := s.Repository.Manifest(ctx, d.String())
	if err != nil {
		return nil, err
	}
	return m, checkArtifact(res, m, "the artifact in the component version")
}

// nested returns the digest of an OCI artifact that belongs to the component
// version.
func (s *Source) nested(spec *LocalBlob) (digest.Digest, error) {
	d, err := digest.Parse(spec.LocalReference)
	if err != nil {
		return "", malformed(fmt.Errorf("localReference %q is no digest: %w", spec.LocalReference, err))
	}
	if _, ok := s.Component.Artifact(d); !ok {
		return "", fmt.Errorf("local artifact %s is not listed with the component version in %s: %w", d, s.Component.Digest, oci.ErrNotFound)
	}
	return d, nil
}

// openPacked opens the content of an OCI artifact that is packed into an
// archive.
func (s *Source) openPacked(ctx context.Context, res *descriptor.Resource, local *localBlob) (*Blob, error) {
	set, err := s.openCompared(ctx, res, local)
	if err != nil {
		return nil, err
	}
	blob, err := openSet(ctx, set)
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	return blob, nil
}

// openCompared opens an archive whose artifact has the digest that the resource
// states, or which has it itself: some tools hash the archive. Its bytes are
// compared when they are read.
func (s *Source) openCompared(ctx context.Context, res *descriptor.Resource, local *localBlob) (*artifactset.Set, error) {
	asItIs := func(rc io.ReadCloser) io.ReadCloser { return rc }
	set, err := s.openArchive(ctx, local, asItIs)
	if err != nil || isDigestOf(res, local) {
		return set, err
	}
	wrong := checkPacked(res, set)
	if wrong == nil {
		return set, nil
	}
	if err := set.Close(); err != nil || !mayBeBytes(res, wrong) {
		return nil, errors.Join(wrong, err)
	}
	also, err := blobDigest(res, local.own())
	if err != nil {
		return nil, neither(wrong, err)
	}
	return s.openArchive(ctx, local, asItIs, also...)
}

// checkPacked compares the artifact in an archive with the digest the resource
// states.
func checkPacked(res *descriptor.Resource, set *artifactset.Set) error {
	return checkArtifact(res, set.Main, "the artifact in the archive")
}

// mayBeBytes reports whether the digest of a resource, which is not that of the
// artifact in its archive, may be that of the archive.
func mayBeBytes(res *descriptor.Resource, wrong error) bool {
	_, mismatch := errors.AsType[*oci.DigestMismatchError](wrong)
	return mismatch && res.Digest.ForBlob()
}

// neither returns what is wrong with an archive whose artifact has not the digest
// that it should: nothing, if its bytes have it.
func neither(artifact, archive error) error {
	a, _ := errors.AsType[*oci.DigestMismatchError](artifact)
	b, ok := errors.AsType[*oci.DigestMismatchError](archive)
	if a == nil || !ok || a.Want != b.Want || errors.Is(archive, oci.ErrUnsure) {
		return archive
	}
	return &oci.DigestMismatchError{
		Object: "the archive and of the artifact in it", Want: a.Want,
		Got: fmt.Sprintf("%s for the archive and %s for the artifact", b.Got, a.Got),
	}
}

// openArchive opens an archive. Its bytes are read through over, and compared with
// the given digests besides.
func (s *Source) openArchive(ctx context.Context, local *localBlob, over func(io.ReadCloser) io.ReadCloser, also ...digest.Digest) (*artifactset.Set, error) {
	unread := false
	open := func(ctx context.Context) (io.ReadCloser, error) {
		rc, _, err := s.openChunks(ctx, local, also...)
		if err != nil {
			unread = true
			return nil, err
		}
		rc = over(rc)
		return &noticing{ReadCloser: rc, ctx: ctx, failed: &unread}, nil
	}
	set, err := artifactset.Read(ctx, open, s.Archives)
	if err != nil && !unread {
		// What was read is the reason, and not that it could not be.
		err = malformed(err)
	}
	return set, err
}

// noticing takes notice of errors of a reader, and of the end of a context.
type noticing struct {
	io.ReadCloser

	ctx    context.Context //nolint:containedctx // a reader has no other way to get it
	failed *bool
}

// Read implements io.Reader.
func (n *noticing) Read(p []byte) (int, error) {
	if n.ctx.Err() != nil {
		*n.failed = true
		return 0, context.Cause(n.ctx)
	}
	read, err := n.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		*n.failed = true
	}
	return read, err
}

func openSet(ctx context.Context, set *artifactset.Set) (*Blob, error) {
	layer, err := contentLayer(set.Main)
	if err != nil {
		return nil, err
	}
	rc, err := set.Open(ctx, layer)
	if err != nil {
		return nil, err
	}
	return &Blob{ReadCloser: rc, MediaType: layer.MediaType, Size: layer.Size, Digest: layer.Digest}, nil
}

// isDigestOf reports whether the digest of the resource is the one that the
// bytes of a local blob are compared with anyway.
func isDigestOf(res *descriptor.Resource, local *localBlob) bool {
	if res.Digest == nil || !res.Digest.ForBlob() {
		return false
	}
	d, err := res.Digest.OCI()
	return err == nil && d == local.own()
}
