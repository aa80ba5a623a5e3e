package v1alpha1

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth bounds how deep values are nested, and ends anchors that contain themselves.
	maxDepth = 100
	// maxNodes bounds how many values a file yields, since a few anchors can stand for very many.
	maxNodes = 200_000
	// maxText bounds the text of these values, since an anchor can repeat a long one. No file without anchors has more.
	maxText = MaxBytes
	// maxShown is how much of a key the path of a field shows: with whole ones, reading takes time with the square of their length.
	maxShown = 256
)

// decoder turns nodes into values and counts them.
type decoder struct {
	nodes, depth int
	bytes        int // of text
}

// field decodes one field of an object; path is where it stands.
type field func(node *yaml.Node, path string) error

// optional takes null for a field that is left out.
func optional(decode field) field {
	return func(node *yaml.Node, path string) error {
		if isNull(node) {
			return nil
		}
		return decode(node, path)
	}
}

// fields are the known fields of an object.
type fields map[string]field

func problem(node *yaml.Node, path, format string, args ...any) error {
	return &FieldError{Line: node.Line, Path: path, Problem: fmt.Sprintf(format, args...)}
}

// enter counts a node and follows an alias to what it stands for. What has entered leaves with d.depth--.
func (d *decoder) enter(node *yaml.Node, path string) (*yaml.Node, error) {
	d.nodes++
	d.depth++
	if d.nodes > maxNodes {
		return nil, problem(node, path, "the file holds more than %d values: use fewer anchors", maxNodes)
	}
	if d.depth > maxDepth {
		return nil, problem(node, path, "it is nested deeper than %d levels", maxDepth)
	}
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node, d.count(node, path)
}

// count counts the text of a node.
func (d *decoder) count(node *yaml.Node, path string) error {
	if d.bytes += len(node.Value); d.bytes > maxText {
		return problem(node, path, "the file holds more than %d bytes of text: use fewer anchors", maxText)
	}
	return nil
}

// object decodes a mapping all of whose keys must be known.
func (d *decoder) object(node *yaml.Node, path string, known fields) error {
	entries, err := d.entries(node, path)
	if err != nil {
		return err
	}
	defer func() { d.depth-- }()
	for _, entry := range entries {
		decode, ok := known[entry.key]
		if !ok {
			names := strings.Join(slices.Sorted(maps.Keys(known)), ", ")
			return problem(entry.node, join(path, entry.key), "unknown field %q: known here are %s", entry.key, names)
		}
		if err := decode(entry.value, join(path, entry.key)); err != nil {
			return err
		}
	}
	return nil
}

type entry struct {
	key         string
	node, value *yaml.Node
}

// entries returns the entries of a mapping, with those it merges from anchors, and leaves the decoder one level deeper.
func (d *decoder) entries(node *yaml.Node, path string) ([]entry, error) {
	node, err := d.enter(node, path)
	if err != nil {
		return nil, err
	}
	if node.Kind != yaml.MappingNode {
		return nil, problem(node, path, "it is %s: it must be a mapping", describe(node))
	}
	seen := map[string]bool{}
	var own, merged []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return nil, problem(key, path, "it has a key that is %s: keys must be text", describe(key))
		}
		if err := d.count(key, path); err != nil {
			return nil, err
		}
		if key.ShortTag() == "!!merge" {
			more, err := d.merge(value, path)
			if err != nil {
				return nil, err
			}
			merged = append(merged, more...)
			continue
		}
		if seen[key.Value] {
			return nil, problem(key, join(path, key.Value), "it occurs twice: keep one")
		}
		seen[key.Value] = true
		own = append(own, entry{key.Value, key, value})
	}
	for _, e := range merged {
		if !seen[e.key] {
			seen[e.key] = true
			own = append(own, e)
		}
	}
	return own, nil
}

// merge returns the entries of the mapping, or of the list of mappings, that a merge key names; the first of them wins.
func (d *decoder) merge(node *yaml.Node, path string) ([]entry, error) {
	target := node
	if target.Kind == yaml.AliasNode {
		target = target.Alias
	}
	sources := []*yaml.Node{node}
	if target.Kind == yaml.SequenceNode {
		sources = target.Content
	}
	var all []entry
	for _, source := range sources {
		entries, err := d.entries(source, path)
		if err != nil {
			return nil, err
		}
		d.depth--
		d.nodes += len(entries)
		all = append(all, entries...)
	}
	return all, nil
}

