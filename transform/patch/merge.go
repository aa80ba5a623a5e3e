package patch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	directiveKey     = "$patch"
	directiveDelete  = "delete"
	directiveReplace = "replace"
	directiveMerge   = "merge"
)

// merger merges within one object.
type merger struct{ lists map[string][]string }

func newMerger(id identity) merger { return merger{lists: listsOf(id.apiVersion, id.kind)} }

// maps merges a map of a patch into one of the base. at is the path of both, in which the elements of
// lists are "[]".
func (m merger) maps(dst, src *yaml.Node, at string) error {
	comments(dst, src)
	positions := positionsOf(dst)
	gone := map[int]bool{}
	for i := 0; i < len(src.Content); i += 2 {
		key, val := src.Content[i], src.Content[i+1]
		if key.Value == directiveKey {
			continue // the caller has looked at it
		}
		if err := known(key.Value); err != nil {
			return within(at, err)
		}
		position, there := positions[key.Value]
		if there && !gone[position] {
			comments(dst.Content[position], key)
		}
		merged, err := m.value(nodeAt(dst, position, there), val, join(at, key.Value))
		switch {
		case err != nil:
			return err
		case merged == nil && there:
			gone[position] = true
		case merged == nil:
		case there:
			dst.Content[position+1] = merged
		default:
			dst.Content = append(dst.Content, key, merged)
		}
	}
	remove(dst, gone)
	return nil
}

func nodeAt(dst *yaml.Node, position int, there bool) *yaml.Node {
	if !there {
		return nil
	}
	return dst.Content[position+1]
}

// value returns what a value becomes, nil if it is deleted. dst is nil if the base does not have it.
func (m merger) value(dst, src *yaml.Node, at string) (*yaml.Node, error) {
	switch {
	case isNull(src):
		return nil, nil //nolint:nilnil // a null of a patch deletes, which is no error
	case src.Kind == yaml.MappingNode:
		return m.mapping(dst, src, at)
	case src.Kind == yaml.SequenceNode:
		return m.list(dst, src, at)
	}
	if dst == nil {
		return src, nil
	}
	scalar := *src
	if dst.Value == src.Value && dst.ShortTag() == src.ShortTag() {
		scalar = *dst // nothing changes, not even the quotes
	}
	comments(&scalar, dst)
	comments(&scalar, src)
	return &scalar, nil
}

func (m merger) mapping(dst, src *yaml.Node, at string) (*yaml.Node, error) {
	how, err := directive(src)
	if err != nil {
		return nil, within(at, err)
	}
	if how == directiveDelete {
		return nil, nil //nolint:nilnil // as for a null
	}
	if how == directiveReplace || dst == nil || dst.Kind != yaml.MappingNode {
		dst = &yaml.Node{Kind: yaml.MappingNode, Tag: src.Tag, Style: src.Style}
	}
	if len(dst.Content) == 0 {
		dst.Style = src.Style // else all that is added to {} would be on its line
	}
	return dst, m.maps(dst, src, at)
}

func (m merger) list(dst, src *yaml.Node, at string) (*yaml.Node, error) {
	keys, merges := m.lists[at]
	if !merges {
		return src, within(at, clean(src))
	}
	how, items, err := listDirective(src)
	if err != nil {
		return nil, within(at, err)
	}
	if how == directiveDelete {
		return nil, nil //nolint:nilnil // as for a null
	}
	var old []*yaml.Node
	if how != directiveReplace && dst != nil && dst.Kind == yaml.SequenceNode {
		old = dst.Content
	}
	if dst == nil || dst.Kind != yaml.SequenceNode || len(dst.Content) == 0 {
		dst = &yaml.Node{Kind: yaml.SequenceNode, Tag: src.Tag, Style: src.Style}
	}
	if len(keys) == 0 {
		dst.Content, err = union(items, old)
		err = within(at, err)
	} else {
		dst.Content, err = m.elements(items, old, keys, at)
	}
	if err != nil {
		return nil, err
	}
	return dst, nil
}

// elements merges two lists of maps: first those of the patch, then the rest of the base.
func (m merger) elements(items, old []*yaml.Node, keys []string, at string) ([]*yaml.Node, error) {
	index := newElements(old, keys)
	merged := make([]*yaml.Node, 0, len(items)+len(old))
	taken := map[int]bool{}
	for _, item := range items {
		if item.Kind != yaml.MappingNode || text(value(item, keys[0])) == "" {
			return nil, within(at, fmt.Errorf("line %d: an element has no %q, by which elements are told apart", item.Line, keys[0]))
		}
		position, there := index.find(item)
		if there && taken[position] {
			return nil, within(at, fmt.Errorf("line %d: the element with %s %q is there twice", item.Line, keys[0], text(value(item, keys[0]))))
		}
		var dst *yaml.Node
		if there {
			taken[position] = true
			dst = old[position]
		}
		element, err := m.mapping(dst, item, at+"[]")
		if err != nil {
			return nil, err
		}
		if element != nil {
			merged = append(merged, element)
		}
	}
	for i, item := range old {
		if !taken[i] {
			merged = append(merged, item)
		}
	}
	return merged, nil
}

