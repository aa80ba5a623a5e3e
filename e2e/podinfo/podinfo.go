// Package podinfo makes versions of the sample component that the demo and the end-to-end tests deliver: manifests, a
// ConfigData with rules for them, an image, and a reference to a second component. Every file of a version, and its
// image, carry that version, so that a mixture of two versions is seen.
package podinfo

import (
	"archive/tar"
	"bytes"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// Names of the component, of the component that it refers to, and of that reference.
const (
	Name          = "phoban.io/podinfo"
	BackendName   = "phoban.io/podinfo-backend"
	BackendRef    = "backend"
	mediaTypeTar  = "application/x-tar"
	mediaTypeYAML = "application/x-yaml"
)

//go:embed component
var content embed.FS

// Options say what a version is made of.
type Options struct {
	// Version is the version of the component.
	Version string
	// ImageRegistry is where the image is said to be, as in ghcr.io/acme, with http:// in front for plain HTTP. If the version is
	// signed it is pushed there, as a manifest without layers; else it is never read.
	ImageRegistry string
	// Config replaces the ConfigData. ${VERSION} in it becomes the version.
	Config string
	// Signatures are made over the component version.
	Signatures []ocmtest.Signature
	// Tamper changes the component version after it was signed.
	Tamper func(d *descriptor.Descriptor, blobs ocmtest.Blobs) error
}

// Image returns the reference of the image of a version, as a pod needs it.
func (o Options) Image() string { return strings.TrimPrefix(o.imageReference(), "http://") }

// PinnedImage returns it with the digest of the image, as a pod gets it from a version that was verified.
func (o Options) PinnedImage() (string, error) {
	d, err := o.imageDigest()
	return o.Image() + "@" + d.String(), err
}

func (o Options) imageReference() string {
	return o.ImageRegistry + "/podinfo:" + strings.ReplaceAll(o.Version, "+", "-")
}

// image is an image to look at, not to run.
func (o Options) image() ocmtest.Artifact {
	return ocmtest.Artifact{Config: []byte(fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Labels":{"version":%q}}}`, o.Version))}
}

func (o Options) imageDigest() (digest.Digest, error) {
	manifest, _, err := o.image().Manifest()
	return digest.FromBytes(manifest), err
}

// Components returns the component version and the one it refers to, in the order in which they are to be published.
func Components(o Options) ([]ocmtest.Component, error) {
	manifests, err := directory("component/manifests", o.Version)
	if err != nil {
		return nil, err
	}
	backend, err := directory("component/backend", o.Version)
	if err != nil {
		return nil, err
	}
	config := o.Config
	if config == "" {
		raw, err := content.ReadFile("component/config.yaml")
		if err != nil {
			return nil, fmt.Errorf("read the ConfigData: %w", err)
		}
		config = string(raw)
	}
	image, err := o.imageDigest()
	if err != nil {
		return nil, err
	}
	nested := ocmtest.Component{
		Name: BackendName, Version: o.Version, Provider: "phoban.io",
		Resources: []ocmtest.Resource{{Name: "manifests", Type: "Directory", MediaType: mediaTypeTar, Content: backend}},
	}
	return []ocmtest.Component{
		nested,
		{
			Name: Name, Version: o.Version, Provider: "phoban.io",
			Resources: []ocmtest.Resource{
				{Name: "manifests", Type: "Directory", MediaType: mediaTypeTar, Content: manifests},
				{Name: "config", Type: "PlainText", MediaType: mediaTypeYAML, Content: []byte(fill(config, o.Version))},
				{Name: "image", Image: o.imageReference(), Digest: descriptor.NewArtifactDigest(image)},
			},
			References: []ocmtest.Reference{{Name: BackendRef, To: &nested}},
			Signatures: o.Signatures,
			Tamper:     o.Tamper,
		},
	}, nil
}

// Publish writes the component version and the one it refers to into the repository at a URL.
func Publish(ctx context.Context, url string, o Options, access ocm.Options) error {
	components, err := Components(o)
	if err != nil {
		return err
	}
	if len(o.Signatures) > 0 {
		if _, err := o.image().Publish(ctx, o.imageReference(), access); err != nil {
			return fmt.Errorf("push the image %s: %w", o.imageReference(), err)
		}
	}
	for _, c := range components {
		if _, err := c.Publish(ctx, url, access); err != nil {
			return fmt.Errorf("publish %s %s: %w", c.Name, c.Version, err)
		}
	}
	return nil
}

// directory packs a folder, with the version filled in.
func directory(name, version string) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	entries, err := fs.ReadDir(content, name)
	if err != nil {
		return nil, fmt.Errorf("read the sample component: %w", err)
	}
	for _, entry := range entries {
		raw, err := fs.ReadFile(content, name+"/"+entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read the sample component: %w", err)
		}
		file := fill(string(raw), version)
		if err := w.WriteHeader(&tar.Header{Name: entry.Name(), Mode: 0o644, Size: int64(len(file))}); err != nil {
			return nil, fmt.Errorf("pack %s: %w", entry.Name(), err)
		}
		if _, err := w.Write([]byte(file)); err != nil {
			return nil, fmt.Errorf("pack %s: %w", entry.Name(), err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack %s: %w", name, err)
	}
	return out.Bytes(), nil
}

func fill(text, version string) string { return strings.ReplaceAll(text, "${VERSION}", version) }
