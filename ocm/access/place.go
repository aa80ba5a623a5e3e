package access

import (
	"context"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Form tells what content is made of.
type Form int

const (
	// Nothing is the form of what has no content.
	Nothing Form = iota
	// Blobs are one or more blobs, which are the content when they are joined.
	Blobs
	// Artifact is an OCI artifact.
	Artifact
	// Packed are blobs that are, joined, an archive with an OCI artifact.
	Packed
	// Stream is content that is only known when it was read.
	Stream
)

// Place is where content is and what it is made of, for whoever copies it as it
// is.
type Place struct {
	// Form tells which of the other fields are set.
	Form Form
	// Repository has the blobs or the artifact.
	Repository oci.Storage
	// MediaType is that of the content.
	MediaType string
	// Blobs are those of Blobs and Packed, in their order.
	Blobs []ocispec.Descriptor
	// Manifest is the root of an Artifact. It is what the resource promises.
	Manifest *oci.Manifest
	// Hint is the repository, and maybe the tag, that the artifact has or had,
	// without a host: path[:tag]. It may be empty.
	Hint string
}

// Kind returns the kind of an access in one spelling. What this package can't
// read is an *UnsupportedError.
func Kind(a descriptor.Access) (string, error) { return kindOf(a) }

// IsNone reports whether an access says that there is no content.
func IsNone(a descriptor.Access) bool { return a.Kind() == "none" || a.Kind() == "None" }

// FormOf tells what a local blob of a media type is: an artifact, one that is packed,
// or something else.
func FormOf(mediaType string) Form {
	switch formOf(mediaType) {
	case nestedForm:
		return Artifact
	case packedForm:
		return Packed
	case plainForm:
	}
	return Blobs
}

// Place finds the content of a resource. It reads manifests, and no content.
func (s *Source) Place(ctx context.Context, res *descriptor.Resource) (*Place, error) {
	place, err := s.place(ctx, res)
	if err != nil {
		return nil, s.wrap(res, err)
	}
	return place, nil
}

func (s *Source) place(ctx context.Context, res *descriptor.Resource) (*Place, error) {
	if IsNone(res.Access) {
		return &Place{}, nil
	}
	kind, err := kindOf(res.Access)
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindLocalBlob:
		return s.localPlace(ctx, res)
	case KindOCIBlob:
		return s.blobPlace(ctx, res)
	case KindHelm:
		return s.chartPlace(ctx, res)
	case KindWget:
		return &Place{Form: Stream}, nil
	}
	ref, err := s.artifactReference(kind, res.Access)
	if err != nil {
		return nil, err
	}
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(ctx, repo, ref, res)
	if err != nil {
		return nil, err
	}
	return artifactPlace(repo, ref, m), nil
}

func artifactPlace(repo oci.Storage, ref oci.Reference, m *oci.Manifest) *Place {
	return &Place{Form: Artifact, Repository: repo, MediaType: m.MediaType, Manifest: m, Hint: oci.Reference{Location: oci.Location{Path: ref.Path}, Tag: ref.Tag}.String()}
}

func (s *Source) localPlace(ctx context.Context, res *descriptor.Resource) (*Place, error) {
	spec, err := decodeLocal(res.Access)
	if err != nil {
		return nil, err
	}
	place := &Place{Form: Blobs, Repository: s.Repository, MediaType: spec.MediaType, Hint: spec.ReferenceName}
	if formOf(spec.MediaType) == nestedForm {
		place.Form = Artifact
		place.Manifest, err = s.readNested(ctx, res, spec)
		return place, err
	}
	local, err := s.locate(spec)
	if err != nil {
		return nil, err
	}
	for _, c := range local.chunks {
		place.Blobs = append(place.Blobs, ocispec.Descriptor{MediaType: local.mediaType, Digest: c.digest, Size: c.size})
	}
	place.MediaType = local.mediaType
	if formOf(spec.MediaType) == packedForm && !isDigestOf(res, local) {
		place.Form = Packed
		return place, nil
	}
	if res.Digest != nil && res.Digest.ForBlob() {
		_, err = blobDigest(res, local.own())
	}
	return place, err
}

