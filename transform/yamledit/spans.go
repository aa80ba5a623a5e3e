package yamledit

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// span tells where a node is in the text.
type span struct {
	indicator int // behind the ":" or "-" that the node belongs to, before any blank
	start     int // of the node with its anchor and tag
	body      int // of the node with its tag, but without its anchor
	content   int // of the node without its anchor and its tag
	end       int // behind the node; a block scalar ends before its last line break
	flow      bool
}

// errLocate is the inner failure of a text whose values cannot be located, as the parser sees
// other things in it than the scanner.
var errLocate = errors.New("the value cannot be located in the text")

// tree is a parsed document and the place of each of its nodes.
type tree struct {
	text  []byte
	root  *yaml.Node // the content of the document, nil if there is none
	spans spans
	json  bool
}

// span returns where a node of the document is. It is nowhere if an edit made it.
func (t *tree) span(n *yaml.Node) span { return t.spans.of(n) }

// spans are the places of the nodes of a document. The column of a node, which nobody asks for, is the number of its
// place: a map from nodes to places takes three times the memory.
type spans []place32

// place32 is a span in half of the memory. No file is so large that it needs more.
type place32 struct {
	indicator, start, body, content, end int32
	flow                                 bool
}

func (s *spans) add(n *yaml.Node, at span) {
	*s = append(*s, place32{int32(at.indicator), int32(at.start), int32(at.body), int32(at.content), int32(at.end), at.flow}) //nolint:gosec // below MaxBytes
	n.Column = len(*s)
}

func (s spans) of(n *yaml.Node) span {
	if n.Column == 0 {
		return span{}
	}
	at := s[n.Column-1]
	return span{int(at.indicator), int(at.start), int(at.body), int(at.content), int(at.end), at.flow}
}

// scanner walks over the text along the parsed nodes. The nodes say what comes next, so it only
// has to find where that ends.
type scanner struct {
	text  []byte
	pos   int
	spans spans
	depth int
}

// locate finds the spans of all nodes of a document.
func locate(text []byte, root *yaml.Node) (spans, error) {
	s := &scanner{text: text, spans: make(spans, 0, size(root))}
	s.directives()
	s.blank()
	if isMarker(text[s.pos:], "---") && s.column(s.pos) == 0 {
		s.pos += 3
	}
	if err := s.node(root, -1, false); err != nil {
		return nil, err
	}
	s.blank()
	if s.pos < len(text) && !isMarker(text[s.pos:], "...") {
		return nil, errLocate
	}
	return s.spans, nil
}

// size counts a node and all that are in it.
func size(n *yaml.Node) int {
	nodes := 1
	for _, child := range n.Content {
		nodes += size(child)
	}
	return nodes
}

// directives skips the directives before the document, and comments between them.
func (s *scanner) directives() {
	for pos := 0; pos < len(s.text); pos = nextLine(s.text, pos) {
		line := bytes.TrimSpace(s.text[pos:nextLine(s.text, pos)])
		if s.text[pos] == '%' {
			s.pos = nextLine(s.text, pos)
		} else if len(line) > 0 && line[0] != '#' {
			return
		}
	}
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

// column counts characters, as the indentation of YAML does.
func (s *scanner) column(pos int) int {
	return utf8.RuneCount(s.text[lineStart(s.text, pos):pos])
}

// blank skips white space, line breaks and comments.
func (s *scanner) blank() {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			s.pos++
		case c == '#' && (s.pos == 0 || strings.IndexByte(" \t\r\n", s.text[s.pos-1]) >= 0):
			s.pos = lineEnd(s.text, s.pos)
		default:
			return
		}
	}
}

func isEmpty(n *yaml.Node) bool {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&quoted == 0
}

// node locates one node. indent is the column of the block collection around it.
func (s *scanner) node(n *yaml.Node, indent int, flow bool) error {
	if s.depth++; s.depth > maxDepth {
		return errDepth
	}
	defer func() { s.depth-- }()
	sp := span{indicator: s.pos, flow: flow}
	if isEmpty(n) && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		sp.start, sp.body, sp.content, sp.end = s.pos, s.pos, s.pos, s.pos
		s.spans.add(n, sp)
		return nil
	}
	s.blank()
	sp.start, sp.body = s.pos, s.pos
	s.properties(n, &sp)
	if isEmpty(n) {
		sp.content, sp.end = s.pos, s.pos
		s.spans.add(n, sp)
		return nil
	}
	s.blank()
	sp.content = s.pos
	if n.Anchor != "" && sp.body <= sp.indicator {
		sp.body = sp.content
	}
	err := s.content(n, indent, flow)
	sp.end = s.pos
	s.spans.add(n, sp)
	return err
}

