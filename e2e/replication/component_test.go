package replication

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

const (
	// signature is the name of the signature of every component, and signer who makes it.
	signature, signer = "release", "release"
	// sourcePath and targetPath are where repositories of components are in a registry.
	sourcePath, targetPath = "source", "mirror"
)

// component says what a component version is made of: files, an image for two platforms, a chart in the registry, and a chart among its
// files. It refers to a library, and that to a base, which is the same for all versions.
type component struct {
	name, version string
	// seed tells the content, so that each version has its own; zero is a number that the version has.
	seed uint64
	// size is that of a file or a layer, 1 KiB if zero.
	size int
}

// library and base are what components refer to.
func (c component) library() string { return c.name + "/library" }
func (c component) base() string    { return c.name + "/base" }

// image and chart are the repositories of its artifacts.
func (c component) image() string { return "images/" + path.Base(c.name) }
func (c component) chart() string { return "charts/" + path.Base(c.name) }

// names are the names of all components.
func (c component) names() []string { return []string{c.name, c.library(), c.base()} }

// bytes returns content that nobody else has.
func (c component) bytes(what string) []byte {
	seed := digest.FromString(fmt.Sprintf("%s %s %d %s", c.name, c.version, c.seed, what))
	content := make([]byte, max(1024, c.size))
	_, _ = rand.NewChaCha8([32]byte([]byte(seed.Encoded())[:32])).Read(content) // it returns no error
	return content
}

// at is where a component is published: in the registry behind a gate, with the address of the gate in its references.
type at struct {
	gate *gate
	path string
	// access is how the registry takes it.
	access ocm.Options
}

// login returns the options for a registry that wants credentials.
func login(host, user, password string) ocm.Options {
	return ocm.Options{Credentials: credentials.FromBasic(host, user, password)}
}

// publish publishes a component version with all that it refers to, in place of what is there, and returns the digest of its manifest.
// It goes past the gate.
func (c component) publish(t *testing.T, to at) digest.Digest {
	t.Helper()
	image, err := c.pushImage(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	archive := c.bytes("chart")
	chart, err := ocmtest.Chart("app", c.version, archive).Publish(t.Context(), to.reference(to.gate.direct, c.chart(), c.version), to.access)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := ocmtest.SignerOf(t, signer)
	base := ocmtest.Component{Name: c.base(), Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "file", Content: component{name: c.name, size: c.size}.bytes("base")}}}
	library := ocmtest.Component{
		Name: c.library(), Version: c.version,
		Resources:  []ocmtest.Resource{{Name: "file", Content: c.bytes("library")}},
		References: []ocmtest.Reference{{Name: "base", To: &base}},
	}
	root := ocmtest.Component{
		Name: c.name, Version: c.version,
		Resources: []ocmtest.Resource{
			{Name: "first", Content: c.bytes("first")},
			{Name: "second", Content: c.bytes("second")},
			{Name: "packed-chart", Type: "helmChart", MediaType: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", Content: archive},
			{Name: "image", Image: to.reference(to.gate.host, c.image(), c.version), Digest: descriptor.NewArtifactDigest(image)},
			{Name: "chart", Type: "helmChart", Image: to.reference(to.gate.host, c.chart(), c.version), Digest: descriptor.NewArtifactDigest(chart)},
		},
		References: []ocmtest.Reference{{Name: "library", To: &library}},
		Signatures: []ocmtest.Signature{{Name: signature, Signer: key}},
	}
	var pushed digest.Digest
	for _, one := range []ocmtest.Component{base, library, root} {
		if pushed, err = one.Publish(t.Context(), "http://"+to.gate.direct+"/"+to.path, to.access); err != nil {
			t.Fatal(err)
		}
	}
	return pushed
}

// reference names an artifact of the registry by one of its hosts.
func (to at) reference(host, repository, tag string) string {
	return fmt.Sprintf("http://%s/%s/%s:%s", host, to.path, repository, tag)
}

