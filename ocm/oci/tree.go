package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TreeLimits bound an artifact with all that it is made of. A zero field means
// its default.
type TreeLimits struct {
	// Manifests bounds the manifests and indexes, 1,000 by default.
	Manifests int
	// Depth bounds how deep indexes are nested, 4 by default.
	Depth int
	// ManifestBytes bounds all manifests together, 64 MiB by default.
	ManifestBytes int64
	// Blobs bounds the configs and layers, 100,000 by default.
	Blobs int
}

func (l TreeLimits) withDefaults() TreeLimits {
	return TreeLimits{
		Manifests: or(l.Manifests, 1000), Depth: or(l.Depth, 4), Blobs: or(l.Blobs, 100_000),
		ManifestBytes: or(l.ManifestBytes, 64<<20),
	}
}

// Tree is an artifact with all that it is made of: the manifests of an image for
// all platforms, and their blobs.
type Tree struct {
	// Manifests are the manifests and indexes with the bytes that they have where
	// they were read, parts before what lists them. The last one is the root.
	Manifests []*Manifest
	// Blobs are the configs and layers, each once.
	Blobs []ocispec.Descriptor
	// Foreign are the layers that are fetched from elsewhere, as their license
	// does not allow others to distribute them. Registries need not have them.
	Foreign []ocispec.Descriptor
}

// Root returns the manifest of the artifact itself.
func (t *Tree) Root() *Manifest { return t.Manifests[len(t.Manifests)-1] }

// Bytes returns how many bytes the blobs have together.
func (t *Tree) Bytes() int64 {
	var sum int64
	for _, b := range t.Blobs {
		sum += b.Size
	}
	return sum
}

// parts are what a manifest of any kind lists.
type parts struct {
	Config    *ocispec.Descriptor  `json:"config"`
	Layers    []ocispec.Descriptor `json:"layers"`
	Blobs     []ocispec.Descriptor `json:"blobs"` // of an artifact manifest
	Manifests []ocispec.Descriptor `json:"manifests"`
	FSLayers  []json.RawMessage    `json:"fsLayers"` // of the first format of Docker
}

// ReadTree reads an artifact by the tag or digest of its manifest. Subjects and
// what refers to the artifact are no part of it.
func ReadTree(ctx context.Context, from Manifests, ref string, l TreeLimits) (*Tree, error) {
	root, err := from.Manifest(ctx, ref)
	if err != nil {
		return nil, at(Source, err)
	}
	return TreeOf(ctx, from, root, l)
}

// TreeOf reads what the artifact with a manifest, which was read already, is made
// of.
func TreeOf(ctx context.Context, from Manifests, root *Manifest, l TreeLimits) (*Tree, error) {
	r := &treeReader{from: from, limits: l.withDefaults(), tree: &Tree{}, manifests: map[digest.Digest]bool{}, blobs: map[digest.Digest]int64{}}
	if err := r.enter(ctx, root, 0); err != nil {
		return nil, sided(ctx, Source, fmt.Errorf("artifact %s of %s: %w", root.Digest, from, err))
	}
	return r.tree, nil
}

type treeReader struct {
	from      Manifests
	limits    TreeLimits
	tree      *Tree
	bytes     int64
	manifests map[digest.Digest]bool
	sum       int64                   // of the blobs
	blobs     map[digest.Digest]int64 // their sizes
}

// enter adds a manifest after all that it lists.
func (r *treeReader) enter(ctx context.Context, m *Manifest, depth int) error {
	if depth > r.limits.Depth {
		return fmt.Errorf("%w: its indexes are nested more than %d deep", ErrTooLarge, r.limits.Depth)
	}
	if r.bytes += int64(len(m.Bytes)); r.bytes > r.limits.ManifestBytes {
		return fmt.Errorf("%w: its manifests have more than %d bytes", ErrTooLarge, r.limits.ManifestBytes)
	}
	r.manifests[m.Digest] = true
	p, err := partsOf(m)
	if err != nil {
		return err
	}
	for i := range p.Manifests {
		if err := r.part(ctx, m, &p.Manifests[i], depth+1); err != nil {
			return err
		}
	}
	if p.Config != nil {
		if err := r.blob(m, *p.Config); err != nil {
			return err
		}
	}
	for _, b := range slices.Concat(p.Layers, p.Blobs) {
		if err := r.blob(m, b); err != nil {
			return err
		}
	}
	r.tree.Manifests = append(r.tree.Manifests, m)
	return nil
}

