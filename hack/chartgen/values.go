package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// values is what values.yaml says: a tree of keys in their order.
type values struct {
	file string
	keys []*value
	// defaults is the whole file, decoded.
	defaults any
}

// value is one key with what its comment says.
type value struct {
	path    string // as in image.tag
	name    string
	line    int
	text    string
	section string
	// said is what @schema says, nil if it says nothing.
	said map[string]any
	// standard is the default, as it is decoded, and node the same with its form.
	standard any
	node     *yaml.Node
	children []*value
}

// leaf tells whether the value is one row of the table and one schema: it has no keys, or free ones.
func (v *value) leaf() bool {
	return v.node.Kind != yaml.MappingNode || v.free() || len(v.node.Content) == 0
}

// free tells whether users may put any keys into the mapping.
func (v *value) free() bool {
	for _, key := range []string{"additionalProperties", "patternProperties", "$ref"} {
		if said, ok := v.said[key]; ok && said != false {
			return true
		}
	}
	return false
}

// empty tells whether the default is null, or nothing of its type.
func (v *value) empty() bool {
	switch standard := v.standard.(type) {
	case nil:
		return true
	case string:
		return standard == ""
	case []any:
		return len(standard) == 0
	case map[string]any:
		return len(standard) == 0
	default:
		return false
	}
}

// reader collects all that is wrong with a file.
type reader struct {
	file  string
	lines []string
	errs  []error
}

func readValues(file string) (*values, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the values of the chart: %w", err)
	}
	return parseValues(file, content)
}

func parseValues(file string, content []byte) (*values, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: must be a mapping of values", file)
	}
	r := &reader{file: file, lines: strings.Split(string(content), "\n")}
	found := &values{file: file, keys: r.mapping(document.Content[0], "")}
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	if err := document.Decode(&found.defaults); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return found, nil
}

// fail notes what is wrong with a key.
func (r *reader) fail(line int, path, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s: %w", r.file, line, path, fmt.Errorf(format, args...)))
}

func (r *reader) mapping(node *yaml.Node, prefix string) []*value {
	var found []*value
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		v := r.value(key, node.Content[i+1], prefix+key.Value)
		if before, twice := lines[key.Value]; twice {
			r.fail(key.Line, v.path, "is in line %d already; give it one place", before)
			continue
		}
		lines[key.Value] = key.Line
		found = append(found, v)
	}
	return found
}

func (r *reader) value(key, node *yaml.Node, path string) *value {
	v := &value{path: path, name: key.Value, line: key.Line, node: node}
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		r.fail(key.Line, path, "is an anchor or an alias; write the value out, so that it can be read where it is")
		return v
	}
	if err := node.Decode(&v.standard); err != nil {
		r.fail(key.Line, path, "%w", err)
		return v
	}
	r.comment(v, r.above(key))
	if !v.leaf() {
		v.children = r.mapping(node, path+".")
	}
	return v
}

// above returns the lines of the comment that ends above a key, without their marks. The comments that the YAML library attaches
// are not used: it gives some of them to the key before.
func (r *reader) above(key *yaml.Node) []string {
	indent := strings.Repeat(" ", key.Column-1) + "#"
	first := key.Line - 1
	for first > 0 && strings.HasPrefix(r.lines[first-1], indent) {
		first--
	}
	var lines []string
	for _, line := range r.lines[first : key.Line-1] {
		lines = append(lines, strings.TrimPrefix(strings.TrimPrefix(line, indent), " "))
	}
	return lines
}

// comment reads what a comment says about a value.
func (r *reader) comment(v *value, lines []string) {
	var text []string
	reading := false
	for _, line := range lines {
		if words, ok := strings.CutPrefix(line, "-- "); ok {
			text, reading = []string{strings.TrimSpace(words)}, true
			continue
		}
		if !strings.HasPrefix(line, "@") {
			if reading {
				text = append(text, strings.TrimSpace(line))
			}
			continue
		}
		reading = false
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "@schema":
			r.schema(v, rest)
		case "@section":
			v.section = strings.TrimSpace(rest)
		default:
			r.fail(v.line, v.path, "has %s in its comment; known are @schema and @section", word)
		}
	}
	v.text = paragraphs(text)
	switch {
	case v.text == "":
		r.fail(v.line, v.path, `has no description; put "# -- What it is for." in the line above`)
	case !strings.HasSuffix(v.text, "."):
		r.fail(v.line, v.path, "has a description that doesn't end with a full stop")
	}
}

func (r *reader) schema(v *value, text string) {
	var said map[string]any
	if err := yaml.Unmarshal([]byte(text), &said); err != nil {
		r.fail(v.line, v.path, "has an @schema that is no mapping in one line: %w", err)
		return
	}
	if v.said == nil {
		v.said = map[string]any{}
	}
	maps.Copy(v.said, said)
}

// paragraphs joins the lines of a text; empty ones part it.
func paragraphs(lines []string) string {
	var joined []string
	for paragraph := range strings.SplitSeq(strings.Join(lines, "\n"), "\n\n") {
		if words := strings.Fields(paragraph); len(words) > 0 {
			joined = append(joined, strings.Join(words, " "))
		}
	}
	return strings.Join(joined, "\n\n")
}