// properties skips the anchor and the tag of a node. The anchor stays when the node is replaced:
// the place behind it becomes the indicator, and the body begins there.
func (s *scanner) properties(n *yaml.Node, sp *span) {
	for s.pos < len(s.text) && n.Kind != yaml.AliasNode && (s.text[s.pos] == '&' || s.text[s.pos] == '!') {
		anchor := s.text[s.pos] == '&'
		for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) < 0 && (!sp.flow || strings.IndexByte(",]}", s.text[s.pos]) < 0) {
			s.pos++
		}
		if anchor {
			sp.indicator, sp.body = s.pos, s.pos
		}
		here := s.pos
		s.blank()
		if !s.at('&') && !s.at('!') {
			s.pos = here
			return
		}
		if anchor {
			sp.body = s.pos // a tag behind the anchor goes with the value
		}
	}
}

func (s *scanner) content(n *yaml.Node, indent int, flow bool) error {
	switch n.Kind {
	case yaml.AliasNode:
		if !s.at('*') {
			return errLocate
		}
		s.pos += 1 + len(n.Value)
		return nil
	case yaml.ScalarNode:
		return s.scalar(n, indent, flow)
	case yaml.MappingNode:
		if n.Style&yaml.FlowStyle != 0 {
			return s.flowMap(n)
		}
		return s.blockMap(n)
	case yaml.SequenceNode:
		if n.Style&yaml.FlowStyle != 0 {
			return s.flowList(n)
		}
		return s.blockList(n)
	default:
		return errLocate
	}
}

func (s *scanner) blockMap(n *yaml.Node) error {
	indent := s.column(s.pos)
	for i := 0; i < len(n.Content); i += 2 {
		s.blank()
		if explicit := s.at('?') && s.blankAt(s.pos+1); explicit {
			s.pos++
		}
		if s.column(s.pos) != indent && !s.blankAt(s.pos) {
			return errLocate
		}
		if err := s.pair(n.Content[i], n.Content[i+1], indent, false); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) blankAt(pos int) bool {
	return pos >= len(s.text) || strings.IndexByte(" \t\r\n", s.text[pos]) >= 0
}

func (s *scanner) pair(key, value *yaml.Node, indent int, flow bool) error {
	if err := s.node(key, indent, flow); err != nil {
		return err
	}
	here := s.pos
	s.blank()
	if !s.at(':') {
		s.pos = here // a key without a value
	} else {
		s.pos++
	}
	return s.node(value, indent, flow)
}

func (s *scanner) blockList(n *yaml.Node) error {
	indent := s.column(s.pos)
	for _, item := range n.Content {
		s.blank()
		if !s.at('-') || !s.blankAt(s.pos+1) || s.column(s.pos) != indent {
			return errLocate
		}
		s.pos++
		if err := s.node(item, indent, false); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) flowMap(n *yaml.Node) error {
	if !s.at('{') {
		return errLocate
	}
	s.pos++
	for i := 0; i < len(n.Content); i += 2 {
		s.separator()
		if s.at('?') && s.blankAt(s.pos+1) {
			s.pos++
		}
		if err := s.pair(n.Content[i], n.Content[i+1], 0, true); err != nil {
			return err
		}
	}
	return s.closing('}')
}

func (s *scanner) flowList(n *yaml.Node) error {
	if !s.at('[') {
		return errLocate
	}
	s.pos++
	for _, item := range n.Content {
		s.separator()
		if item.Kind != yaml.MappingNode || s.at('{') || s.at('&') || s.at('!') {
			if err := s.node(item, 0, true); err != nil {
				return err
			}
			continue
		}
		// A single pair without braces, as in [a: b].
		start := s.pos
		if s.at('?') && s.blankAt(s.pos+1) {
			s.pos++
		}
		if len(item.Content) != 2 {
			return errLocate
		}
		if err := s.pair(item.Content[0], item.Content[1], 0, true); err != nil {
			return err
		}
		s.spans.add(item, span{indicator: start, start: start, body: start, content: start, end: s.pos, flow: true})
	}
	return s.closing(']')
}

// separator skips to the next entry of a flow collection.
func (s *scanner) separator() {
	s.blank()
	if s.at(',') {
		s.pos++
		s.blank()
	}
}

func (s *scanner) closing(c byte) error {
	s.separator()
	if !s.at(c) {
		return errLocate
	}
	s.pos++
	return nil
}

func (s *scanner) scalar(n *yaml.Node, indent int, flow bool) error {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return s.doubleQuoted()
	case n.Style&yaml.SingleQuotedStyle != 0:
		return s.singleQuoted()
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return s.blockScalar(indent)
	default:
		return s.plain(n, indent, flow)
	}
}

func (s *scanner) doubleQuoted() error {
	if !s.at('"') {
		return errLocate
	}
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '\\':
			s.pos++
		case '"':
			s.pos++
			return nil
		}
	}
	return errLocate
}