// elements finds elements by their keys.
type elements struct {
	keys  []string
	items []*yaml.Node
	exact map[string]int
	first map[string]int // by the first key
}

func newElements(items []*yaml.Node, keys []string) elements {
	e := elements{keys: keys, items: items, exact: map[string]int{}, first: map[string]int{}}
	for i, item := range items {
		primary := text(value(item, keys[0]))
		if _, known := e.exact[e.id(item)]; !known {
			e.exact[e.id(item)] = i
		}
		if _, known := e.first[primary]; !known && primary != "" {
			e.first[primary] = i
		}
	}
	return e
}

func (e elements) id(item *yaml.Node) string {
	var id strings.Builder
	for _, key := range e.keys {
		id.WriteString(strconv.Quote(text(value(item, key))))
	}
	return id.String()
}

// find finds the element with the same keys. Keys behind the first may be missing on one side.
func (e elements) find(item *yaml.Node) (int, bool) {
	if i, ok := e.exact[e.id(item)]; ok {
		return i, true
	}
	i, ok := e.first[text(value(item, e.keys[0]))]
	if !ok {
		return 0, false
	}
	for _, key := range e.keys[1:] {
		a, b := text(value(item, key)), text(value(e.items[i], key))
		if a != b && a != "" && b != "" {
			return 0, false
		}
	}
	return i, true
}

// union merges two lists of scalars: first those of the patch, then the rest of the base.
func union(items, old []*yaml.Node) ([]*yaml.Node, error) {
	var merged []*yaml.Node
	seen := map[string]bool{}
	for _, item := range slices.Concat(items, old) {
		if item.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: an element is no text", item.Line)
		}
		if !seen[item.Value] {
			seen[item.Value] = true
			merged = append(merged, item)
		}
	}
	return merged, nil
}

// directive returns what a map of a patch says about itself.
func directive(n *yaml.Node) (string, error) {
	d := value(n, directiveKey)
	if d == nil {
		return directiveMerge, nil
	}
	switch how := text(d); how {
	case directiveDelete, directiveReplace, directiveMerge:
		return how, nil
	default:
		return "", fmt.Errorf("%s is %q: only delete, replace and merge are understood", directiveKey, how)
	}
}

// listDirective returns what an element with nothing but a directive says about its list, and the other
// elements.
func listDirective(n *yaml.Node) (string, []*yaml.Node, error) {
	how := directiveMerge
	var items []*yaml.Node
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode || len(item.Content) != 2 || item.Content[0].Value != directiveKey {
			items = append(items, item)
			continue
		}
		var err error
		if how, err = directive(item); err != nil {
			return "", nil, err
		}
	}
	return how, items, nil
}

// known refuses the directives that clients make for themselves and people do not write.
func known(key string) error {
	for _, prefix := range []string{"$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys"} {
		if strings.HasPrefix(key, prefix) {
			return fmt.Errorf("the directive %q is not understood, only %s is", key, directiveKey)
		}
	}
	return nil
}

// clean refuses directives in what is taken over as it is.
func clean(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode && value(n, directiveKey) != nil {
		return fmt.Errorf("line %d: %s has no effect here, as the list around it is replaced as a whole", n.Line, directiveKey)
	}
	for _, child := range n.Content {
		if err := clean(child); err != nil {
			return err
		}
	}
	return nil
}

// strip removes the directive of a map.
func strip(n *yaml.Node) {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == directiveKey {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

func positionsOf(n *yaml.Node) map[string]int {
	positions := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		positions[n.Content[i].Value] = i
	}
	return positions
}

func remove(n *yaml.Node, gone map[int]bool) {
	if len(gone) == 0 {
		return
	}
	kept := n.Content[:0]
	for i := 0; i < len(n.Content); i += 2 {
		if !gone[i] {
			kept = append(kept, n.Content[i], n.Content[i+1])
		}
	}
	n.Content = kept
}

// comments gives dst the comments of src where it has some.
func comments(dst, src *yaml.Node) {
	for _, c := range []struct{ dst, src *string }{
		{&dst.HeadComment, &src.HeadComment},
		{&dst.LineComment, &src.LineComment},
		{&dst.FootComment, &src.FootComment},
	} {
		if *c.src != "" {
			*c.dst = *c.src
		}
	}
}

// within says where in an object an error is.
func within(at string, err error) error {
	if err == nil || at == "" {
		return err
	}
	return fmt.Errorf("%s: %w", at, err)
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
