package transfer

import (
	"context"
	"fmt"
	"sync"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// Bounds of all component versions of a run together: what is planned is kept in
// memory until the end.
const (
	// maxTreeBytes bounds the manifests and the descriptors.
	maxTreeBytes = 256 << 20
	// maxManifests and maxBlobs bound the manifests and blobs of artifacts.
	maxManifests = 100_000
	maxBlobs     = 1_000_000
)

// trees are the artifacts of a run, each once.
type trees struct {
	all group[*growing]

	mu               sync.Mutex
	bytes            int64
	manifests, blobs int
}

// growing is an artifact that is read by whoever comes first.
type growing struct {
	sync.Mutex

	tree *oci.Tree
}

// of returns the tree of an artifact, which is read if no other element has it.
func (t *trees) of(ctx context.Context, from oci.Manifests, root *oci.Manifest) (*oci.Tree, error) {
	g, err := t.all.of(root.MediaType+" "+root.Digest.String(), func() (*growing, error) { return &growing{}, nil })
	if err != nil {
		return nil, err
	}
	g.Lock()
	defer g.Unlock()
	if g.tree != nil {
		return g.tree, nil
	}
	tree, err := oci.TreeOf(ctx, from, root, oci.TreeLimits{})
	if err != nil {
		return nil, err
	}
	var bytes int64
	for _, m := range tree.Manifests {
		bytes += int64(len(m.Bytes))
	}
	if err := t.count(bytes, len(tree.Manifests), len(tree.Blobs)+len(tree.Foreign)); err != nil {
		return nil, err
	}
	g.tree = tree
	return tree, nil
}

// count counts what is kept, and refuses what is too much.
func (t *trees) count(bytes int64, manifests, blobs int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes, t.manifests, t.blobs = t.bytes+bytes, t.manifests+manifests, t.blobs+blobs
	switch {
	case t.bytes > maxTreeBytes:
		return tooLarge("more than %d bytes of descriptors and manifests", maxTreeBytes)
	case t.manifests > maxManifests:
		return tooLarge("more than %d manifests of artifacts", maxManifests)
	case t.blobs > maxBlobs:
		return tooLarge("more than %d blobs of artifacts", maxBlobs)
	}
	return nil
}

func tooLarge(what string, limit int) error {
	return fmt.Errorf("all that is copied at once is %w: it has "+what+"; copy what it refers to one by one, or have the publisher make it smaller", ocm.ErrTooLarge, limit)
}

// descriptor counts the descriptor of a component version, and the manifest that
// leads to it.
func (t *trees) descriptor(v *ocm.ComponentVersion) error {
	c := v.Source().Component
	return t.count(c.DescriptorSize, 1, len(c.Manifest.Layers))
}