func (s *scanner) singleQuoted() error {
	if !s.at('\'') {
		return errLocate
	}
	for s.pos++; s.pos < len(s.text); s.pos++ {
		if s.text[s.pos] != '\'' {
			continue
		}
		s.pos++
		if !s.at('\'') {
			return nil
		}
	}
	return errLocate
}

// plain finds the end of an unquoted scalar, which may go on over lines that are indented deeper
// than the collection around it.
func (s *scanner) plain(n *yaml.Node, indent int, flow bool) error {
	start := s.pos
	s.plainLine(flow)
	first := string(s.text[start:s.pos])
	if first == n.Value {
		return nil
	}
	for {
		end := s.pos
		for s.pos < len(s.text) && s.blankAt(s.pos) {
			s.pos++
		}
		stop := s.pos == len(s.text) || s.at('#') || !flow && s.column(s.pos) <= indent || lineEnd(s.text, end) >= s.pos
		line := s.pos
		if !stop {
			s.plainLine(flow)
		}
		if stop || s.pos == line {
			s.pos = end
			break
		}
	}
	if s.pos == start {
		return errLocate
	}
	return nil
}

// plainLine skips the rest of a plain scalar within one line, without trailing blanks.
func (s *scanner) plainLine(flow bool) {
	end := s.pos
	for i := s.pos; i < len(s.text); i++ {
		c := s.text[i]
		if c == '\n' || c == '\r' || c == ':' && s.blankAt(i+1) || c == '#' && i > s.pos && s.blankAt(i-1) {
			break
		}
		if flow && strings.IndexByte(",?[]{}", c) >= 0 {
			break
		}
		if c != ' ' && c != '\t' {
			end = i + 1
		}
	}
	s.pos = end
}

// blockScalar finds the end of a literal or folded scalar.
func (s *scanner) blockScalar(indent int) error {
	if !s.at('|') && !s.at('>') {
		return errLocate
	}
	keep, explicit := false, 0
	i := s.pos + 1
	for ; i < len(s.text) && !s.blankAt(i); i++ {
		switch c := s.text[i]; {
		case c == '+':
			keep = true
		case c >= '1' && c <= '9':
			explicit = int(c - '0')
		case c != '-':
			return errLocate
		}
	}
	s.pos = lineEnd(s.text, i)
	inner := 0
	if explicit > 0 {
		inner = max(indent, 0) + explicit
	}
	for line := nextLine(s.text, s.pos); line < len(s.text); line = nextLine(s.text, line) {
		end := lineEnd(s.text, line)
		spaces := end - line - len(bytes.TrimLeft(s.text[line:end], " "))
		switch {
		case line+spaces == end && (inner == 0 || spaces <= inner):
			if keep {
				s.pos = end
			}
			continue
		case inner == 0:
			inner = max(spaces, indent+1, 1)
		}
		if spaces < inner || inner == 0 || isMarker(s.text[line:], "...") && spaces == 0 {
			return nil
		}
		s.pos = end
	}
	return nil
}
