package ocm

import (
	"context"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// Blob is content being read. Its reader ends with io.EOF only after all bytes
// have been compared with the digests they must have; wrong bytes end with a
// *DigestMismatchError instead.
type Blob = access.Blob

// ReadOptions bound a read.
type ReadOptions = access.Options

// ComponentVersion is a component version that was read. It does not change,
// and is safe for concurrent use.
type ComponentVersion struct {
	source access.Source
}

// Source is what reads the contents, for whoever copies them instead.
func (v *ComponentVersion) Source() *access.Source { return &v.source }

// Descriptor returns the descriptor, which must not be changed.
func (v *ComponentVersion) Descriptor() *descriptor.Descriptor { return v.source.Component.Descriptor }

// ManifestDigest returns the digest of the manifest, which pins the version.
func (v *ComponentVersion) ManifestDigest() digest.Digest { return v.source.Component.Digest }

// Component returns the name of the component.
func (v *ComponentVersion) Component() string { return v.Descriptor().Component.Name }

// Version returns the version.
func (v *ComponentVersion) Version() string { return v.Descriptor().Component.Version }

// Open opens the content of a resource of the descriptor: the bytes of a local
// or remote blob, the chart of a Helm chart, or the only layer of an OCI
// artifact. The digest the resource states is checked on every read.
func (v *ComponentVersion) Open(ctx context.Context, res *descriptor.Resource, o ReadOptions) (*Blob, error) {
	return v.source.Open(ctx, res, o)
}

// ImageReference returns the image reference of a resource as a pod needs it.
func (v *ComponentVersion) ImageReference(res *descriptor.Resource) (string, error) {
	return v.source.ImageReference(res)
}

// PinnedImageReference is like ImageReference, but with the digest that the
// resource states: host/path:tag@digest. It is ErrNoDigest for a resource that
// states none.
func (v *ComponentVersion) PinnedImageReference(res *descriptor.Resource) (string, error) {
	return v.source.PinnedImageReference(res)
}

// Check reads the content of a resource of the descriptor, and compares it with
// the digest that the resource states: all bytes of a blob, or those of the
// manifest of an OCI artifact. It is ErrNoDigest for a resource that states none.
func (v *ComponentVersion) Check(ctx context.Context, res *descriptor.Resource) error {
	return v.source.Check(ctx, res)
}
