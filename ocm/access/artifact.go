package access

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Media types of Helm charts in registries.
const (
	helmConfig = "application/vnd.cncf.helm.config.v1+json"
	helmChart  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// parse reads an image reference. The registry of the component is spoken to
// the way its URL says, because references to it often leave the scheme out.
func (s *Source) parse(reference string) (oci.Reference, error) {
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return oci.Reference{}, err
	}
	if here := s.Repository.Location(); strings.EqualFold(ref.Host, here.Host) {
		ref.Host, ref.PlainHTTP = here.Host, here.PlainHTTP
	}
	return ref, nil
}

func (s *Source) artifactReference(kind string, a descriptor.Access) (oci.Reference, error) {
	if kind == KindRelativeOCIReference {
		var spec RelativeOCIReference
		if err := a.Decode(&spec); err != nil {
			return oci.Reference{}, err
		}
		return oci.ParseRelative(s.Repository.Location(), spec.Reference)
	}
	var spec OCIArtifact
	if err := a.Decode(&spec); err != nil {
		return oci.Reference{}, err
	}
	return s.parse(spec.ImageReference)
}

// repository returns the repository of a reference. One without a host is where
// the component version is, in an archive.
func (s *Source) repository(ref oci.Reference) (oci.Storage, error) {
	if ref.Host == "" {
		return s.Sibling(ref.Path)
	}
	if ref.Host == s.Repository.Location().Host {
		return s.Client.Repository(ref.Location)
	}
	return s.Client.ForeignRepository(ref.Location)
}

