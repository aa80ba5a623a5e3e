package transfer

import (
	"container/list"
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// part is a blob or a manifest of a component version.
type part struct {
	desc     ocispec.Descriptor
	manifest bool
	// tag is what the manifest must be tagged with, as registries collect others.
	tag string
	// component is set for what is in the repository of a component, path for other
	// repositories below the target.
	component, path string
}

// inventory is what a component version is made of at a target. The manifest of the
// component version pins it.
type inventory struct {
	parts      []part
	references []wanted
	// promised are the digests that references to it were compared with.
	promised map[descriptor.Digest]bool
}

const (
	defaultRemembered = 1000
	// maxParts bounds what is remembered of one component version.
	maxParts = 20_000
)

// Memory remembers for Check what component versions are made of, so that it asks
// only whether that is still there. It is bounded, and safe for concurrent use.
type Memory struct {
	max int

	mu    sync.Mutex
	all   map[memoryKey]*list.Element
	order list.List // of memoryKey's entries, the last used first
}

type memoryKey struct {
	url, component, version string
	manifest                digest.Digest
}

type memoryEntry struct {
	key       memoryKey
	inventory *inventory
}

// NewMemory returns a memory for so many component versions, 1000 if zero.
func NewMemory(versions int) *Memory {
	return &Memory{max: or(versions, defaultRemembered), all: map[memoryKey]*list.Element{}}
}

// of returns the inventory of a component version that the target has, which must
// be what is wanted.
func (m *Memory) of(ctx context.Context, c *checker, w wanted, manifest digest.Digest) (*inventory, error) {
	key := memoryKey{url: c.target.URL(), component: w.component, version: w.version, manifest: manifest}
	if i := m.get(key); i != nil && (w.reference == nil || i.promised[*w.reference]) {
		return i, nil
	}
	v, err := c.target.GetPinned(ctx, w.component, w.version, manifest)
	if err != nil {
		return nil, err
	}
	i, err := c.take(ctx, v)
	if err != nil {
		return nil, err
	}
	i.promised = map[descriptor.Digest]bool{}
	if w.reference != nil {
		got, err := normalize.Digest(v.Descriptor(), w.reference.HashAlgorithm, w.reference.NormalisationAlgorithm)
		if err == nil && got != *w.reference {
			return nil, &oci.DigestMismatchError{Object: w.component + ":" + w.version, Want: digestText(w.reference), Got: digestText(&got)}
		}
		i.promised[*w.reference] = true
	}
	m.put(key, i)
	return i, nil
}

func (m *Memory) get(key memoryKey) *inventory {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.all[key]
	if e == nil {
		return nil
	}
	m.order.MoveToFront(e)
	return e.Value.(*memoryEntry).inventory //nolint:forcetypeassert // nothing else is in the list
}

func (m *Memory) put(key memoryKey, i *inventory) {
	if m == nil || len(i.parts) > maxParts {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.all[key]; e != nil {
		m.order.Remove(e)
	}
	m.all[key] = m.order.PushFront(&memoryEntry{key: key, inventory: i})
	for m.order.Len() > m.max {
		last := m.order.Back()
		delete(m.all, last.Value.(*memoryEntry).key) //nolint:forcetypeassert // as above
		m.order.Remove(last)
	}
}

// take takes the inventory of a component version.
func (c *checker) take(ctx context.Context, v *ocm.ComponentVersion) (*inventory, error) {
	i := &inventory{}
	found := v.Source().Component
	if found.Inner != "" {
		i.add(ocispec.Descriptor{Digest: found.Inner}, part{component: v.Component(), manifest: true})
	}
	i.add(found.Manifest.Config, part{component: v.Component()})
	for _, l := range found.Manifest.Layers {
		i.add(l, part{component: v.Component()})
	}
	d := v.Descriptor()
	for n := range d.Component.References {
		ref := &d.Component.References[n]
		i.references = append(i.references, wanted{component: ref.ComponentName, version: ref.Version, reference: ref.Digest})
	}
	for n := range d.Component.Resources {
		if err := c.takeArtifact(ctx, i, v, &d.Component.Resources[n]); err != nil {
			return nil, err
		}
	}
	for n := range d.Component.Sources {
		s := &d.Component.Sources[n]
		if err := c.takeArtifact(ctx, i, v, &descriptor.Resource{Element: s.Element, Type: s.Type, Access: s.Access}); err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (i *inventory) add(desc ocispec.Descriptor, p part) {
	p.desc = ocispec.Descriptor{Digest: desc.Digest, Size: desc.Size}
	i.parts = append(i.parts, p)
}

// takeArtifact adds an OCI artifact that is at the target, too.
func (c *checker) takeArtifact(ctx context.Context, i *inventory, v *ocm.ComponentVersion, res *descriptor.Resource) error {
	where, tag, ok, err := c.below(v, res)
	if err != nil || !ok {
		return err
	}
	place, err := v.Source().Place(ctx, res)
	if err != nil {
		return err
	}
	tree, err := oci.TreeOf(ctx, place.Repository, place.Manifest, oci.TreeLimits{})
	if err != nil {
		return fmt.Errorf("resource %s: %w", &res.Element, err)
	}
	for _, b := range tree.Blobs {
		i.add(b, where)
	}
	where.manifest = true
	for _, m := range tree.Manifests {
		if m == tree.Root() {
			where.tag = tag
		}
		i.add(ocispec.Descriptor{Digest: m.Digest, Size: int64(len(m.Bytes))}, where)
	}
	return nil
}

// below tells whether the content of a resource is an artifact below the target,
// where, and with which tag.
func (c *checker) below(v *ocm.ComponentVersion, res *descriptor.Resource) (where part, tag string, ok bool, err error) {
	if local, is, err := access.DecodeLocal(res.Access); is || err != nil {
		return part{component: v.Component()}, "", is && local.IsArtifact(), err
	}
	ref, ok, err := v.Source().Reference(res.Access)
	if err != nil || !ok {
		return part{}, "", false, nil //nolint:nilerr // what can't be read is elsewhere
	}
	here, err := c.target.Storage(v.Component())
	if err != nil {
		return part{}, "", false, err
	}
	home := here.Location()
	home.Path = strings.TrimSuffix(home.Path, oci.ComponentPath(v.Component()))
	if ref.Host != home.Host || ref.PlainHTTP != home.PlainHTTP {
		return part{}, "", false, nil
	}
	path, ok := strings.CutPrefix(ref.Path, home.Path)
	return part{path: path}, ref.Tag, ok, nil
}
