package yamledit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// isJSON tells whether a text is one JSON object or array.
func isJSON(text []byte) bool {
	trimmed := bytes.TrimLeft(text, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(text)
}

// jsonScanner reads a valid JSON text into the same tree as YAML has. The YAML parser would not
// do: it refuses surrogate pairs, long keys and tabs.
type jsonScanner struct {
	scanner
}

func parseJSON(text []byte) (*tree, error) {
	s := &jsonScanner{scanner{text: text}}
	root, err := s.value()
	if err != nil {
		return nil, err
	}
	return &tree{text: text, root: root, spans: s.spans, json: true}, nil
}

func (s *jsonScanner) space() {
	s.pos += len(s.text[s.pos:]) - len(bytes.TrimLeft(s.text[s.pos:], " \t\r\n"))
}

func (s *jsonScanner) value() (*yaml.Node, error) {
	if s.depth++; s.depth > maxDepth {
		return nil, errDepth
	}
	defer func() { s.depth-- }()
	sp := span{indicator: s.pos, flow: true}
	s.space()
	sp.start, sp.body, sp.content = s.pos, s.pos, s.pos
	n := &yaml.Node{}
	var err error
	switch {
	case s.pos >= len(s.text):
		err = errLocate
	case s.at('{'):
		err = s.object(n)
	case s.at('['):
		err = s.array(n)
	case s.at('"'):
		err = s.str(n)
	default:
		s.bare(n)
	}
	sp.end = s.pos
	s.spans.add(n, sp)
	return n, err
}

func (s *jsonScanner) object(n *yaml.Node) error {
	n.Kind, n.Tag, n.Style = yaml.MappingNode, "!!map", yaml.FlowStyle
	seen := map[string]bool{}
	s.pos++
	for {
		s.space()
		if s.at('}') {
			s.pos++
			return nil
		}
		key, err := s.value()
		if err != nil {
			return err
		}
		if seen[key.Value] {
			return fmt.Errorf("the key %s is there twice", strconv.Quote(key.Value))
		}
		seen[key.Value] = true
		if s.space(); !s.at(':') {
			return errLocate
		}
		s.pos++
		value, err := s.value()
		if err != nil {
			return err
		}
		n.Content = append(n.Content, key, value)
		if err := s.comma('}'); err != nil {
			return err
		}
	}
}

// comma skips the comma behind an entry, if it is not the last one.
func (s *jsonScanner) comma(closing byte) error {
	s.space()
	if s.at(',') {
		s.pos++
		return nil
	}
	if !s.at(closing) {
		return errLocate
	}
	return nil
}

func (s *jsonScanner) array(n *yaml.Node) error {
	n.Kind, n.Tag, n.Style = yaml.SequenceNode, "!!seq", yaml.FlowStyle
	s.pos++
	for {
		s.space()
		if s.at(']') {
			s.pos++
			return nil
		}
		item, err := s.value()
		if err != nil {
			return err
		}
		n.Content = append(n.Content, item)
		if err := s.comma(']'); err != nil {
			return err
		}
	}
}

func (s *jsonScanner) str(n *yaml.Node) error {
	start := s.pos
	if err := s.doubleQuoted(); err != nil {
		return err
	}
	n.Kind, n.Tag, n.Style = yaml.ScalarNode, "!!str", yaml.DoubleQuotedStyle
	return json.Unmarshal(s.text[start:s.pos], &n.Value)
}

func (s *jsonScanner) bare(n *yaml.Node) {
	start := s.pos
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n,]}", s.text[s.pos]) < 0 {
		s.pos++
	}
	n.Kind, n.Value = yaml.ScalarNode, string(s.text[start:s.pos])
	n.Tag = n.ShortTag()
}

// parseYAML parses the text of one document.
func parseYAML(text []byte) (*tree, error) {
	var doc yaml.Node
	if err := unmarshal(text, &doc); err != nil {
		return nil, err
	}
	t := &tree{text: text}
	if doc.Kind == 0 || len(doc.Content) == 0 {
		return t, nil
	}
	t.root = doc.Content[0]
	if err := check(t.root, 0); err != nil {
		return nil, err
	}
	var err error
	t.spans, err = locate(text, t.root)
	if errors.Is(err, errLocate) {
		return nil, fmt.Errorf("the layout of the YAML is too unusual to be edited in place: %w", err)
	}
	return t, err
}

// version is the directive of a file in YAML 1, whatever its minor version.
var version = regexp.MustCompile(`^%YAML[ \t]+1\.\d+\b`)

// unmarshal parses the text of one document. The parser refuses the directive of YAML 1.2, although
// that is what it reads, so it gets blanks instead. The places of everything else stay as they are.
func unmarshal(text []byte, doc *yaml.Node) error {
	for pos := 0; pos < len(text); pos = nextLine(text, pos) {
		line := text[pos:lineEnd(text, pos)]
		if directive := version.Find(line); directive != nil {
			text = slices.Concat(text[:pos], bytes.Repeat([]byte(" "), len(directive)), text[pos+len(directive):])
			break
		}
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && text[pos] != '%' {
			break
		}
	}
	return yaml.Unmarshal(text, doc)
}

// check refuses what makes a document ambiguous or too deep.
func check(n *yaml.Node, depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	if n.Kind == yaml.MappingNode {
		seen := make(map[[2]string]int, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode {
				continue
			}
			id := [2]string{key.ShortTag(), key.Value}
			if line, ok := seen[id]; ok {
				return fmt.Errorf("the key %s is there twice, in lines %d and %d", strconv.Quote(key.Value), line, key.Line)
			}
			seen[id] = key.Line
		}
	}
	for _, child := range n.Content {
		if err := check(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}
