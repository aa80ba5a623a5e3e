package snapshot

import (
	"context"
	_ "crypto/sha256" // the digests that OCI knows
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxManifest bounds what is parsed as a manifest; it is what registries accept.
const maxManifest = 4 << 20

// Content is the open content of a snapshot. Reading it to its end proves the digest: wrong
// bytes end in a *DigestMismatchError in place of io.EOF.
type Content struct {
	io.ReadCloser
	// MediaType is the media type of the content.
	MediaType string
	// LayerDigest is the digest of the content.
	LayerDigest digest.Digest
	// Size is the length of the content in bytes.
	Size int64
	// Annotations are those of the manifest.
	Annotations map[string]string
}

// DigestMismatchError says that a registry gave other bytes than those that were asked for.
type DigestMismatchError struct {
	// What was read: "manifest" or "content".
	What string
	// Want is the digest that was asked for.
	Want digest.Digest
	// Got is the digest of the bytes that came; empty when they were too long or too short to go on.
	Got digest.Digest
	// WantSize and GotSize are the lengths, when they differ.
	WantSize, GotSize int64
}

// Error implements error.
func (e *DigestMismatchError) Error() string {
	if e.Got == "" {
		return fmt.Sprintf("%s of the snapshot is damaged: want %s with %d bytes, got %d bytes", e.What, e.Want, e.WantSize, e.GotSize)
	}
	return fmt.Sprintf("%s of the snapshot is damaged: want %s, got %s", e.What, e.Want, e.Got)
}

// Open opens the content of the snapshot with that manifest digest. The error matches
// ErrNotFound when the manifest or its content is not there.
func Open(ctx context.Context, repo Repository, manifest digest.Digest) (*Content, error) {
	m, err := readManifest(ctx, repo, manifest)
	if err != nil {
		return nil, err
	}
	layer := m.Layers[0]
	blob, size, err := repo.OpenBlob(ctx, layer.Digest)
	if err != nil {
		return nil, fmt.Errorf("open content of snapshot %s: %w", manifest, err)
	}
	if size != layer.Size {
		err := &DigestMismatchError{What: "content", Want: layer.Digest, WantSize: layer.Size, GotSize: size}
		return nil, errors.Join(err, blob.Close())
	}
	return &Content{
		ReadCloser:  newVerifier(blob, layer),
		MediaType:   layer.MediaType,
		LayerDigest: layer.Digest,
		Size:        layer.Size,
		Annotations: m.Annotations,
	}, nil
}

// Exists tells whether the manifest and everything it names is in the repository, and its
// layer is the given one. An empty layer accepts any. A manifest that is damaged is not there: writing the
// snapshot again repairs it. So it does for content that the repository finds damaged, which is a *DigestMismatchError.
func Exists(ctx context.Context, repo Repository, manifest, layer digest.Digest) (bool, error) {
	m, err := readManifest(ctx, repo, manifest)
	if _, damaged := errors.AsType[*DigestMismatchError](err); damaged || errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if layer != "" && m.Layers[0].Digest != layer {
		return false, nil
	}
	for _, blob := range []ocispec.Descriptor{m.Layers[0], m.Config} {
		size, err := repo.StatBlob(ctx, blob.Digest)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for blob %s of snapshot %s: %w", blob.Digest, manifest, err)
		}
		if size != blob.Size {
			return false, nil
		}
	}
	return true, nil
}

// Delete removes a snapshot's manifest; one that is gone already is no error. What only this
// manifest referred to is the store's to collect.
func Delete(ctx context.Context, repo Repository, manifest digest.Digest) error {
	if err := repo.DeleteManifest(ctx, manifest); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("delete snapshot %s: %w", manifest, err)
	}
	return nil
}

func readManifest(ctx context.Context, repo Repository, dgst digest.Digest) (*ocispec.Manifest, error) {
	if err := dgst.Validate(); err != nil {
		return nil, fmt.Errorf("manifest digest %q of the snapshot: %w", string(dgst), err)
	}
	_, body, err := repo.Manifest(ctx, dgst.String())
	if err != nil {
		return nil, fmt.Errorf("read manifest of snapshot %s: %w", dgst, err)
	}
	if len(body) > maxManifest {
		return nil, fmt.Errorf("manifest of snapshot %s has %d bytes, more than %d", dgst, len(body), maxManifest)
	}
	if got := dgst.Algorithm().FromBytes(body); got != dgst {
		return nil, &DigestMismatchError{What: "manifest", Want: dgst, Got: got}
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("decode manifest of snapshot %s: %w", dgst, err)
	}
	if len(m.Layers) != 1 {
		return nil, fmt.Errorf("manifest %s is no snapshot: it has %d layers, a snapshot has one", dgst, len(m.Layers))
	}
	for _, blob := range []ocispec.Descriptor{m.Layers[0], m.Config} {
		if err := blob.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("manifest %s names blob %q: %w", dgst, string(blob.Digest), err)
		}
	}
	return &m, nil
}

// verifier hashes what is read through it and answers the end of the stream with the verdict.
type verifier struct {
	blob io.ReadCloser
	want ocispec.Descriptor
	hash hash.Hash
	n    int64
	err  error
}

func newVerifier(blob io.ReadCloser, want ocispec.Descriptor) *verifier {
	return &verifier{blob: blob, want: want, hash: want.Digest.Algorithm().Hash()}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.blob.Read(p)
	v.n += int64(n)
	if v.n > v.want.Size {
		v.err = &DigestMismatchError{What: "content", Want: v.want.Digest, WantSize: v.want.Size, GotSize: v.n}
		return 0, v.err
	}
	v.hash.Write(p[:n])
	switch {
	case err == io.EOF: //nolint:errorlint // an error that wraps io.EOF is no end
		err = v.verdict()
	case errors.Is(err, io.EOF):
		// It must not look like one either: only the verdict is.
		err = fmt.Errorf("read content %s: %w: %s", v.want.Digest, io.ErrUnexpectedEOF, err.Error())
	}
	v.err = err
	return n, err
}

func (v *verifier) verdict() error {
	if v.n != v.want.Size {
		return &DigestMismatchError{What: "content", Want: v.want.Digest, WantSize: v.want.Size, GotSize: v.n}
	}
	if got := digest.NewDigest(v.want.Digest.Algorithm(), v.hash); got != v.want.Digest {
		return &DigestMismatchError{What: "content", Want: v.want.Digest, Got: got}
	}
	return io.EOF
}

func (v *verifier) Close() error { return v.blob.Close() }
