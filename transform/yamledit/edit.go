package yamledit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxBytes is the size of the largest file that can be edited.
	MaxBytes = 16 << 20

	maxDepth = 200

	// maxWork bounds what the edits of one file may cost in time, in bytes of parsed text: each edit
	// parses its document anew.
	maxWork = 128 << 20

	byteOrderMark = "\xef\xbb\xbf"
)

var (
	// ErrTooLarge is wrapped by errors about files, or results, larger than MaxBytes.
	ErrTooLarge = fmt.Errorf("the file is larger than %d MiB", MaxBytes>>20)

	// ErrWork is wrapped by errors about too many edits of too large documents.
	ErrWork = fmt.Errorf("the edits of the file would parse more than %d MiB of it: make fewer edits, or split the file or its documents", maxWork>>20)

	errDepth = fmt.Errorf("nested deeper than %d", maxDepth)
)

// Edit sets one value.
type Edit struct {
	// Path is where the value goes, in the grammar of ParsePath. Missing maps and lists are
	// created; an index beyond the end of a list fills it up with null.
	Path string
	// Value is nil, a bool, a number, a string, []any or map[string]any.
	Value any
	// Document is the index of the document in the file, from 0.
	Document *int
	// Selector chooses the document by its content instead. Without both, the value goes into
	// the first document that has all of the path, or else into the first one that has its
	// parent, or else into the one that has the most of it.
	Selector *Selector
}

// Selector chooses the document of a Kubernetes object. An empty field fits every document.
type Selector struct {
	// Kind is the kind of the object.
	Kind string
	// Name is the name in the metadata of the object.
	Name string
}

// EditError says which edit could not be done.
type EditError struct {
	// Index is the index of the edit.
	Index int
	// Path is its path.
	Path string
	// Err is the reason.
	Err error
}

// Error implements error.
func (e *EditError) Error() string { return fmt.Sprintf("set %s: %v", e.Path, e.Err) }

// Unwrap makes errors.Is see the reason.
func (e *EditError) Unwrap() error { return e.Err }

// file is a file under edit, cut into documents.
type file struct {
	docs    []*document
	json    bool
	size    int          // of all documents
	work    int          // that is left, in bytes of parsed text
	stopped func() error // of the context
}

type document struct {
	text []byte
	tree *tree // nil until needed

	edited bool // then it has values that may be secret
}

// Apply carries out edits, one after the other, and returns the new content. A file that is JSON
// stays JSON. Errors are ErrTooLarge, ErrTooMany or an *EditError, which may wrap ErrWork or the error
// of the context; content is never changed.
func Apply(ctx context.Context, content []byte, edits []Edit) ([]byte, error) {
	if err := affordable(content); err != nil {
		return nil, err
	}
	text, bom := bytes.CutPrefix(content, []byte(byteOrderMark))
	f := open(text)
	f.stopped = ctx.Err
	for i, e := range edits {
		path, err := ParsePath(e.Path)
		if err == nil {
			err = f.apply(path, e)
		}
		if err != nil {
			return nil, &EditError{Index: i, Path: e.Path, Err: err}
		}
	}
	out := f.bytes()
	if bom {
		out = append([]byte(byteOrderMark), out...)
	}
	return out, nil
}

// affordable refuses content that is too large to be parsed, or of no known encoding.
func affordable(content []byte) error {
	if len(content) > MaxBytes {
		return ErrTooLarge
	}
	if bytes.HasPrefix(content, []byte("\xfe\xff")) || bytes.HasPrefix(content, []byte("\xff\xfe")) {
		return errors.New("the file is in UTF-16, only UTF-8 can be edited")
	}
	return CheckValues(content)
}

func open(text []byte) *file {
	f := &file{size: len(text), work: maxWork, stopped: func() error { return nil }}
	if isJSON(text) {
		f.json, f.docs = true, []*document{{text: text}}
		return f
	}
	for _, c := range split(text) {
		f.docs = append(f.docs, &document{text: text[c.start:c.end]})
	}
	return f
}

