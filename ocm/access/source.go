package access

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/internal/stream"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Source is a component version whose resources are read.
type Source struct {
	// Client reaches other repositories of this and other registries.
	Client *oci.Client
	// Repository is where the component version is.
	Repository oci.Storage
	// Sibling returns another repository of the archive the component version is
	// in. It is not needed for one in a registry.
	Sibling func(path string) (oci.Storage, error)
	// Component is the component version.
	Component *oci.Component
	// Remote reads content from web servers.
	Remote *Remote
	// Archives bound local blobs that are archives of an OCI artifact.
	Archives artifactset.Limits
}

// Blob is content being read. Its reader ends with io.EOF only after all bytes
// have been compared with the digests they must have; wrong bytes end with a
// *oci.DigestMismatchError instead.
type Blob struct {
	io.ReadCloser

	// MediaType is the media type of the content.
	MediaType string
	// Size is the number of bytes, -1 if the registry does not say.
	Size int64
	// Digest is the digest of the bytes. It is empty if nothing says it, as for
	// a local blob that is split and has no digest in the descriptor.
	Digest digest.Digest
}

// Options bound a read.
type Options struct {
	// MaxBytes is the largest content that is read, without a bound if zero.
	MaxBytes int64
}

// Open opens the content of a resource.
func (s *Source) Open(ctx context.Context, res *descriptor.Resource, o Options) (*Blob, error) {
	blob, err := s.open(ctx, res)
	if err != nil {
		return nil, s.wrap(res, err)
	}
	if o.MaxBytes <= 0 {
		return blob, nil
	}
	if blob.Size > o.MaxBytes {
		blob.Close()
		return nil, s.wrap(res, fmt.Errorf("content is %w: it has %d bytes, at most %d are read", oci.ErrTooLarge, blob.Size, o.MaxBytes))
	}
	blob.bound(o.MaxBytes)
	return blob, nil
}

// bound has the content fail that is larger.
func (b *Blob) bound(limit int64) {
	b.ReadCloser = struct {
		io.Reader
		io.Closer
	}{stream.Bounded(b.ReadCloser, limit, "content"), b.ReadCloser}
}

// ResourceError says which resource an error is about.
type ResourceError struct {
	// Resource is the resource.
	Resource *descriptor.Element
	// Component and Version name the component version that has it.
	Component, Version string
	// Err says what is wrong.
	Err error
}

// Error implements error.
func (e *ResourceError) Error() string {
	return fmt.Sprintf("resource %s of %s:%s: %v", e.Resource, e.Component, e.Version, e.Err)
}

// Unwrap returns what is wrong.
func (e *ResourceError) Unwrap() error { return e.Err }

func (s *Source) wrap(res *descriptor.Resource, err error) error {
	c := &s.Component.Descriptor.Component
	return &ResourceError{Resource: &res.Element, Component: c.Name, Version: c.Version, Err: err}
}

func (s *Source) open(ctx context.Context, res *descriptor.Resource) (*Blob, error) {
	kind, err := kindOf(res.Access)
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindLocalBlob:
		return s.openLocal(ctx, res)
	case KindOCIBlob:
		return s.openBlob(ctx, res)
	case KindHelm:
		return s.openHelm(ctx, res)
	case KindWget:
		return s.openWget(ctx, res)
	}
	ref, err := s.artifactReference(kind, res.Access)
	if err != nil {
		return nil, err
	}
	return s.openArtifact(ctx, res, ref)
}

// blobDigest returns what a blob must match besides its own digest, which may
// not be known. Where both use the same hash they are compared at once.
func blobDigest(res *descriptor.Resource, own digest.Digest) ([]digest.Digest, error) {
	if res.Digest == nil || res.Digest.Excluded() {
		return nil, nil
	}
	if !res.Digest.ForBlob() {
		return nil, &UnsupportedError{
			What:   fmt.Sprintf("a blob with a digest of kind %q", res.Digest.NormalisationAlgorithm),
			Advice: "its digest must be of kind " + descriptor.GenericBlobDigest,
		}
	}
	want, err := res.Digest.OCI()
	if err != nil {
		return nil, malformed(err)
	}
	if own == "" || want.Algorithm() != own.Algorithm() {
		return []digest.Digest{want}, nil
	}
	if want != own {
		return nil, &oci.DigestMismatchError{Object: "the blob its access names", Want: want.String(), Got: own.String()}
	}
	return nil, nil
}

// registryBlob is a blob of any registry.
type registryBlob struct {
	OCIBlob

	// repository has the blob.
	repository oci.Storage
	// also is what the blob must match besides its own digest.
	also []digest.Digest
}

// blobOf reads the access of a blob. A size that it does not state is -1.
func (s *Source) blobOf(res *descriptor.Resource) (*registryBlob, error) {
	var b registryBlob
	if err := decode(res.Access, &b.OCIBlob); err != nil {
		return nil, err
	}
	ref, err := s.blobReference(res.Access)
	if err != nil {
		return nil, err
	}
	if b.also, err = blobDigest(res, b.Digest); err != nil {
		return nil, err
	}
	if b.repository, err = s.repository(ref); err != nil {
		return nil, err
	}
	if b.Size <= 0 {
		b.Size = -1
	}
	return &b, nil
}

func (s *Source) openBlob(ctx context.Context, res *descriptor.Resource) (*Blob, error) {
	b, err := s.blobOf(res)
	if err != nil {
		return nil, err
	}
	rc, size, err := b.repository.Blob(ctx, b.Digest, b.Size, b.also...)
	if err != nil {
		return nil, err
	}
	return &Blob{ReadCloser: rc, MediaType: b.MediaType, Size: size, Digest: b.Digest}, nil
}
