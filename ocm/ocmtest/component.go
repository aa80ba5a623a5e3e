package ocmtest

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// Component describes a component version to make.
type Component struct {
	// Name is the name of the component, as in acme.org/shop.
	Name string
	// Version is its version.
	Version string
	// Provider is who makes it, "ocmtest" if empty.
	Provider string
	// Labels are the labels of the component version.
	Labels []descriptor.Label
	// Resources are its resources.
	Resources []Resource
	// References are the component versions it contains.
	References []Reference
	// Signatures are made over the result, in this order. Every resource with
	// content must have a digest, and every reference.
	Signatures []Signature
	// Tamper changes what was signed, and the blobs.
	Tamper func(d *descriptor.Descriptor, blobs Blobs) error
}

// Resource describes a resource. Content makes it a local blob, Image an
// artifact in a registry, Access anything else.
type Resource struct {
	// Name is the name of the resource.
	Name string
	// Version is its version, that of the component if empty.
	Version string
	// Type is its type, "blob" or "ociImage" if empty.
	Type string
	// ExtraIdentity tells resources of one name apart.
	ExtraIdentity map[string]string
	// Labels are the labels of the resource.
	Labels []descriptor.Label

	// Content is the content of a local blob.
	Content []byte
	// MediaType is the media type of Content, application/octet-stream if
	// empty.
	MediaType string
	// Image is an image reference, with http:// in front for plain HTTP.
	Image string
	// Access is used as it is.
	Access *descriptor.Access

	// Digest replaces the digest, which is computed for Content only: that of an
	// image is what Artifact.Publish returns, by descriptor.NewArtifactDigest.
	Digest *descriptor.Digest
	// NoDigest leaves the digest out.
	NoDigest bool
	// Excluded leaves the content out of what is signed.
	Excluded bool
}

// Reference describes a reference to another component version.
type Reference struct {
	// Name is the name of the reference.
	Name string
	// Component is the name of the component.
	Component string
	// Version is its version.
	Version string
	// ExtraIdentity tells references of one name apart.
	ExtraIdentity map[string]string

	// To is the component version, in place of Component and Version. Its digest
	// becomes that of the reference.
	To *Component
	// Digest replaces the digest.
	Digest *descriptor.Digest
}

// Blobs are local blobs by their digest. They are an ocm.BlobSource.
type Blobs map[digest.Digest][]byte

// OpenBlob implements ocm.BlobSource.
func (b Blobs) OpenBlob(_ context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	content, ok := b[d]
	if !ok {
		return nil, 0, fmt.Errorf("blob %s: %w", d, ocm.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

// Build returns the descriptor and the local blobs.
func (c Component) Build() (*descriptor.Descriptor, Blobs, error) {
	d := &descriptor.Descriptor{Schema: descriptor.SchemaV2}
	d.Component.Name, d.Component.Version = c.Name, c.Version
	d.Component.Provider.Name = orDefault(c.Provider, "ocmtest")
	d.Component.Labels = c.Labels
	blobs := Blobs{}
	for _, r := range c.Resources {
		res, err := r.build(c.Version, blobs)
		if err != nil {
			return nil, nil, fmt.Errorf("resource %s: %w", r.Name, err)
		}
		d.Component.Resources = append(d.Component.Resources, *res)
	}
	for _, r := range c.References {
		reference, err := r.build()
		if err != nil {
			return nil, nil, fmt.Errorf("reference %s: %w", r.Name, err)
		}
		d.Component.References = append(d.Component.References, *reference)
	}
	if err := d.Validate(); err != nil {
		return nil, nil, err
	}
	for _, s := range c.Signatures {
		if err := s.sign(d); err != nil {
			return nil, nil, err
		}
	}
	if c.Tamper != nil {
		if err := c.Tamper(d, blobs); err != nil {
			return nil, nil, fmt.Errorf("tamper with %s:%s: %w", c.Name, c.Version, err)
		}
	}
	return d, blobs, nil
}

// Publish writes the component version into the repository at a URL, replacing
// what is there, and returns the digest of its manifest.
func (c Component) Publish(ctx context.Context, url string, o ocm.Options) (digest.Digest, error) {
	d, blobs, err := c.Build()
	if err != nil {
		return "", err
	}
	repo, err := ocm.Open(url, o)
	if err != nil {
		return "", err
	}
	return repo.Put(ctx, d, blobs, ocm.PutOptions{Overwrite: true})
}

func (r Resource) build(version string, blobs Blobs) (*descriptor.Resource, error) {
	res := &descriptor.Resource{
		Element: descriptor.Element{
			Name:          r.Name,
			Version:       orDefault(r.Version, version),
			ExtraIdentity: r.ExtraIdentity,
			Labels:        r.Labels,
		},
		Relation: descriptor.ExternalRelation,
	}
	var err error
	switch {
	case r.Access != nil:
		res.Type, res.Access = orDefault(r.Type, "blob"), *r.Access
	case r.Image != "":
		res.Type = orDefault(r.Type, "ociImage")
		res.Access, err = descriptor.NewAccess(access.OCIArtifact{Type: access.KindOCIArtifact, ImageReference: r.Image})
	default:
		dgst := digest.FromBytes(r.Content)
		blobs[dgst] = r.Content
		res.Type, res.Relation = orDefault(r.Type, "blob"), descriptor.LocalRelation
		res.Access, err = access.NewLocalBlob(dgst, orDefault(r.MediaType, "application/octet-stream"))
		if !r.NoDigest {
			res.Digest = descriptor.NewBlobDigest(dgst)
		}
	}
	if r.Excluded {
		res.Digest = &descriptor.Digest{
			HashAlgorithm:          descriptor.NoDigest,
			NormalisationAlgorithm: descriptor.ExcludeFromSignature,
			Value:                  descriptor.NoDigest,
		}
	}
	if r.Digest != nil {
		res.Digest = r.Digest
	}
	return res, err
}

func (r Reference) build() (*descriptor.Reference, error) {
	ref := &descriptor.Reference{
		Element:       descriptor.Element{Name: r.Name, Version: r.Version, ExtraIdentity: r.ExtraIdentity},
		ComponentName: r.Component,
	}
	if r.To != nil {
		d, _, err := r.To.Build()
		if err != nil {
			return nil, err
		}
		dgst, err := normalize.Digest(d, descriptor.SHA256, normalize.V3)
		if err != nil {
			return nil, err
		}
		ref.ComponentName, ref.Version, ref.Digest = d.Component.Name, d.Component.Version, &dgst
	}
	if r.Digest != nil {
		ref.Digest = r.Digest
	}
	return ref, nil
}

func orDefault(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
