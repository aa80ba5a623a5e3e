package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// artifactPlace is where an artifact is put that has a repository of its own.
type artifactPlace struct {
	storage oci.Storage
	// wanted is the tag that it had, tag the one that it gets.
	wanted, tag string
	// leads is what the wanted tag leads to at the target; empty if there is none.
	leads digest.Digest
}

// advise says how to go on without the content of an element that can't be read.
func advise(e *element, err error) error {
	if e.kind != "resource" || !errors.Is(err, ocm.ErrUnsupported) {
		return err
	}
	return fmt.Errorf("%w; or leave it where it is: omit access of type %s, or resources of type %s", err, e.res.Access.Kind(), e.res.Type)
}

// artifact keeps an OCI artifact, in a repository of its own or beside the
// component version.
func (r *run) artifact(ctx context.Context, e *element, place *access.Place) error {
	var err error
	if e.tree, err = r.trees.of(ctx, place.Repository, place.Manifest); err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	e.from = place.Repository
	return r.settle(ctx, e, place.Hint)
}

// settle decides where the tree of an element is put: where it is at the target
// already, or as the options say.
func (r *run) settle(ctx context.Context, e *element, hint string) error {
	root := e.tree.Root()
	if e.nestedThere(root.Digest) {
		there, _ := e.there()
		e.access = there.access
		return nil
	}
	separate, err := r.separate(ctx, e, hint)
	if err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	if e.separate = separate; separate != nil {
		return nil
	}
	if r.options.Artifacts == PackedArtifacts {
		return r.pack(ctx, e, hint)
	}
	e.access, err = descriptor.NewAccess(access.LocalBlob{
		Type: access.KindLocalBlob, LocalReference: root.Digest.String(), MediaType: root.MediaType, ReferenceName: hint,
	})
	return err
}

// separate returns the place of an artifact that has a repository of its own, or nil
// if it is to have none, or nothing says a name that it can have.
func (r *run) separate(ctx context.Context, e *element, hint string) (*artifactPlace, error) {
	d := e.tree.Root().Digest
	if ref, ok := e.placeThere(); ok {
		if p, err := r.placeOf(ctx, ref.Path, ref.Tag); err != nil || p.free(p.leads, d) {
			return p, err
		}
	}
	if r.options.Artifacts != SeparateArtifacts || !canSeparate(hint) {
		return nil, nil //nolint:nilnil // it is kept with the component version then
	}
	ref, err := oci.ParseRelative(oci.Location{}, hint)
	if err != nil {
		return nil, err
	}
	if ref.Tag == "" {
		ref.Tag = short(d)
	}
	return r.placeOf(ctx, ref.Path, ref.Tag)
}

// placeOf returns a place at the target with what its tag leads to.
func (r *run) placeOf(ctx context.Context, path, tag string) (*artifactPlace, error) {
	storage, err := r.places.of("/"+path, func() (oci.Storage, error) { return r.target.At(path) })
	if err != nil {
		return nil, err
	}
	p := &artifactPlace{storage: storage, wanted: tag}
	p.leads, err = resolve(ctx, storage, tag)
	return p, sided(oci.Target, err)
}

// reserved tells whether a repository is for component versions. Who names an image
// must not be able to write one.
func reserved(path string) bool {
	const components = "component-descriptors"
	return path == components || strings.HasPrefix(path, components+"/") || strings.Contains(path, "/"+components+"/")
}

// short is the tag of an artifact that has only a digest.
func short(d digest.Digest) string { return d.Encoded()[:12] }

// tag chooses the tag of an artifact. One that leads elsewhere is never moved, as
// other component versions may rely on it, even if those may be overwritten.
func (r *run) tag(ctx context.Context, e *element) error {
	p, d := e.separate, e.tree.Root().Digest
	for _, tag := range []string{p.wanted, suffixed(p.wanted, short(d)), suffixed(p.wanted, d.Encoded())} {
		leads := p.leads
		if tag != p.wanted {
			var err error
			if leads, err = resolve(ctx, p.storage, tag); err != nil {
				return sided(oci.Target, err)
			}
		}
		// Two images of one component may have had one name in two registries.
		if p.free(leads, d) && r.claim(p.storage, tag, d) {
			p.tag = tag
			return e.leadTo(oci.Reference{Location: p.storage.Location(), Tag: tag, Digest: d})
		}
	}
	err := fmt.Errorf("no tag is left for %s in %s: %s, and those with its digest, lead elsewhere; remove one of them there", d, p.storage, p.wanted)
	return sided(oci.Target, err)
}

// free tells whether a tag may lead to an artifact, given what it leads to.
func (*artifactPlace) free(leads, d digest.Digest) bool { return leads == "" || leads == d }

// leadTo makes an artifact be found where it is at the target.
func (e *element) leadTo(ref oci.Reference) error {
	var err error
	if ref.Host == "" {
		e.access, err = descriptor.NewAccess(access.RelativeOCIReference{Type: access.KindRelativeOCIReference, Reference: ref.String()})
		return err
	}
	e.access, err = access.NewArtifact(ref)
	return err
}

// maxTag is the length of the longest tag.
const maxTag = 128

func suffixed(tag, end string) string {
	end = "-" + end
	return tag[:min(len(tag), maxTag-len(end))] + end
}

// claim reports whether a tag is free for an artifact in this run.
func (r *run) claim(s oci.Storage, tag string, d digest.Digest) bool {
	if r.claimed == nil {
		r.claimed = map[[2]string]digest.Digest{}
	}
	key := [2]string{s.String(), tag}
	known, ok := r.claimed[key]
	if !ok {
		r.claimed[key] = d
	}
	return !ok || known == d
}
