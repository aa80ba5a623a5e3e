package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/normalize"
)

// node is a component version of the tree.
type node struct {
	component, version string
	// parent is where it was found first; the root has none.
	parent *node
	// promises are the references that say what it must be, until it is.
	promises []edge
	// read is set when it was read, and is what the references promise.
	read Version
	// digests are those of its descriptor, by the names of their algorithms.
	digests map[[2]string]descriptor.Digest
}

func (n *node) name() string { return n.component + ":" + n.version }

// path leads from the root to the node.
func (n *node) path() []string {
	var path []string
	for ; n != nil; n = n.parent {
		path = append(path, n.name())
	}
	slices.Reverse(path)
	return path
}

// leadsTo tells whether the node is another one, or on the way to it.
func (n *node) leadsTo(other *node) bool {
	for ; other != nil; other = other.parent {
		if other == n {
			return true
		}
	}
	return false
}

// refuse is a verdict about an element of the descriptor of the node. That of the
// root is given, so it lasts.
func (n *node) refuse(kind string, element *descriptor.Element, err error) *Error {
	return &Error{Path: n.path(), Element: kind + " " + element.String(), Err: err, Lasting: n.parent == nil}
}

// digest returns the digest of the descriptor by the algorithms of another one.
func (n *node) digest(as *descriptor.Digest) (descriptor.Digest, error) {
	key := [2]string{as.HashAlgorithm, as.NormalisationAlgorithm}
	if d, ok := n.digests[key]; ok {
		return d, nil
	}
	d, err := normalize.Digest(n.read.Descriptor(), as.HashAlgorithm, as.NormalisationAlgorithm)
	if err != nil {
		return descriptor.Digest{}, err
	}
	if n.digests == nil {
		n.digests = map[[2]string]descriptor.Digest{}
	}
	n.digests[key] = d
	return d, nil
}

// edge is a reference of one node to another.
type edge struct {
	from, to  *node
	reference *descriptor.Reference
}

// check compares the descriptor that a reference leads to with the digest that
// the reference states.
func (e *edge) check() error {
	path := append(e.from.path(), e.to.name())
	got, err := e.to.digest(e.reference.Digest)
	if err != nil {
		// The algorithms are known, so it is about what was found in its place.
		return &Error{Path: path, Err: err}
	}
	if got.Value == e.reference.Digest.Value {
		return nil
	}
	return &Error{Path: path, Err: &mismatch{
		what:   "its component descriptor",
		got:    got.HashAlgorithm + ":" + got.Value,
		signed: e.reference.Digest.HashAlgorithm + ":" + e.reference.Digest.Value,
	}}
}

// tree is a component version with all that it leads to, each once.
type tree struct {
	source  Source
	options Options
	// nodes are in the order they were found, so the nearest to the root come
	// first.
	nodes []*node
	known map[string]*node
}

func newTree(source Source, root Version, o Options) *tree {
	t := &tree{source: source, options: o, known: map[string]*node{}}
	c := &root.Descriptor().Component
	t.add(&node{component: c.Name, version: c.Version, read: root})
	return t
}

func (t *tree) add(n *node) {
	t.nodes = append(t.nodes, n)
	t.known[n.name()] = n
}

// prove reads the descriptors of the tree level by level. It goes on to the next
// one when all of a level are what the references to them promise.
func (t *tree) prove(ctx context.Context) error {
	level := t.nodes
	for depth := 0; ; depth++ {
		found, err := t.descend(level)
		if err != nil || len(found) == 0 {
			return err
		}
		if depth == t.options.MaxDepth {
			return &Error{Path: found[0].path(), Err: fmt.Errorf("references lead to more than %d levels; have the publisher make them flatter", t.options.MaxDepth)}
		}
		if err := t.each(ctx, len(found), func(ctx context.Context, i int) error { return t.load(ctx, found[i]) }); err != nil {
			return err
		}
		level = found
	}
}

// descend checks the structure of descriptors that are proven, and follows their
// references. It returns those that were found, in the order of the references.
func (t *tree) descend(level []*node) ([]*node, error) {
	known := len(t.nodes)
	var edges []edge
	for _, n := range level {
		c := &n.read.Descriptor().Component
		for i := range c.Resources {
			if err := CheckResource(&c.Resources[i]); err != nil {
				return nil, n.refuse("resource", &c.Resources[i].Element, err)
			}
		}
		for i := range c.References {
			ref := &c.References[i]
			if err := checkReference(ref); err != nil {
				return nil, n.refuse("reference", &ref.Element, err)
			}
			to, err := t.follow(n, ref)
			if err != nil {
				return nil, err
			}
			edges = append(edges, edge{from: n, to: to, reference: ref})
		}
	}
	for _, e := range edges {
		if e.to.read == nil {
			e.to.promises = append(e.to.promises, e)
		} else if err := e.check(); err != nil {
			return nil, err
		}
	}
	return t.nodes[known:], nil
}

// follow returns the node that a reference leads to. A loop cannot be signed, as
// no digest can contain itself; here those are told that lead straight back.
func (t *tree) follow(from *node, ref *descriptor.Reference) (*node, error) {
	to := &node{component: ref.ComponentName, version: ref.Version, parent: from}
	if known := t.known[to.name()]; known != nil {
		if known.leadsTo(from) {
			return nil, from.refuse("reference", &ref.Element, fmt.Errorf("it leads back to %s, which has led here", known.name()))
		}
		return known, nil
	}
	if len(t.nodes) >= t.options.MaxVersions {
		err := fmt.Errorf("the references lead to more than %d component versions; have the publisher make the tree smaller", t.options.MaxVersions)
		// Another bound may allow it.
		return nil, &Error{Path: from.path(), Element: "reference " + ref.String(), Err: err}
	}
	t.add(to)
	return to, nil
}

// load reads the component version of a node, and keeps it only if it is what all
// references promise: until then anybody may have written it, and as much as fits.
func (t *tree) load(ctx context.Context, n *node) error {
	v, err := t.source.Version(ctx, n.component, n.version)
	if err != nil {
		return verdict(n.path(), "", err)
	}
	if c := &v.Descriptor().Component; c.Name != n.component || c.Version != n.version {
		return &Error{Path: n.path(), Err: fmt.Errorf("in its place is the descriptor of %s:%s", c.Name, c.Version)}
	}
	n.read = v
	for i := range n.promises {
		if err := n.promises[i].check(); err != nil {
			n.read = nil
			return err
		}
	}
	n.promises = nil
	return nil
}