// openArtifact opens the layer that is the content of an artifact.
func (s *Source) openArtifact(ctx context.Context, res *descriptor.Resource, ref oci.Reference) (*Blob, error) {
	repo, err := s.repository(ref)
	if err != nil {
		return nil, err
	}
	manifest, err := readManifest(ctx, repo, ref, res)
	if err != nil {
		return nil, err
	}
	blob, err := openContent(ctx, repo, manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	return blob, nil
}

// openContent opens the layer of an artifact that is its content.
func openContent(ctx context.Context, repo oci.Storage, m *oci.Manifest) (*Blob, error) {
	layer, err := contentLayer(m)
	if err != nil {
		return nil, err
	}
	rc, size, err := repo.Blob(ctx, layer.Digest, layer.Size)
	if err != nil {
		return nil, err
	}
	return &Blob{ReadCloser: rc, MediaType: layer.MediaType, Size: size, Digest: layer.Digest}, nil
}

// readManifest reads the manifest by the digest the resource states, and by
// what its access says only when the resource states none.
func readManifest(ctx context.Context, repo oci.Storage, ref oci.Reference, res *descriptor.Resource) (*oci.Manifest, error) {
	want, err := artifactDigest(res)
	if err != nil {
		return nil, err
	}
	if want == "" {
		return repo.Manifest(ctx, ref.Version())
	}
	if ref.Digest != "" && ref.Digest.Algorithm() == want.Algorithm() && ref.Digest != want {
		return nil, &oci.DigestMismatchError{Object: ref.String(), Want: want.String(), Got: ref.Digest.String()}
	}
	m, err := repo.Manifest(ctx, want.String())
	if !errors.Is(err, oci.ErrNotFound) {
		return m, err
	}
	// Either all is gone, or there is another artifact in its place.
	other, tagErr := repo.Manifest(ctx, ref.Version())
	if tagErr != nil {
		return nil, tagErr
	}
	if err := checkArtifact(res, other, ref.String()); err != nil {
		return nil, err
	}
	return other, nil
}

// checkArtifact compares a manifest with the digest the resource states.
func checkArtifact(res *descriptor.Resource, m *oci.Manifest, object string) error {
	want, err := artifactDigest(res)
	if err != nil || want == "" {
		return err
	}
	if got := want.Algorithm().FromBytes(m.Bytes); got != want {
		return &oci.DigestMismatchError{Object: object, Want: want.String(), Got: got.String()}
	}
	return nil
}

func artifactDigest(res *descriptor.Resource) (digest.Digest, error) {
	if res.Digest == nil || res.Digest.Excluded() {
		return "", nil
	}
	if !res.Digest.ForArtifact() {
		return "", &UnsupportedError{
			What:   fmt.Sprintf("an OCI artifact with a digest of kind %q", res.Digest.NormalisationAlgorithm),
			Advice: "its digest must be of kind " + descriptor.OCIArtifactDigest,
		}
	}
	return res.Digest.OCI()
}

// contentLayer picks the layer that is the content: the chart of a Helm chart,
// or the only layer of anything else.
func contentLayer(m *oci.Manifest) (ocispec.Descriptor, error) {
	const advice = "images are used by localization rules, which need their reference only"
	if m.IsIndex() {
		return ocispec.Descriptor{}, &UnsupportedError{What: "an image for several platforms as content", Advice: advice}
	}
	if !m.IsImage() {
		return ocispec.Descriptor{}, &UnsupportedError{
			What:   fmt.Sprintf("a manifest of media type %q", m.MediaType),
			Advice: "publish the resource as an OCI artifact",
		}
	}
	image, err := m.Image()
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	layers := image.Layers
	if image.Config.MediaType == helmConfig {
		layers = nil
		for _, l := range image.Layers {
			if l.MediaType == helmChart {
				layers = append(layers, l)
			}
		}
		if len(layers) != 1 {
			return ocispec.Descriptor{}, fmt.Errorf("the Helm chart has %d layers of type %s, it must have one", len(layers), helmChart)
		}
	}
	if len(layers) != 1 {
		return ocispec.Descriptor{}, &UnsupportedError{What: fmt.Sprintf("an image of %d layers as content", len(layers)), Advice: advice}
	}
	return layers[0], nil
}

// ImageReference returns the reference to put into a pod: host, path, and tag
// or digest as the access states them, without a scheme.
func (s *Source) ImageReference(res *descriptor.Resource) (string, error) {
	ref, err := s.imageReference(res, res.Access, false)
	if err != nil {
		return "", s.wrap(res, err)
	}
	return ref, nil
}

func (s *Source) imageReference(res *descriptor.Resource, a descriptor.Access, global bool) (string, error) {
	kind, err := kindOf(a)
	if err != nil {
		return "", err
	}
	switch kind {
	case KindOCIBlob:
		var spec OCIBlob
		if err := a.Decode(&spec); err != nil {
			return "", err
		}
		ref, err := s.parse(spec.Reference)
		if err != nil {
			return "", err
		}
		if err := spec.Digest.Validate(); err != nil {
			return "", fmt.Errorf("digest %q: %w", spec.Digest, err)
		}
		ref.Tag, ref.Digest = "", spec.Digest
		return ref.String(), nil
	case KindLocalBlob:
		return s.localReference(res, a, global)
	case KindHelm, KindWget:
		return "", &UnsupportedError{
			What:   fmt.Sprintf("an image reference for access of kind %q", a.Type),
			Advice: "localization rules need a resource that is an image in a registry",
		}
	}
	ref, err := s.artifactReference(kind, a)
	if err != nil {
		return "", err
	}
	if ref.Host == "" {
		return "", &UnsupportedError{What: "an image reference into an archive", Advice: "transfer the component version into a registry"}
	}
	return ref.String(), nil
}

// localReference returns the reference of an image that is stored with the
// component version: what its access says about another place, or the
// repository of the component version itself.
func (s *Source) localReference(res *descriptor.Resource, a descriptor.Access, global bool) (string, error) {
	spec, err := decodeLocal(a)
	if err != nil {
		return "", err
	}
	if spec.GlobalAccess != nil && spec.GlobalAccess.Type != "" && !global {
		return s.imageReference(res, *spec.GlobalAccess, true)
	}
	here := s.Repository.Location()
	if global || formOf(spec.MediaType) != nestedForm || here.Host == "" {
		return "", &UnsupportedError{
			What:   "an image reference for a local blob without globalAccess",
			Advice: "transfer the component version by value, so that images are stored as images",
		}
	}
	d, err := s.nested(spec)
	if err != nil {
		return "", err
	}
	want, err := artifactDigest(res)
	if err != nil {
		return "", err
	}
	if want != "" && want.Algorithm() == d.Algorithm() && want != d {
		return "", &oci.DigestMismatchError{Object: "the artifact its access names", Want: want.String(), Got: d.String()}
	}
	return oci.Reference{Location: here, Digest: d}.String(), nil
}
