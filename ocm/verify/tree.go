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
	// read is set when it was read.
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
	got, err := e.to.digest(e.reference.Digest)
	if err != nil {
		return e.from.refuse("reference", &e.reference.Element, err)
	}
	if got.Value == e.reference.Digest.Value {
		return nil
	}
	return &Error{Path: append(e.from.path(), e.to.name()), Err: &mismatch{
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
	for depth := 0; len(level) > 0; depth++ {
		edges, err := t.descend(level)
		if err != nil {
			return err
		}
		level = t.nodes[len(t.nodes)-unread(t.nodes):]
		if len(level) > 0 && depth == t.options.MaxDepth {
			return &Error{Path: level[0].path(), Err: fmt.Errorf("references lead to more than %d levels; have the publisher make them flatter", t.options.MaxDepth)}
		}
		if err := t.each(ctx, len(level), func(ctx context.Context, i int) error { return t.load(ctx, level[i]) }); err != nil {
			return err
		}
		for i := range edges {
			if err := edges[i].check(); err != nil {
				return err
			}
		}
	}
	return nil
}

// unread returns how many nodes were not read; they come last.
func unread(nodes []*node) int {
	n := 0
	for n < len(nodes) && nodes[len(nodes)-1-n].read == nil {
		n++
	}
	return n
}

// descend checks the structure of descriptors that are proven, and returns their
// references. What they lead to becomes part of the tree.
func (t *tree) descend(level []*node) ([]edge, error) {
	var edges []edge
	for _, n := range level {
		c := &n.read.Descriptor().Component
		for i := range c.Resources {
			if err := checkResource(&c.Resources[i]); err != nil {
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
	return edges, nil
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
		return nil, from.refuse("reference", &ref.Element, err)
	}
	t.add(to)
	return to, nil
}

// load reads the component version of a node.
func (t *tree) load(ctx context.Context, n *node) error {
	v, err := t.source.Version(ctx, n.component, n.version)
	if err != nil {
		return verdict(n.path(), "", err)
	}
	if c := &v.Descriptor().Component; c.Name != n.component || c.Version != n.version {
		return &Error{Path: n.path(), Err: fmt.Errorf("in its place is the descriptor of %s:%s", c.Name, c.Version)}
	}
	n.read = v
	return nil
}
