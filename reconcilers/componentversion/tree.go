package componentversion

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1/naming"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Bounds of a tree of references. The whole tree stands in the status of one object, whose size etcd limits.
const (
	maxDepth = 32
	maxNodes = 1000
)

// CycleError says that a component version refers to itself.
type CycleError struct {
	// Path leads from the root to the repetition.
	Path []string
}

// Error implements error.
func (e *CycleError) Error() string {
	return "component references form a cycle: " + strings.Join(e.Path, " -> ")
}

// nestedError says that something below the component version can't be read.
type nestedError struct{ err error }

func (e *nestedError) Error() string { return e.err.Error() }

func (e *nestedError) Unwrap() error { return e.err }

// node is a component version in the tree, under the identity of the reference that leads to it.
type node struct {
	// name is the name of the reference; the root has its component's name.
	name string
	source.Node
	version    *ocm.ComponentVersion
	references []*node
}

// objectName is the name of the node's ComponentDescriptor.
func (n *node) objectName() string {
	return naming.ComponentDescriptorName(n.Component, n.Version, n.ExtraIdentity)
}

// tree is a component version with everything that it refers to, directly or not.
type tree struct {
	root *node
	// all holds every occurrence, the root first.
	all []*node
}

// fetcher reads a tree. A version that is referred to several times is read once.
type fetcher struct {
	repository *access.Repository
	// manifests holds what nested versions are pinned to.
	manifests map[string]source.Node
	// keep is set when the descriptors of nested versions are needed, and not only that of the root.
	keep bool
	tree *tree
}

// newFetcher returns a fetcher that knows what nested versions were pinned to before: a tag that was resolved for a version
// is never resolved again for it. Nothing is known of a new version.
func newFetcher(repository *access.Repository, pinned *v1alpha1.Reference, keep bool) *fetcher {
	f := &fetcher{repository: repository, manifests: map[string]source.Node{}, keep: keep, tree: &tree{}}
	if pinned != nil {
		f.remember(pinned)
	}
	return f
}

func (f *fetcher) remember(ref *v1alpha1.Reference) {
	for i := range ref.References {
		nested := &ref.References[i]
		f.manifests[describe(nested.ComponentName, nested.Version)] = source.Node{
			Component: nested.ComponentName, Version: nested.Version, ManifestDigest: nested.ManifestDigest,
		}
		f.remember(nested)
	}
}

// fetch reads the tree below a pinned version. Nested versions are resolved once and pinned from then on.
func (f *fetcher) fetch(ctx context.Context, root source.Node) (*tree, error) {
	top := &node{name: root.Component, Node: root}
	f.tree.root = top
	return f.tree, f.expand(ctx, top, nil)
}

// expand reads a node and everything below it. The path holds what lies above.
func (f *fetcher) expand(ctx context.Context, n *node, path []string) error {
	self := describe(n.Component, n.Version)
	for i, above := range path {
		if above == self {
			return &CycleError{Path: append(slices.Clip(path[i:]), self)}
		}
	}
	path = append(slices.Clip(path), self)
	if len(path) > maxDepth {
		return lifecycle.Fail(v1alpha1.ComponentVersionInvalidReason,
			fmt.Errorf("component references are nested deeper than %d: %s", maxDepth, strings.Join(path, " -> ")))
	}
	if f.tree.all = append(f.tree.all, n); len(f.tree.all) > maxNodes {
		return lifecycle.Fail(v1alpha1.ComponentVersionInvalidReason,
			fmt.Errorf("component %s refers to more than %d component versions", f.tree.root.Component, maxNodes))
	}
	version, err := f.repository.Pinned(ctx, n.Node)
	if err != nil {
		err = fmt.Errorf("read component %s: %w", strings.Join(path, " -> "), err)
		if n != f.tree.root {
			err = &nestedError{err}
		}
		return err
	}
	if f.keep || n == f.tree.root {
		n.version = version
	}
	for _, ref := range version.Descriptor().Component.References {
		pinned, err := f.pin(ctx, ref.ComponentName, ref.Version)
		if err != nil {
			return &nestedError{fmt.Errorf("read component %s -> %s: %w", strings.Join(path, " -> "), describe(ref.ComponentName, ref.Version), err)}
		}
		pinned.ExtraIdentity = ref.ExtraIdentity
		child := &node{name: ref.Name, Node: pinned}
		n.references = append(n.references, child)
		if err := f.expand(ctx, child, path); err != nil {
			return err
		}
	}
	return nil
}

// pin resolves the tag of a nested version, once in a tree.
func (f *fetcher) pin(ctx context.Context, component, version string) (source.Node, error) {
	key := describe(component, version)
	if pinned, ok := f.manifests[key]; ok {
		return pinned, nil
	}
	manifest, err := f.repository.Resolve(ctx, component, version)
	if err != nil {
		return source.Node{}, err
	}
	pinned := source.Node{Component: component, Version: version, ManifestDigest: manifest.String()}
	f.manifests[key] = pinned
	return pinned, nil
}

// reference returns the tree in the form of the status. Only descriptors that are written into the cluster are named.
func (t *tree) reference(namespace string, expand bool) v1alpha1.Reference {
	root := t.root.reference(namespace, expand)
	root.ComponentName = ""
	root.ComponentDescriptorRef = &meta.NamespacedObjectReference{Name: t.root.objectName(), Namespace: namespace}
	return root
}

func (n *node) reference(namespace string, expand bool) v1alpha1.Reference {
	out := v1alpha1.Reference{
		Name:           n.name,
		Version:        n.Version,
		ComponentName:  n.Component,
		ManifestDigest: n.ManifestDigest,
		ExtraIdentity:  n.ExtraIdentity,
	}
	if expand {
		out.ComponentDescriptorRef = &meta.NamespacedObjectReference{Name: n.objectName(), Namespace: namespace}
	}
	for _, child := range n.references {
		out.References = append(out.References, child.reference(namespace, expand))
	}
	return out
}