// list decodes a sequence, each item by the given function.
func list[T any](d *decoder, target *[]T, decode func(*yaml.Node, string) (T, error)) field {
	return optional(func(node *yaml.Node, path string) error {
		node, err := d.enter(node, path)
		if err != nil {
			return err
		}
		defer func() { d.depth-- }()
		if node.Kind != yaml.SequenceNode {
			return problem(node, path, "it is %s: it must be a list", describe(node))
		}
		for i, item := range node.Content {
			decoded, err := decode(item, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return err
			}
			*target = append(*target, decoded)
		}
		return nil
	})
}

func (d *decoder) text(target *string) field {
	return optional(func(node *yaml.Node, path string) error {
		value, err := d.value(node, path)
		if err != nil {
			return err
		}
		text, ok := value.(string)
		if !ok {
			return problem(node, path, "it is %s: it must be text; put it in quotes", describe(node))
		}
		*target = text
		return nil
	})
}

func (d *decoder) texts(target *map[string]string) field {
	return optional(func(node *yaml.Node, path string) error {
		entries, err := d.entries(node, path)
		if err != nil {
			return err
		}
		defer func() { d.depth-- }()
		texts := make(map[string]string, len(entries))
		for _, entry := range entries {
			var text string
			if err := d.text(&text)(entry.value, join(path, entry.key)); err != nil {
				return err
			}
			texts[entry.key] = text
		}
		*target = texts
		return nil
	})
}

func (d *decoder) index(target **int) field {
	return optional(func(node *yaml.Node, path string) error {
		value, err := d.value(node, path)
		if err != nil {
			return err
		}
		number, ok := value.(int64)
		if !ok || number < 0 || number > math.MaxInt32 {
			return problem(node, path, "it must be a whole number from 0")
		}
		index := int(number)
		*target = &index
		return nil
	})
}

func (d *decoder) mapping(target *map[string]any) field {
	return optional(func(node *yaml.Node, path string) error {
		value, err := d.value(node, path)
		if err != nil {
			return err
		}
		object, ok := value.(map[string]any)
		if !ok {
			return problem(node, path, "it is %s: it must be a mapping", describe(node))
		}
		*target = object
		return nil
	})
}

// value turns a node into nil, bool, int64, float64, string, []any or map[string]any.
func (d *decoder) value(node *yaml.Node, path string) (any, error) {
	kind := node.Kind
	if kind == yaml.AliasNode {
		kind = node.Alias.Kind
	}
	switch kind {
	case yaml.MappingNode:
		entries, err := d.entries(node, path)
		if err != nil {
			return nil, err
		}
		defer func() { d.depth-- }()
		object := make(map[string]any, len(entries))
		for _, entry := range entries {
			if object[entry.key], err = d.value(entry.value, join(path, entry.key)); err != nil {
				return nil, err
			}
		}
		return object, nil
	case yaml.SequenceNode:
		items := []any{}
		err := list(d, &items, d.value)(node, path)
		return items, err
	default:
		node, err := d.enter(node, path)
		if err != nil {
			return nil, err
		}
		defer func() { d.depth-- }()
		return scalar(node, path)
	}
}

// scalar turns a node into nil, bool, int64, float64 or string.
func scalar(node *yaml.Node, path string) (any, error) {
	if truth, ok := plainBool(node); ok {
		return truth, nil
	}
	var value any
	if err := node.Decode(&value); err != nil {
		return nil, problem(node, path, "it cannot be read: %v", err)
	}
	switch v := value.(type) {
	case nil, bool, int64, string:
		return v, nil
	case int:
		return int64(v), nil
	case time.Time:
		return node.Value, nil // a date is text, as it is in JSON
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, problem(node, path, "it is no number that JSON knows")
		}
		return v, nil
	default:
		return nil, problem(node, path, "it is %s: put it in quotes", describe(node))
	}
}

// plainBool reads the further spellings of true and false that Kubernetes manifests may use and the YAML parser leaves as text.
func plainBool(node *yaml.Node) (truth, ok bool) {
	if node.Style != 0 || node.ShortTag() != "!!str" {
		return false, false
	}
	switch node.Value {
	case "yes", "Yes", "YES", "on", "On", "ON", "y", "Y":
		return true, true
	case "no", "No", "NO", "off", "Off", "OFF", "n", "N":
		return false, true
	}
	return false, false
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

func describe(node *yaml.Node) string {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	default:
		if isNull(node) {
			return "empty"
		}
		return fmt.Sprintf("%q of the type %s", shorten(node.Value), strings.TrimPrefix(node.ShortTag(), "!!"))
	}
}

func shorten(text string) string {
	if runes := []rune(text); len(runes) > 40 {
		return string(runes[:40]) + "..."
	}
	return text
}

func join(path, key string) string {
	if len(key) > maxShown {
		key = strings.ToValidUTF8(key[:maxShown], "") + "..."
	}
	if path == "file" {
		return key
	}
	return path + "." + key
}