func (f *file) bytes() []byte {
	parts := make([][]byte, len(f.docs))
	for i, d := range f.docs {
		parts[i] = d.text
	}
	return bytes.Join(parts, nil)
}

// spend accounts for work that is about to be done.
func (f *file) spend(n int) error {
	if err := f.stopped(); err != nil {
		return fmt.Errorf("the edits were stopped: %w", err)
	}
	if f.work -= n; f.work < 0 {
		return ErrWork
	}
	return nil
}

// visit accounts for looking into a parsed document, which is much faster than parsing it.
func (f *file) visit(d *document) error { return f.spend(64 + len(d.text)/64) }

func (f *file) apply(path Path, e Edit) error {
	if err := f.spend(0); err != nil {
		return err
	}
	value, err := toNode(e.Value, 0)
	if err != nil {
		return err
	}
	d, err := f.choose(path, e)
	if err != nil {
		return err
	}
	before := len(d.text)
	if err := f.set(d, path, value); err != nil {
		return f.within(d, err)
	}
	if f.size += len(d.text) - before; f.size > MaxBytes {
		return fmt.Errorf("the result: %w", ErrTooLarge)
	}
	return nil
}

// within says which document an error is about, as lines are counted within each.
func (f *file) within(d *document, err error) error {
	line := 1
	for i, other := range f.docs {
		if other == d && len(f.docs) > 1 {
			return fmt.Errorf("document %d, whose line 1 is line %d of the file: %w", i, line, err)
		}
		line += bytes.Count(other.text, []byte("\n"))
	}
	return err
}

// parse parses a document of the file unless that is done.
func (f *file) parse(d *document) (*tree, error) {
	if d.tree != nil {
		return d.tree, nil
	}
	err := f.spend(len(d.text))
	if err != nil {
		return nil, err
	}
	if f.json {
		d.tree, err = parseJSON(d.text)
	} else {
		d.tree, err = parseYAML(d.text)
	}
	return d.tree, err
}

func (f *file) choose(path Path, e Edit) (*document, error) {
	switch {
	case e.Document != nil && e.Selector != nil:
		return nil, errors.New("document and selector cannot be given both")
	case e.Document != nil:
		if i := *e.Document; i >= 0 && i < len(f.docs) {
			return f.docs[i], nil
		}
		return nil, fmt.Errorf("document %d is not in the file, which has %d, counted from 0", *e.Document, len(f.docs))
	case e.Selector != nil:
		return f.selected(*e.Selector)
	case len(f.docs) == 1:
		return f.docs[0], nil
	default:
		return f.fitting(path)
	}
}

// selected finds the one document that a selector fits.
func (f *file) selected(s Selector) (*document, error) {
	const most = 10
	var found *document
	var there []string
	more := ""
	for i, d := range f.docs {
		if err := f.visit(d); err != nil {
			return nil, err
		}
		t, err := f.parse(d)
		if err != nil {
			return nil, f.within(d, err)
		}
		kind, name := text(find(t.root, "kind")), text(find(find(t.root, "metadata"), "name"))
		switch {
		case len(there) == most:
			more = ", ..."
		case d.edited:
			there = append(there, fmt.Sprintf("document %d, changed before", i))
		default:
			there = append(there, kind+" "+strconv.Quote(name))
		}
		if s.Kind != "" && s.Kind != kind || s.Name != "" && s.Name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("the selector with kind %q and name %q fits more than one document: name both, or use the index of the document", s.Kind, s.Name)
		}
		found = d
	}
	if found == nil {
		return nil, fmt.Errorf("no document has kind %q and name %q, there are: %s%s", s.Kind, s.Name, strings.Join(there, ", "), more)
	}
	return found, nil
}

