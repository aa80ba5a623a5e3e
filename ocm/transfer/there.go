package transfer

import (
	"context"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// Where contents are is no part of what is signed, so several may write the same
// component version to one target with other options. What the target has by value
// stays what it is then, so that they don't take turns in writing it, and none of them
// makes a mirror lead out of itself again.

// there returns the element as it is at the target, with its access there.
func (e *element) there() (*element, bool) {
	there, ok := e.node.there.elements[e.key()]
	return there, ok
}

// valuedThere returns the element at the target if it has there by value what is to be
// copied. What no digest covers is taken for that in a component version that is the
// same otherwise, unless the accesses say that it is something else, or that of the
// source names a content that the other can't be compared with.
func (e *element) valuedThere() (*element, bool) {
	there, ok := e.there()
	if !ok || !e.node.there.same || !sameDigest(e.res.Digest, there.res.Digest) {
		return nil, false
	}
	x, y := contentOf(e.res), contentOf(there.res)
	if x.contradicts(y) || e.res.Digest == nil && x.text != "" && x != y {
		return nil, false
	}
	_, below := e.belowTarget(there)
	return there, below || access.IsLocal(there.access)
}

// stay keeps what the target has by value though it need not be copied. It is false if
// there is nothing, or not all of it.
func (r *run) stay(ctx context.Context, e *element) (bool, error) {
	there, ok := e.valuedThere()
	if !ok || e.res.Digest == nil && r.options.Overwrite {
		return false, nil
	}
	whole := r.stillBelow
	if access.IsLocal(there.access) {
		whole = r.takeOver
	}
	if is, err := whole(ctx, e, there); !is || err != nil {
		e.layers, e.from, e.tree = nil, nil, nil
		if err != nil {
			err = &oci.SideError{Side: oci.Target, Err: err} // what was read there was read as from a source
		}
		return false, err
	}
	e.access = there.access
	return true, nil
}

// stillBelow reports whether the target has the manifest of an artifact that is in a
// repository of its own.
func (r *run) stillBelow(ctx context.Context, e, there *element) (bool, error) {
	ref, _ := e.belowTarget(there)
	s, err := r.places.of("/"+ref.Path, func() (oci.Storage, error) { return r.target.At(ref.Path) })
	if err != nil {
		return false, err
	}
	if ref.Digest != "" {
		return s.HasManifest(ctx, ref.Digest)
	}
	d, err := resolve(ctx, s, ref.Tag)
	return d != "", err
}

// takeOver has the blobs of a local blob of the target's own component version listed
// again, and reports whether all of them are there.
func (r *run) takeOver(ctx context.Context, e, there *element) (bool, error) {
	place, err := e.node.there.version.Source().Place(ctx, there.res)
	if err == nil && place.Form == access.Artifact {
		e.tree, err = r.trees.of(ctx, place.Repository, place.Manifest)
	}
	if verify.IsAnswer(err) {
		return false, nil // it is not there, or not what it should be
	}
	if err != nil {
		return false, err
	}
	e.layers, e.from = place.Blobs, place.Repository
	all := e.layers
	if e.tree != nil {
		all = e.tree.Blobs
	}
	for _, b := range all {
		if has, err := e.node.storage.Has(ctx, b); !has || err != nil {
			return false, err
		}
	}
	return true, nil
}

// nestedThere reports whether the target has an artifact beside the manifest of the
// component version.
func (e *element) nestedThere(root digest.Digest) bool {
	there, ok := e.there()
	if !ok {
		return false
	}
	local, is, err := access.DecodeLocal(there.access)
	return err == nil && is && local.IsArtifact() && local.LocalReference == root.String()
}

// artifactThere reports whether the target has an artifact that is not packed.
func (e *element) artifactThere() bool {
	there, ok := e.there()
	if !ok {
		return false
	}
	if _, below := e.belowTarget(there); below {
		return true
	}
	local, is, err := access.DecodeLocal(there.access)
	return err == nil && is && local.IsArtifact()
}

// blobsThere reports whether the target has blobs as the content of a local blob.
func (e *element) blobsThere(blobs []ocispec.Descriptor) bool {
	there, ok := e.there()
	if !ok {
		return false
	}
	local, is, err := access.DecodeLocal(there.access)
	if err != nil || !is || local.IsArtifact() {
		return false
	}
	chunks, err := local.Chunks()
	return err == nil && slices.EqualFunc(chunks, blobs, func(d digest.Digest, b ocispec.Descriptor) bool { return d == b.Digest })
}

// placeThere returns the place of its own that an artifact has at the target, below
// the path of the target. Another source may have had it under another name, and the
// target should not change each time that one of them is copied.
func (e *element) placeThere() (oci.Reference, bool) {
	there, ok := e.there()
	if !ok {
		return oci.Reference{}, false
	}
	ref, ok := e.belowTarget(there)
	return ref, ok && ref.Tag != "" && ref.Digest == e.tree.Root().Digest && !reserved(ref.Path)
}

// belowTarget returns the reference of an artifact that is in a repository of its own
// below the path of the target. The path of the reference begins there.
func (e *element) belowTarget(there *element) (oci.Reference, bool) {
	var none oci.Reference
	var spec struct {
		Absolute string `json:"imageReference"`
		Relative string `json:"reference"`
	}
	home := e.node.home()
	kind, err := access.Kind(there.access)
	if err != nil || there.access.Decode(&spec) != nil {
		return none, false
	}
	var ref oci.Reference
	switch {
	case kind == access.KindOCIArtifact && home.Host != "":
		ref, err = oci.ParseReference(spec.Absolute)
	case kind == access.KindRelativeOCIReference && home.Host == "":
		ref, err = oci.ParseRelative(home, spec.Relative)
	default:
		return none, false
	}
	if err != nil || ref.Host != home.Host || ref.PlainHTTP != home.PlainHTTP {
		return none, false
	}
	below := ref.Path
	if home.Path != "" {
		var ok bool
		if below, ok = strings.CutPrefix(ref.Path, home.Path+"/"); !ok {
			return none, false
		}
	}
	ref.Path = below
	return ref, true
}
