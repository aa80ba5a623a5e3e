package patch

import (
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// maxNodes bounds what the aliases of a file become.
const maxNodes = 200_000

// maxText bounds the text of these values: a few aliases can repeat a long one very often. A result that has more is too
// large anyway.
const maxText = yamledit.MaxBytes

// maxAliases bounds how deep aliases lead to values with aliases.
const maxAliases = 50

var errAliases = errors.New("its aliases make too many values")

// expand replaces the aliases of an object by what they stand for: a merge may change the one place and
// not the other.
func (o *object) expand() error {
	if o.expanded {
		return nil
	}
	o.expanded = true
	root, err := o.file.copyOf(o.root, 0)
	if err != nil {
		return err
	}
	if o.JSON {
		plain(root)
	}
	o.root, o.Node.Content[0] = root, root
	return nil
}

func (f *file) copyOf(n *yaml.Node, depth int) (*yaml.Node, error) {
	f.left--
	f.text -= len(n.Value) + len(n.HeadComment) + len(n.LineComment) + len(n.FootComment)
	if f.left < 0 || f.text < 0 || depth > maxAliases {
		return nil, errAliases
	}
	if n.Kind == yaml.AliasNode {
		target, err := f.copyOf(n.Alias, depth+1)
		if err != nil {
			return nil, err
		}
		comments(target, n)
		return target, nil
	}
	out := *n
	out.Anchor, out.Content = "", make([]*yaml.Node, 0, len(n.Content))
	var merges []*yaml.Node
	for i, child := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		if isKey && child.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key is no text", child.Line)
		}
		c, err := f.copyOf(child, depth)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && n.Content[i&^1].ShortTag() == "!!merge" {
			if !isKey {
				merges = append(merges, c)
			}
			continue
		}
		out.Content = append(out.Content, c)
	}
	return &out, inherit(&out, merges)
}

// inherit adds what the "<<" of a map brings along. Its own keys win, then the earlier merge.
func inherit(n *yaml.Node, merges []*yaml.Node) error {
	for i := 0; i < len(merges); i++ {
		m := merges[i]
		switch m.Kind {
		case yaml.SequenceNode:
			merges = slices.Insert(merges, i+1, m.Content...)
			continue
		case yaml.MappingNode:
		default:
			return fmt.Errorf("line %d: << merges something that is no map", m.Line)
		}
		own := positionsOf(n)
		for j := 0; j < len(m.Content); j += 2 {
			if _, known := own[m.Content[j].Value]; !known {
				n.Content = append(n.Content, m.Content[j], m.Content[j+1])
			}
		}
	}
	return nil
}

// plain turns the style of JSON into that of YAML, which is what a merged document is written as.
func plain(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		n.Style = yaml.DoubleQuotedStyle // a text such as "on" is one to every parser
	}
	for _, child := range n.Content {
		plain(child)
	}
}