// fitting finds the first document that has all of a path. If none has, it is the first one that has the
// parent of the path, or else the most of it. A path of which nothing is there goes to the first
// document with something in it.
func (f *file) fitting(path Path) (*document, error) {
	best, most := f.docs[0], -1
	for _, d := range f.docs {
		if err := f.visit(d); err != nil {
			return nil, err
		}
		t, err := f.parse(d)
		if err != nil {
			return nil, f.within(d, err)
		}
		if t.root == nil || isEmpty(t.root) {
			continue
		}
		p, err := resolve(t, path)
		if err == nil && len(p.rest) == 0 {
			return d, nil
		}
		there := min(len(path)-len(p.rest), len(path)-1)
		if err == nil || there > 0 { // else it is a list where a map is wanted, or so
			there++
		}
		if there > most {
			best, most = d, there
		}
	}
	return best, nil
}

// find returns the value of a key, nil if it is not there.
func find(n *yaml.Node, key string) *yaml.Node {
	if i := keyIndex(n, key); i >= 0 {
		return n.Content[i+1]
	}
	return nil
}

func keyIndex(n *yaml.Node, key string) int {
	if n == nil || n.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key && k.ShortTag() != "!!merge" {
			return i
		}
	}
	return -1
}

func text(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// place is where a path leads.
type place struct {
	parent *yaml.Node // the collection with the node, nil for the root
	index  int        // of the node in the content of the parent
	node   *yaml.Node // nil if the document is empty
	rest   Path       // the steps that are not there
}

// resolve follows a path as far as the document goes.
func resolve(t *tree, path Path) (place, error) {
	p := place{node: t.root}
	for i, step := range path {
		p.rest = path[i:]
		if p.node == nil || p.node.Kind == yaml.ScalarNode && p.node.ShortTag() == "!!null" {
			return p, nil
		}
		index, err := enter(p.node, step, path[:i], i == len(path)-1)
		if err != nil || index < 0 {
			return p, err
		}
		p.parent, p.index, p.node = p.node, index, p.node.Content[index]
	}
	p.rest = nil
	return p, nil
}

// enter returns the index of a step in the content of a node, -1 if it can be created there.
func enter(n *yaml.Node, step Step, at Path, last bool) (int, error) {
	where := "the document"
	if len(at) > 0 {
		where = at.String()
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return 0, fmt.Errorf("%s is an alias of the anchor %q (line %d): edit the anchored value instead", where, n.Value, n.Line)
	case n.Kind == yaml.SequenceNode && step.Index < 0:
		return 0, fmt.Errorf("%s is a list, an element of it is written like %s[0]", where, at)
	case n.Kind == yaml.SequenceNode && step.Index >= len(n.Content):
		return -1, nil
	case n.Kind == yaml.SequenceNode:
		return step.Index, nil
	case n.Kind == yaml.MappingNode && step.Index >= 0:
		return 0, fmt.Errorf("%s is a map, [%d] is an element of a list", where, step.Index)
	case n.Kind == yaml.MappingNode:
		return enterMap(n, step.Key, where, last)
	default:
		return 0, fmt.Errorf("%s is %s, it has nothing inside", where, article(n)) // the value may be secret
	}
}

func enterMap(n *yaml.Node, key, where string, last bool) (int, error) {
	if i := keyIndex(n, key); i >= 0 {
		return i + 1, nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() == "!!merge" && !last {
			return 0, fmt.Errorf("%s has no key %q of its own, and merges others with \"<<\": edit what is merged instead", where, key)
		}
	}
	return -1, nil
}

// article names the type of a scalar.
func article(n *yaml.Node) string {
	switch n.ShortTag() {
	case "!!str":
		return "a text"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	default:
		return "a scalar"
	}
}

// nest wraps a value into the collections that the steps ask for.
func nest(steps Path, value *yaml.Node) *yaml.Node {
	for _, step := range slices.Backward(steps) {
		if step.Index < 0 {
			value = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{stringNode(step.Key), value}}
			continue
		}
		value = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: padded(0, step.Index, value)}
	}
	return value
}

// padded is what a list of a length needs appended so that the value has an index.
func padded(length, index int, value *yaml.Node) []*yaml.Node {
	var items []*yaml.Node
	for range index - length {
		items = append(items, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"})
	}
	return append(items, value)
}
