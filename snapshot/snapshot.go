package snapshot

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
)

// Kind says how the content of a snapshot is laid out, which decides its media types.
type Kind int

const (
	// Directory is a tree of files as a tar.gz, in the layout that Flux's OCIRepository unpacks.
	Directory Kind = iota
	// Chart is a packed Helm chart, in the layout that Helm and Flux's HelmRelease pull.
	Chart
	// Opaque is anything else; the bytes and their media type are kept as they are.
	Opaque
)

// Meta describes the content of a snapshot. Every field is part of the manifest, and so of
// its digest.
type Meta struct {
	// Component is the name of the component that the content came from.
	Component string
	// ComponentVersion is the version of that component.
	ComponentVersion string
	// Resource is the name of the resource within the component version.
	Resource string
	// ResourceVersion is the version of that resource.
	ResourceVersion string
	// SourceDigest is the digest of what the content was made from.
	SourceDigest string
	// Tag is put on the manifest; empty means Tag(ResourceVersion).
	Tag string
	// MediaType is the media type of Opaque content; the other kinds have fixed ones.
	MediaType string
	// Kind is the layout of the content.
	Kind Kind
	// ChartConfig is the metadata of a Chart as JSON: the artifact's config blob.
	ChartConfig []byte
}

// Result tells where a snapshot's content is.
type Result struct {
	// LayerDigest is the digest of the content itself.
	LayerDigest digest.Digest
	// ManifestDigest is the digest that consumers pin.
	ManifestDigest digest.Digest
	// Size is the length of the content in bytes.
	Size int64
}

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

// Write streams content into a new snapshot. Nothing becomes visible unless content
// returned nil and every byte is stored.
func Write(ctx context.Context, repo Repository, m Meta, content func(w io.Writer) error) (Result, error) {
	return Result{}, errors.New("not written yet")
}

// Open opens the content of the snapshot with that manifest digest.
func Open(ctx context.Context, repo Repository, manifest digest.Digest) (*Content, error) {
	return nil, errors.New("not written yet")
}

// Exists tells whether the manifest and everything it names is in the repository, and its
// layer is the given one. An empty layer accepts any.
func Exists(ctx context.Context, repo Repository, manifest, layer digest.Digest) (bool, error) {
	return false, errors.New("not written yet")
}

// Delete removes a snapshot's manifest; one that is gone already is no error.
func Delete(ctx context.Context, repo Repository, manifest digest.Digest) error {
	return errors.New("not written yet")
}
