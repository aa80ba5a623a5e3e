package access

import (
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// ImageReference returns the reference to put into a pod: host, path, and tag
// or digest as the access states them, without a scheme. A digest in the access
// must be the one that the resource states.
func (s *Source) ImageReference(res *descriptor.Resource) (string, error) {
	want, err := imageDigest(res)
	if err != nil {
		return "", s.wrap(res, err)
	}
	ref, err := s.imageReference(res.Access, want, false)
	if err != nil {
		return "", s.wrap(res, err)
	}
	return ref.String(), nil
}

// PinnedImageReference is like ImageReference, but with the digest that the
// resource states. It is ErrNoDigest for a resource without one.
func (s *Source) PinnedImageReference(res *descriptor.Resource) (string, error) {
	if err := checkable(res); err != nil {
		return "", s.wrap(res, err)
	}
	want, err := imageDigest(res)
	if err != nil {
		return "", s.wrap(res, err)
	}
	if want == "" {
		return "", s.wrap(res, &UnsupportedError{
			What:   "an image reference for a resource whose digest is that of an archive",
			Advice: "publish it with the digest of the image, " + descriptor.OCIArtifactDigest,
		})
	}
	ref, err := s.imageReference(res.Access, want, false)
	if err != nil {
		return "", s.wrap(res, err)
	}
	ref.Digest = want
	return ref.String(), nil
}

// imageDigest returns the digest that an image must have. It is empty if the
// resource says nothing about that: where its digest is the one of the bytes of
// a local blob, the image is another thing.
func imageDigest(res *descriptor.Resource) (digest.Digest, error) {
	want, err := artifactDigest(res)
	if err != nil || want == "" || !res.Digest.ForBlob() {
		return want, err
	}
	local, is, err := DecodeLocal(res.Access)
	if err != nil || !is {
		return want, err
	}
	what := formOf(local.MediaType)
	if what == plainForm {
		return "", nil
	}
	chunks, err := local.Chunks()
	if err != nil || what == packedForm && len(chunks) == 1 && chunks[0] == want {
		return "", err
	}
	return want, nil
}

func (s *Source) imageReference(a descriptor.Access, want digest.Digest, global bool) (oci.Reference, error) {
	kind, err := kindOf(a)
	if err != nil {
		return oci.Reference{}, err
	}
	var ref oci.Reference
	switch kind {
	case KindOCIBlob:
		ref, err = s.blobReference(a)
	case KindLocalBlob:
		return s.localReference(a, want, global)
	case KindHelm, KindWget:
		return oci.Reference{}, &UnsupportedError{
			What:   fmt.Sprintf("an image reference for access of kind %q", a.Type),
			Advice: "localization rules need a resource that is an image in a registry",
		}
	default:
		ref, err = s.artifactReference(kind, a)
	}
	if err != nil {
		return oci.Reference{}, err
	}
	if ref.Host == "" {
		return oci.Reference{}, &UnsupportedError{What: "an image reference into an archive", Advice: "transfer the component version into a registry"}
	}
	return ref, agree(ref.Digest, want, "the image its access names")
}

// blobReference returns the reference of one blob of a registry.
func (s *Source) blobReference(a descriptor.Access) (oci.Reference, error) {
	var spec OCIBlob
	if err := decode(a, &spec); err != nil {
		return oci.Reference{}, err
	}
	ref, err := s.parse(spec.Reference)
	if err != nil {
		return oci.Reference{}, err
	}
	if err := spec.Digest.Validate(); err != nil {
		return oci.Reference{}, malformed(fmt.Errorf("digest %q: %w", spec.Digest, err))
	}
	ref.Tag, ref.Digest = "", spec.Digest
	return ref, nil
}

// localReference returns the reference of an image that is stored with the
// component version: what its access says about another place, or the
// repository of the component version itself.
func (s *Source) localReference(a descriptor.Access, want digest.Digest, global bool) (oci.Reference, error) {
	spec, err := decodeLocal(a)
	if err != nil {
		return oci.Reference{}, err
	}
	if spec.GlobalAccess != nil && spec.GlobalAccess.Type != "" && !global {
		return s.imageReference(*spec.GlobalAccess, want, true)
	}
	here := s.Repository.Location()
	if global || formOf(spec.MediaType) != nestedForm || here.Host == "" {
		return oci.Reference{}, &UnsupportedError{
			What:   "an image reference for a local blob without globalAccess",
			Advice: "transfer the component version by value, so that images are stored as images",
		}
	}
	d, err := s.nested(spec)
	if err != nil {
		return oci.Reference{}, err
	}
	return oci.Reference{Location: here, Digest: d}, agree(d, want, "the artifact its access names")
}
