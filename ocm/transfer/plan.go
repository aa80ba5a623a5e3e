package transfer

import (
	"context"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// element is a resource or a source of a component version, and what becomes of
// its content.
type element struct {
	node     *node
	kind     string
	identity descriptor.Identity
	// res is the resource. For a source it is one that stands in for it.
	res *descriptor.Resource

	// access is that at the target.
	access descriptor.Access
	// layers are blobs in the repository of the component version.
	layers []ocispec.Descriptor
	// from has the blobs of layers and tree.
	from oci.Blobs
	// tree is an artifact; it goes beside the component version unless a separate
	// place is set.
	tree     *oci.Tree
	separate *artifactPlace
	// whole is set if who reads the archive has to take the content apart.
	whole bool
	// hint is the repository, below the target, that an artifact gets where it has one
	// of its own.
	hint string
	// omitted is set if not all of the content is written, as Options.Have says.
	omitted bool
}

// String names the element.
func (e *element) String() string {
	return fmt.Sprintf("%s %s of %s", e.kind, &e.res.Element, e.node.name())
}

// key tells an element from all others of its component version.
func (e *element) key() string { return e.kind + " " + e.identity.String() }

// elementsOf returns the resources and then the sources of a component version.
func elementsOf(d *descriptor.Descriptor) []*element {
	var out []*element
	for i, id := range d.ResourceIdentities() {
		res := &d.Component.Resources[i]
		out = append(out, &element{kind: "resource", identity: id, res: res, access: res.Access})
	}
	for i, id := range d.SourceIdentities() {
		s := &d.Component.Sources[i]
		out = append(out, &element{kind: "source", identity: id, res: &descriptor.Resource{Element: s.Element, Type: s.Type, Access: s.Access}, access: s.Access})
	}
	return out
}

// newElements returns the elements of a component version that is copied.
func (n *node) newElements() []*element {
	all := elementsOf(n.found.Descriptor())
	for _, e := range all {
		e.node = n
	}
	return all
}

// plan decides what becomes of each content, and reads all manifests for it.
func (r *run) plan(ctx context.Context) error {
	var all []*element
	for _, n := range r.versions {
		n.elements = n.newElements()
		all = append(all, n.elements...)
	}
	err := each(ctx, r.options.Concurrency, len(all), func(ctx context.Context, i int) error {
		err := r.decide(ctx, all[i])
		r.progress.step()
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := r.enter(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", e, err)
		}
	}
	for _, n := range r.versions {
		if n.written, err = r.rewrite(n); err != nil {
			return err
		}
	}
	return nil
}

// decide finds out what becomes of the content of an element.
func (r *run) decide(ctx context.Context, e *element) error {
	if access.IsNone(e.res.Access) {
		return nil
	}
	if !access.IsLocal(e.res.Access) && !r.options.byValue(e) {
		if stays, err := r.stay(ctx, e); stays || err != nil {
			return err
		}
		absolute, ok, err := e.node.found.Source().Absolute(e.res.Access)
		if e.access = absolute; ok || err != nil {
			return err
		}
	}
	place, err := e.node.found.Source().Place(ctx, e.res)
	if err != nil {
		return advise(e, err)
	}
	switch place.Form {
	case access.Nothing:
		return nil
	case access.Stream:
		return r.stream(ctx, e)
	case access.Artifact:
		e.hint = pathOf(place.Hint)
		return r.artifact(ctx, e, place)
	case access.Packed:
		return r.packed(ctx, e, place)
	case access.Blobs:
	}
	return e.keep(place)
}

// byValue tells whether an element that is elsewhere is copied.
func (o *Options) byValue(e *element) bool {
	switch {
	case omits(o.OmitAccessTypes, e.res.Access):
		return false
	case e.kind == "source":
		return o.Sources
	case o.Resources == NoResources, o.Resources == LocalResources && e.res.Relation != descriptor.LocalRelation:
		return false
	}
	return !slices.Contains(o.OmitResourceTypes, e.res.Type)
}

// omits tells whether a list names a kind of access, in any of its spellings.
func omits(kinds []string, a descriptor.Access) bool {
	kind, err := access.Kind(a)
	return slices.Contains(kinds, a.Kind()) || slices.Contains(kinds, a.Type) || err == nil && slices.Contains(kinds, kind)
}

// repositories are those, below a target, that have the blobs of an element where it
// was copied to a registry.
func (e *element) repositories() []string {
	at := []string{oci.ComponentPath(e.node.component)}
	if e.hint != "" {
		at = append(at, e.hint)
	}
	return at
}

// keep keeps content that is made of blobs as it is, among the blobs of the
// component version.
func (e *element) keep(place *access.Place) error {
	e.layers, e.from = place.Blobs, place.Repository
	var err error
	if access.IsLocal(e.res.Access) {
		e.access, err = withoutGlobal(e.res.Access)
		return err
	}
	e.access, err = access.NewLocalBlob(place.Blobs[0].Digest, orDefault(place.MediaType))
	return err
}

// defaultMediaType is that of content that nothing says one of.
const defaultMediaType = "application/octet-stream"

func orDefault(mediaType string) string {
	if mediaType == "" {
		return defaultMediaType
	}
	return mediaType
}