// repository opens a repository of the registry, past the gate.
func (to at) repository(repository string) (*oci.Repository, error) {
	ref, err := oci.ParseReference("http://" + to.gate.direct + "/" + to.path + "/" + repository)
	if err != nil {
		return nil, err
	}
	return oci.NewClient(oci.Options{Home: ref.Host, Credentials: to.access.Credentials}).Repository(ref.Location)
}

// pushImage pushes an image for two platforms. They share a layer, which all versions have.
func (c component) pushImage(ctx context.Context, to at) (digest.Digest, error) {
	repository, err := to.repository(c.image())
	if err != nil {
		return "", err
	}
	blob := func(mediaType string, content []byte) (ocispec.Descriptor, error) {
		desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
		return desc, repository.PushBlob(ctx, desc, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	}
	manifest := func(mediaType string, value any, tag string) (ocispec.Descriptor, error) {
		body, err := json.Marshal(value)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		d, err := repository.PushManifest(ctx, mediaType, body, tag)
		return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(body))}, err
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, architecture := range []string{"amd64", "arm64"} {
		m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
		config := fmt.Sprintf(`{"architecture":%q,"os":"linux","config":{"Labels":{"version":%q}},"rootfs":{"type":"layers","diff_ids":[]}}`, architecture, c.version)
		if m.Config, err = blob(ocispec.MediaTypeImageConfig, []byte(config)); err != nil {
			return "", err
		}
		for _, content := range [][]byte{component{name: c.name, size: c.size}.bytes("layer"), c.bytes(architecture)} {
			layer, err := blob(ocispec.MediaTypeImageLayerGzip, content)
			if err != nil {
				return "", err
			}
			m.Layers = append(m.Layers, layer)
		}
		desc, err := manifest(m.MediaType, m, c.version+"-"+architecture)
		if err != nil {
			return "", err
		}
		desc.Platform = &ocispec.Platform{OS: "linux", Architecture: architecture}
		index.Manifests = append(index.Manifests, desc)
	}
	desc, err := manifest(index.MediaType, index, c.version)
	return desc.Digest, err
}

// versions reads what component versions refer to out of one repository.
type versions struct{ *ocm.Repository }

// Version implements verify.Source.
func (v versions) Version(ctx context.Context, component, version string) (verify.Version, error) {
	return v.Get(ctx, component, version)
}

// proves verifies a component version where it was copied to, with every byte of it, past the gate: nothing is read elsewhere.
func (c component) proves(t *testing.T, where at) {
	t.Helper()
	repository, err := ocm.Open("http://"+where.gate.host+"/"+where.path, where.access)
	if err != nil {
		t.Fatal(err)
	}
	root, err := repository.Get(t.Context(), c.name, c.version)
	if err != nil {
		t.Fatal(err)
	}
	for i := range root.Descriptor().Component.Resources {
		resource := &root.Descriptor().Component.Resources[i]
		if resource.Type != "ociImage" {
			continue
		}
		reference, err := root.ImageReference(resource)
		if err != nil {
			t.Fatal(err)
		}
		if ref, err := oci.ParseReference("http://" + reference); err != nil || ref.Host != where.gate.host {
			t.Errorf("%s %s: image %s is still elsewhere than %s (%v)", c.name, c.version, reference, where.gate.host, err)
		}
	}
	_, public := ocmtest.SignerOf(t, signer)
	keys, err := signing.ParsePublicKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := verify.Verify(t.Context(), versions{repository}, root, []signing.Request{{Name: signature, Keys: keys}}, verify.Options{})
	if err != nil {
		t.Errorf("%s %s at %s: %v", c.name, c.version, repository.URL(), err)
		return
	}
	if len(proof.Versions) != len(c.names()) {
		t.Errorf("%s %s at %s: %d component versions are proven, want %d", c.name, c.version, repository.URL(), len(proof.Versions), len(c.names()))
	}
}

// publicKey is the key of the signer, as specs have it.
func publicKey(t *testing.T) string {
	t.Helper()
	_, public := ocmtest.SignerOf(t, signer)
	return base64.StdEncoding.EncodeToString(public)
}