func (s *Source) blobPlace(ctx context.Context, res *descriptor.Resource) (*Place, error) {
	b, err := s.blobOf(res)
	if err != nil {
		return nil, err
	}
	if b.Size < 0 {
		rc, size, err := b.repository.Blob(ctx, b.Digest, -1)
		if err != nil {
			return nil, err
		}
		rc.Close()
		if b.Size = size; size < 0 {
			return &Place{Form: Stream}, nil
		}
	}
	blob := ocispec.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size}
	return &Place{Form: Blobs, Repository: b.repository, MediaType: b.MediaType, Blobs: []ocispec.Descriptor{blob}}, nil
}

// chartPlace finds a chart. The digest of the resource tells whether it is the
// artifact in a registry, or the packed chart in it.
func (s *Source) chartPlace(ctx context.Context, res *descriptor.Resource) (*Place, error) {
	c, err := s.chartOf(res)
	if err != nil {
		return nil, err
	}
	if c.ref.Host == "" {
		return &Place{Form: Stream}, nil
	}
	repo, err := s.repository(c.ref)
	if err != nil {
		return nil, err
	}
	m, whole, err := readChart(ctx, repo, c.ref, res)
	if err != nil {
		return nil, err
	}
	if whole {
		return artifactPlace(repo, c.ref, m), nil
	}
	layer, err := contentLayer(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.ref, err)
	}
	return &Place{Form: Blobs, Repository: repo, MediaType: layer.MediaType, Blobs: []ocispec.Descriptor{layer}}, nil
}

// OpenPlace opens joined blobs, whose digests are compared.
func (s *Source) OpenPlace(ctx context.Context, p *Place) (io.ReadCloser, int64, error) {
	local := &localBlob{mediaType: p.MediaType}
	for _, b := range p.Blobs {
		local.chunks = append(local.chunks, chunk{digest: b.Digest, size: b.Size})
		local.size += b.Size
	}
	return s.openChunks(ctx, local)
}

// IsContentOf reports whether an artifact is what a resource promises. It is false
// for one that was packed into an archive, if the resource promises the archive.
func IsContentOf(res *descriptor.Resource, m *oci.Manifest) (bool, error) {
	wrong := checkPacked(res, &artifactset.Set{Main: m})
	if wrong == nil {
		return true, nil
	}
	if mayBeBytes(res, wrong) {
		return false, nil
	}
	return false, wrong
}

// NewArtifact returns the access of an artifact in a registry.
func NewArtifact(ref oci.Reference) (descriptor.Access, error) {
	text := ref.String()
	if ref.PlainHTTP {
		text = "http://" + text
	}
	return descriptor.NewAccess(OCIArtifact{Type: KindOCIArtifact, ImageReference: text})
}

// Absolute returns the access of an artifact in the registry of the component
// version in a form that means the same elsewhere. In an archive there is none.
func (s *Source) Absolute(a descriptor.Access) (descriptor.Access, bool, error) {
	kind, err := kindOf(a)
	if err != nil || kind != KindRelativeOCIReference {
		return a, true, nil //nolint:nilerr // what can't be read stays as it is
	}
	ref, err := s.artifactReference(kind, a)
	if err != nil || ref.Host == "" {
		return a, false, err
	}
	absolute, err := NewArtifact(ref)
	return absolute, true, err
}

// Reference returns where the artifact of an access is, and false if the access is
// none of an artifact.
func (s *Source) Reference(a descriptor.Access) (oci.Reference, bool, error) {
	kind, err := kindOf(a)
	if err != nil || kind != KindOCIArtifact && kind != KindRelativeOCIReference {
		return oci.Reference{}, false, err
	}
	ref, err := s.artifactReference(kind, a)
	return ref, err == nil, err
}