// partsOf returns what a manifest lists.
func partsOf(m *Manifest) (*parts, error) {
	var p parts
	if err := json.Unmarshal(m.Bytes, &p); err != nil {
		return nil, malformed(fmt.Errorf("manifest %s: %w", m.Digest, err))
	}
	if p.FSLayers != nil {
		return nil, malformed(fmt.Errorf("manifest %s is of the first format of Docker, which does not list what it is made of by digest and size; push the image again with a current tool", m.Digest))
	}
	return &p, nil
}

// part adds an entry of an index.
func (r *treeReader) part(ctx context.Context, index *Manifest, desc *ocispec.Descriptor, depth int) error {
	if err := desc.Digest.Validate(); err != nil {
		return malformed(fmt.Errorf("digest %q in the index %s: %w", desc.Digest, index.Digest, err))
	}
	if r.manifests[desc.Digest] {
		return nil
	}
	if len(r.manifests) >= r.limits.Manifests {
		return fmt.Errorf("%w: it has more than %d manifests", ErrTooLarge, r.limits.Manifests)
	}
	m, err := r.from.Manifest(ctx, desc.Digest.String())
	if errors.Is(err, ErrNotFound) && !isManifestType(desc.MediaType) {
		return &hint{fmt.Sprintf("the index %s lists %s of type %q, which is no manifest; only artifacts whose indexes list manifests can be copied",
			index.Digest, desc.Digest, desc.MediaType), ErrMalformed, err}
	}
	if err != nil {
		return err
	}
	// What lists a manifest says its type in the bytes that have a digest; how it is served does not count.
	if m, err = NewManifest(m.Bytes, desc.MediaType); err != nil {
		return fmt.Errorf("manifest %s: %w", desc.Digest, err)
	}
	m.Digest = desc.Digest
	return r.enter(ctx, m, depth)
}

func isManifestType(mediaType string) bool {
	m := Manifest{MediaType: mediaType}
	return m.IsImage() || m.IsIndex() || mediaType == artifactManifest
}

// blob adds a blob.
func (r *treeReader) blob(m *Manifest, desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return malformed(fmt.Errorf("digest %q in the manifest %s: %w", desc.Digest, m.Digest, err))
	}
	if desc.Size < 0 {
		return malformed(fmt.Errorf("blob %s in the manifest %s has a size of %d bytes", desc.Digest, m.Digest, desc.Size))
	}
	if size, known := r.blobs[desc.Digest]; known {
		if size != desc.Size {
			return malformed(fmt.Errorf("blob %s has %d bytes says one manifest, and %d another", desc.Digest, size, desc.Size))
		}
		return nil
	}
	if len(r.blobs) >= r.limits.Blobs {
		return fmt.Errorf("%w: it has more than %d blobs", ErrTooLarge, r.limits.Blobs)
	}
	if r.sum += desc.Size; r.sum < 0 {
		return fmt.Errorf("%w: its blobs have more bytes than can be counted", ErrTooLarge)
	}
	r.blobs[desc.Digest] = desc.Size
	if isForeign(desc) {
		r.tree.Foreign = append(r.tree.Foreign, desc)
	} else {
		r.tree.Blobs = append(r.tree.Blobs, desc)
	}
	return nil
}

// isForeign reports whether a layer is fetched from elsewhere. Other layers may
// have URLs, too, from which they can be fetched besides.
func isForeign(desc ocispec.Descriptor) bool {
	return len(desc.URLs) > 0 && (strings.Contains(desc.MediaType, ".nondistributable.") || strings.Contains(desc.MediaType, ".foreign."))
}

// PushTree stores the manifests of an artifact whose blobs are stored already:
// parts before what lists them, and the root last with its tag, so that no reader
// sees half of it. Without a tag the root is stored by its digest.
func PushTree(ctx context.Context, to Storage, t *Tree, tag string) error {
	for i, m := range t.Manifests {
		name := m.Digest.String()
		root := i == len(t.Manifests)-1
		if root && tag != "" {
			name = tag
		} else if has, err := to.HasManifest(ctx, m.Digest); err != nil {
			return sided(ctx, Target, err)
		} else if has {
			continue
		}
		if _, err := to.PushManifest(ctx, m.MediaType, m.Bytes, name); err != nil {
			return sided(ctx, Target, err)
		}
	}
	return nil
}
