package transfer

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// part is a blob or a manifest of a component version.
type part struct {
	digest digest.Digest
	size   int64
	// tag is what the manifest must be tagged with, as registries collect others.
	tag string
	// path is the repository, below the target. If goes is set, the target is an
	// archive, and who reads it puts the part there.
	path, goes string
	manifest   bool
}

func (p part) desc() ocispec.Descriptor { return ocispec.Descriptor{Digest: p.digest, Size: p.size} }

// inventory is what a component version is made of at a target. The manifest of the
// component version pins it.
type inventory struct {
	// parts has each of them once.
	parts      []part
	references []wanted

	mu sync.Mutex
	// promised are the digests that references to it were compared with.
	promised map[descriptor.Digest]bool
}

// size is how much is remembered, in parts.
func (i *inventory) size() int { return len(i.parts) + len(i.references) + maxPromises }

// keeps tells whether a reference to the component version was found to be right.
func (i *inventory) keeps(reference *descriptor.Digest) bool {
	if reference == nil {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.promised[*reference]
}

// kept notes that a reference is right.
func (i *inventory) kept(reference *descriptor.Digest) {
	if reference == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.promised == nil {
		i.promised = map[descriptor.Digest]bool{}
	}
	if len(i.promised) < maxPromises {
		i.promised[*reference] = true
	}
}

// taking is an inventory that is being taken.
type taking struct {
	*inventory

	version *ocm.ComponentVersion
	known   map[part]bool
}

// take takes the inventory of a component version.
func (c *checker) take(ctx context.Context, v *ocm.ComponentVersion) (*inventory, error) {
	t := &taking{inventory: &inventory{}, version: v, known: map[part]bool{}}
	found, home := v.Source().Component, oci.ComponentPath(v.Component())
	if found.Inner != "" {
		t.add(part{path: home, digest: found.Inner, manifest: true})
	}
	t.blobs(home, found.Manifest.Config)
	t.blobs(home, found.Manifest.Layers...)
	d := v.Descriptor()
	for n := range d.Component.References {
		ref := &d.Component.References[n]
		t.references = append(t.references, wanted{component: ref.ComponentName, version: ref.Version, reference: ref.Digest})
	}
	for _, e := range elementsOf(d) {
		if err := c.takeArtifact(ctx, t, e); err != nil {
			return nil, err
		}
		if len(t.parts) > maxBlobs {
			return nil, fmt.Errorf("%s:%s has more than %d parts", v.Component(), v.Version(), maxBlobs)
		}
	}
	return t.inventory, nil
}

func (t *taking) add(p part) {
	if !t.known[p] {
		t.known[p] = true
		t.parts = append(t.parts, p)
	}
}

func (t *taking) blobs(path string, all ...ocispec.Descriptor) {
	for _, b := range all {
		t.add(part{path: path, digest: b.Digest, size: b.Size})
	}
}

// takeArtifact adds an OCI artifact that is at the target, too.
func (c *checker) takeArtifact(ctx context.Context, t *taking, e *element) error {
	at, ok, err := c.below(t.version, e)
	if err != nil || !ok {
		return err
	}
	place, err := t.version.Source().Place(ctx, e.res)
	if err != nil {
		return err
	}
	tree, err := oci.TreeOf(ctx, place.Repository, place.Manifest, oci.TreeLimits{})
	if err != nil {
		return fmt.Errorf("%s %s: %w", e.kind, &e.res.Element, err)
	}
	for _, b := range tree.Blobs {
		t.add(part{path: at.path, goes: at.goes, digest: b.Digest, size: b.Size})
	}
	for _, m := range tree.Manifests {
		p := part{path: at.path, goes: at.goes, digest: m.Digest, size: int64(len(m.Bytes)), manifest: true}
		if m == tree.Root() {
			p.tag = at.tag
		}
		t.add(p)
	}
	return nil
}

// below tells whether the content of an element is an artifact below the target, in
// which repository, and with which tag. What is not copied by value is somebody
// else's wherever it is, and may change without us.
func (c *checker) below(v *ocm.ComponentVersion, e *element) (at part, ok bool, err error) {
	if local, is, err := access.DecodeLocal(e.res.Access); is || err != nil {
		at = part{path: oci.ComponentPath(v.Component())}
		if c.target.Archive() {
			at.goes = pathOf(local.ReferenceName)
		}
		return at, is && local.IsArtifact(), err
	}
	if !c.options.byValue(e) {
		return part{}, false, nil
	}
	ref, ok, err := v.Source().Reference(e.res.Access)
	if err != nil || !ok {
		return part{}, false, nil //nolint:nilerr // what can't be read is elsewhere
	}
	here, err := c.target.Storage(v.Component())
	if err != nil {
		return part{}, false, err
	}
	home := here.Location()
	home.Path = strings.TrimSuffix(home.Path, oci.ComponentPath(v.Component()))
	if ref.Host != home.Host || ref.PlainHTTP != home.PlainHTTP {
		return part{}, false, nil
	}
	path, ok := strings.CutPrefix(ref.Path, home.Path)
	return part{path: path, tag: ref.Tag}, ok, nil
}
