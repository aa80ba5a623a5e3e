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
		return oci.Reference{}, malformed(err)
	}
	if here := s.Repository.Location(); strings.EqualFold(ref.Host, here.Host) {
		ref.Host, ref.PlainHTTP = here.Host, here.PlainHTTP
	}
	return ref, nil
}

func (s *Source) artifactReference(kind string, a descriptor.Access) (oci.Reference, error) {
	if kind == KindRelativeOCIReference {
		var spec RelativeOCIReference
		if err := decode(a, &spec); err != nil {
			return oci.Reference{}, err
		}
		ref, err := oci.ParseRelative(s.Repository.Location(), spec.Reference)
		return ref, malformed(err)
	}
	var spec OCIArtifact
	if err := decode(a, &spec); err != nil {
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
	if err := agree(ref.Digest, want, "the artifact its access names"); err != nil {
		return nil, err
	}
	m, err := repo.Manifest(ctx, want.String())
	missing := err
	if errors.Is(missing, oci.ErrNotFound) {
		// Either all is gone, or there is another artifact in its place.
		m, err = repo.Manifest(ctx, ref.Version())
	}
	if err == nil {
		err = checkArtifact(res, m, ref.String())
	}
	switch {
	case err != nil && errors.Is(missing, oci.ErrUnsure):
		return nil, missing
	case err != nil:
		return nil, err
	}
	return m, nil
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

// agree compares two digests of the same content, as far as that can be said
// without the content: those of another algorithm, or none, say nothing.
func agree(own, want digest.Digest, object string) error {
	if own == "" || want == "" || own == want || own.Algorithm() != want.Algorithm() {
		return nil
	}
	return &oci.DigestMismatchError{Object: object, Want: want.String(), Got: own.String()}
}

// artifactDigest returns the digest that the manifest of a resource must have,
// or nothing if the resource states none.
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
	want, err := res.Digest.OCI()
	return want, malformed(err)
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
		return ocispec.Descriptor{}, malformed(err)
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
			return ocispec.Descriptor{}, malformed(fmt.Errorf("the Helm chart has %d layers of type %s, it must have one", len(layers), helmChart))
		}
	}
	if len(layers) != 1 {
		return ocispec.Descriptor{}, &UnsupportedError{What: fmt.Sprintf("an image of %d layers as content", len(layers)), Advice: advice}
	}
	return layers[0], nil
}
