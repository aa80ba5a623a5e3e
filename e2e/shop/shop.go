// Package shop makes versions of a signed component for tests that copy components: it refers to a second one, which refers
// to a third, and together they have what components are made of: manifests with rules for them, images for several platforms
// in the formats of OCI and of Docker, a Helm chart, and data. Most of a version is the same in the next one.
package shop

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
)

// Names of the components, and of the signature of the first.
const (
	Name        = "acme.org/shop"
	BackendName = "acme.org/shop-backend"
	DataName    = "acme.org/shop-data"
	Signature   = "release"
)

// Sizes of what stays the same in each version, and of what is new.
const (
	baseBytes  = 512 << 10
	ownBytes   = 32 << 10
	chartBytes = 16 << 10
	dataBytes  = 768 << 10
)

// Options say where a version is made, and what.
type Options struct {
	// URL is the repository, with http:// in front for plain HTTP.
	URL string
	// Version is the version of all components.
	Version string
	// Seed is what contents are made of: with another one no content is the same.
	Seed string
	// Signer signs the first component; nobody does when nil.
	Signer *signing.Signer
	// Access is how the repository is reached.
	Access ocm.Options
}

// Made is a version that was published.
type Made struct {
	// Images are the references of the images as pods need them, by the name of the resource.
	Images map[string]string
	// Blobs are the sizes of all blobs of contents.
	Blobs map[digest.Digest]int64
	// Manifests are the bytes of all manifests of images and charts.
	Manifests map[digest.Digest][]byte
	// Root is the digest of the manifest of the first component version.
	Root digest.Digest
}

// Changed returns how many bytes of blobs the version has that another one has not.
func (m *Made) Changed(since *Made) int64 {
	var bytes int64
	for d, size := range m.Blobs {
		if _, had := since.Blobs[d]; !had {
			bytes += size
		}
	}
	return bytes
}

// Bytes returns how many bytes all blobs have.
func (m *Made) Bytes() int64 { return m.Changed(&Made{}) }

// Publish publishes a version, with everything that it refers to.
func Publish(ctx context.Context, o Options) (*Made, error) {
	p := &publisher{Options: o, made: &Made{Images: map[string]string{}, Blobs: map[digest.Digest]int64{}, Manifests: map[digest.Digest][]byte{}}}
	components, err := p.components(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range components {
		if p.made.Root, err = c.Publish(ctx, o.URL, o.Access); err != nil {
			return nil, fmt.Errorf("publish %s %s: %w", c.Name, c.Version, err)
		}
	}
	return p.made, nil
}

type publisher struct {
	Options

	made *Made
}

// components pushes images and charts, and returns the components in the order in which they are to be published.
func (p *publisher) components(ctx context.Context) ([]ocmtest.Component, error) {
	var resources [3]ocmtest.Resource
	for i, push := range []func(context.Context) (ocmtest.Resource, error){
		func(ctx context.Context) (ocmtest.Resource, error) { return p.image(ctx, "web", false) },
		func(ctx context.Context) (ocmtest.Resource, error) { return p.image(ctx, "worker", true) },
		p.chart,
	} {
		var err error
		if resources[i], err = push(ctx); err != nil {
			return nil, err
		}
	}
	web, worker, chart := resources[0], resources[1], resources[2]
	manifests, err := pack(map[string]string{"deployment.yaml": p.fill(deployment), "configmap.yaml": p.fill(configMap)})
	if err != nil {
		return nil, err
	}
	data := ocmtest.Component{
		Name: DataName, Version: p.Version, Provider: "acme.org",
		Resources: []ocmtest.Resource{p.blob("catalogue", "application/octet-stream", p.filling("catalogue", dataBytes))},
	}
	backend := ocmtest.Component{
		Name: BackendName, Version: p.Version, Provider: "acme.org", Resources: []ocmtest.Resource{worker, chart},
		References: []ocmtest.Reference{{Name: "data", To: &data}},
	}
	root := ocmtest.Component{
		Name: Name, Version: p.Version, Provider: "acme.org",
		Resources: []ocmtest.Resource{
			p.blob("manifests", "application/x-tar", manifests), p.blob("config", "application/x-yaml", []byte(rules)), web,
		},
		References: []ocmtest.Reference{{Name: "backend", To: &backend}},
	}
	if p.Signer != nil {
		root.Signatures = []ocmtest.Signature{{Name: Signature, Signer: p.Signer}}
	}
	return []ocmtest.Component{data, backend, root}, nil
}

func (p *publisher) blob(name, mediaType string, content []byte) ocmtest.Resource {
	p.count(content)
	return ocmtest.Resource{Name: name, MediaType: mediaType, Content: content}
}

func (p *publisher) count(content []byte) digest.Digest {
	d := digest.FromBytes(content)
	p.made.Blobs[d] = int64(len(content))
	return d
}

func (p *publisher) fill(text string) string {
	return strings.ReplaceAll(text, "${VERSION}", p.Version)
}

// filling makes bytes that don't compress, the same for the same name.
func (p *publisher) filling(name string, size int) []byte {
	content := make([]byte, size)
	measure.Fill(content, 1, digest.FromString(p.Seed + "/" + name).Encoded()[:16], 0)
	return content
}

// pack makes a tar, the same for the same files.
func pack(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, name := range []string{"configmap.yaml", "deployment.yaml"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// artifactResource is a resource that is an artifact in a registry.
func (p *publisher) artifactResource(name, kind, reference string, manifest digest.Digest) ocmtest.Resource {
	return ocmtest.Resource{Name: name, Type: kind, Image: reference + "@" + manifest.String(), Digest: descriptor.NewArtifactDigest(manifest)}
}
