package yamledit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splice replaces a range of the text.
type splice struct {
	from, to int
	text     string
}

// surgeon computes the splices of one edit.
type surgeon struct {
	*tree
	writer
}

func (t *tree) column(pos int) int {
	s := scanner{text: t.text}
	return s.column(pos)
}

// set sets the value at a path of a document and proves that nothing else changed.
func (f *file) set(d *document, path Path, value *yaml.Node) error {
	t, err := f.parse(d)
	if err != nil {
		return err
	}
	candidates, want, err := f.ways(t, path, value)
	if err != nil || len(candidates) == 0 {
		return err // without a way the value is there already
	}
	text := t.text
	d.tree = nil // what comes next takes as much memory as the tree
	for _, splices := range candidates {
		next, err := f.try(text, splices)
		if stopped := f.spend(0); stopped != nil {
			return stopped
		}
		if err == nil && slices.Contains(want, meaning(next.root)) {
			d.text, d.tree, d.edited = next.text, next, true
			return nil
		}
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return errors.New("the value cannot be set without changing the text at the end of the file: end the file with a line break")
	}
	return errors.New("the value cannot be set without changing other parts of the file")
}

// ways returns how the value may be set and what the document may mean afterwards. The tree is of no use then. Without a
// way the value is there already.
func (f *file) ways(t *tree, path Path, value *yaml.Node) ([][]splice, []digest, error) {
	p, err := resolve(t, path)
	if err != nil {
		return nil, nil, err
	}
	s := surgeon{tree: t, writer: detect(t, f.lineBreak(t, p.node))}
	if len(p.rest) > 0 && p.node != nil && len(p.node.Content) > 0 {
		candidates := s.insert(p.node, p.rest, value)
		want := []digest{meaning(expect(t, p, value))}
		if n := len(p.node.Content); p.node.Kind == yaml.MappingNode { // a new key may be the first one as well
			p.node.Content = slices.Concat(p.node.Content[n-2:], p.node.Content[:n-2])
			want = append(want, meaning(t.root))
		}
		return candidates, want, nil
	}
	value = nest(p.rest, value)
	candidates, err := s.replace(p, value)
	if err != nil || len(candidates) == 0 {
		return nil, nil, err
	}
	return candidates, []digest{meaning(expect(t, p, value))}, nil
}

// lineBreak returns the line break of the place of an edit, so that in a file with both kinds the
// lines around it stay as they are, or else the first one of the file.
func (f *file) lineBreak(t *tree, n *yaml.Node) string {
	if n != nil {
		end := lineEnd(t.text, t.span(n).end)
		if next := nextLine(t.text, end); next > end {
			return string(t.text[end:next])
		}
	}
	for _, d := range f.docs {
		if next := nextLine(d.text, 0); next > lineEnd(d.text, 0) {
			return string(d.text[lineEnd(d.text, 0):next])
		}
	}
	return "\n"
}

// try applies splices and parses the result.
func (f *file) try(text []byte, splices []splice) (*tree, error) {
	slices.SortStableFunc(splices, func(a, b splice) int { return cmp.Compare(a.from, b.from) })
	var b bytes.Buffer
	pos := 0
	for _, s := range splices {
		if s.from < pos || s.to < s.from {
			return nil, errLocate
		}
		b.Write(text[pos:s.from])
		b.WriteString(s.text)
		pos = s.to
	}
	b.Write(text[pos:])
	if b.Len() > MaxBytes {
		return nil, ErrTooLarge
	}
	if err := f.spend(b.Len()); err != nil {
		return nil, err
	}
	if f.json {
		if !isJSON(b.Bytes()) {
			return nil, errLocate
		}
		return parseJSON(b.Bytes())
	}
	if len(split(b.Bytes())) != 1 {
		return nil, errLocate
	}
	return parseYAML(b.Bytes())
}

// expect changes the parsed tree into what the edit has to give.
func expect(t *tree, p place, value *yaml.Node) *yaml.Node {
	switch {
	case len(p.rest) > 0 && p.node != nil && len(p.node.Content) > 0:
		rest := nest(p.rest[1:], value)
		if p.rest[0].Index < 0 {
			p.node.Content = append(p.node.Content, stringNode(p.rest[0].Key), rest)
		} else {
			p.node.Content = append(p.node.Content, padded(len(p.node.Content), p.rest[0].Index, rest)...)
		}
		return t.root
	case p.node != nil:
		value.Anchor = p.node.Anchor
	}
	if p.parent == nil {
		return value
	}
	p.parent.Content[p.index] = value
	return t.root
}

// replace puts a value where a node is. No candidates mean that there is nothing to do.
func (s surgeon) replace(p place, value *yaml.Node) ([][]splice, error) {
	if p.node == nil || p.parent == nil && p.node.Anchor == "" && p.node.Style == 0 && isEmpty(p.node) {
		return s.fill(value), nil
	}
	if err := s.anchors(p.node); err != nil {
		return nil, err
	}
	if p.node.Kind == yaml.ScalarNode && sameScalar(p.node, value) && p.node.Style&yaml.TaggedStyle == 0 && !isEmpty(p.node) {
		return nil, nil
	}
	plain := s
	plain.literal = false
	var candidates [][]splice
	for _, way := range []surgeon{s, plain} {
		c := way.replacement(p, value)
		if way.blankAround(p.node, c) {
			candidates = append(candidates, c)
		}
	}
	if len(candidates) == 0 {
		return nil, errors.New("there is a comment within the value that would be lost: move it to a line above the key")
	}
	return candidates, nil
}

// blankAround tells whether splices take away nothing but white space outside of a node.
func (s surgeon) blankAround(n *yaml.Node, splices []splice) bool {
	sp := s.span(n)
	for _, c := range splices {
		before, after := s.text[c.from:max(c.from, min(c.to, sp.start))], s.text[min(c.to, max(c.from, sp.end)):c.to]
		if c.from < sp.start && len(bytes.TrimSpace(before)) > 0 || len(bytes.TrimSpace(after)) > 0 {
			return false
		}
	}
	return true
}

// anchors refuses to take away anchors that are used elsewhere. The one of the node itself stays.
func (s surgeon) anchors(n *yaml.Node) error {
	inside := map[*yaml.Node]bool{}
	walk(n, func(m *yaml.Node) { inside[m] = m != n })
	var lost *yaml.Node
	walk(s.root, func(m *yaml.Node) {
		if _, within := inside[m]; !within && m.Kind == yaml.AliasNode && inside[m.Alias] {
			lost = m
		}
	})
	if lost != nil {
		return fmt.Errorf("the value holds the anchor %q, which is used in line %d", lost.Value, lost.Line)
	}
	return nil
}

// fill puts a value into a document without one.
func (s surgeon) fill(value *yaml.Node) [][]splice {
	end := len(s.text)
	for pos := 0; pos < len(s.text); pos = nextLine(s.text, pos) {
		if isMarker(s.text[pos:], "...") {
			end = pos
		}
	}
	text := s.block(value, 0) + s.eol
	if end > 0 && s.text[end-1] != '\n' {
		text = s.eol + text
	}
	return [][]splice{{{end, end, text}}}
}

// replacement computes the splices that put a value where a node is.
func (s surgeon) replacement(p place, value *yaml.Node) []splice {
	sp := s.span(p.node)
	style := p.node.Style
	if p.node.Kind != yaml.ScalarNode {
		style = 0
	}
	collection := len(value.Content) > 0
	flowBefore := len(p.node.Content) > 0 && p.node.Style&yaml.FlowStyle != 0
	switch {
	case sp.flow || collection && flowBefore:
		text := s.flow(value, style, s.margin(sp.body))
		if sp.body == sp.indicator && sp.start == sp.end && p.parent != nil && p.parent.Kind == yaml.MappingNode {
			text = " " + text
		}
		return []splice{{sp.body, sp.end, text}}
	case collection:
		return s.collection(p, value, sp)
	case len(p.node.Content) > 0 && !flowBefore && s.below(sp):
		text := " " + s.flowOrLiteral(value, 0, s.outer(p))
		return []splice{{sp.indicator, sp.indicator, text}, {s.previousEnd(sp.content), sp.end, ""}}
	default:
		text := s.flowOrLiteral(value, style, s.outer(p))
		if sp.body == sp.indicator && p.parent != nil {
			text = " " + text
		}
		return s.inPlace(p.node, sp, text)
	}
}

// inPlace replaces a node where it begins. The header of a block scalar may have a comment
// behind it, which stays.
func (s surgeon) inPlace(n *yaml.Node, sp span, text string) []splice {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return []splice{{sp.body, sp.end, text}}
	}
	head, tail, multi := strings.Cut(text, s.eol)
	if multi {
		tail = s.eol + tail
	}
	header := sp.content
	for header < len(s.text) && strings.IndexByte(" \t\r\n", s.text[header]) < 0 {
		header++
	}
	line := lineEnd(s.text, header)
	return []splice{{sp.body, header, head}, {line, max(line, sp.end), tail}}
}

// outer is the column of the block collection around a place.
func (s surgeon) outer(p place) int {
	if p.parent == nil {
		return -s.indent
	}
	return s.column(s.span(p.parent).content)
}

// margin is the white space at the beginning of a line.
func (s surgeon) margin(pos int) string {
	line := s.text[lineStart(s.text, pos):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// below tells whether a node begins on a line below its key or dash.
func (s surgeon) below(sp span) bool {
	return bytes.IndexByte(s.text[sp.indicator:sp.content], '\n') >= 0
}

// previousEnd returns the end of the line above a position.
func (s surgeon) previousEnd(pos int) int {
	start := lineStart(s.text, pos)
	if start == 0 {
		return 0
	}
	return lineEnd(s.text, lineStart(s.text, start-1))
}

// collection puts a block collection where a node is.
func (s surgeon) collection(p place, value *yaml.Node, sp span) []splice {
	outer := s.outer(p)
	if len(p.node.Content) > 0 { // one block collection for another
		column := s.column(sp.content)
		fits := p.parent == nil || column > outer || column == outer && value.Kind == yaml.SequenceNode && p.parent.Kind == yaml.MappingNode
		if fits {
			return []splice{{sp.body, sp.end, s.block(value, column)}}
		}
		column = s.inner(value, outer)
		return []splice{{s.previousEnd(sp.content), sp.end, s.eol + strings.Repeat(" ", column) + s.block(value, column)}}
	}
	switch {
	case p.parent == nil:
		return s.inPlace(p.node, sp, s.block(value, 0))
	case p.parent.Kind == yaml.SequenceNode && sp.body == sp.indicator:
		return []splice{{sp.body, sp.end, " " + s.block(value, outer+2)}}
	case p.parent.Kind == yaml.SequenceNode:
		return s.inPlace(p.node, sp, s.block(value, s.column(sp.body)))
	}
	column := s.inner(value, outer)
	text := s.eol + strings.Repeat(" ", column) + s.block(value, column)
	splices := s.inPlace(p.node, sp, "")
	splices[0].from = min(splices[0].from, sp.indicator)
	if len(splices) == 2 {
		splices[1].text = text
		return splices
	}
	line := lineEnd(s.text, sp.end)
	return append(splices, splice{line, line, text})
}

// insert adds to a collection that has something in it already.
func (s surgeon) insert(n *yaml.Node, rest Path, value *yaml.Node) [][]splice {
	value = nest(rest[1:], value)
	var entries []*yaml.Node
	if rest[0].Index < 0 {
		entries = []*yaml.Node{stringNode(rest[0].Key), value}
	} else {
		entries = padded(len(n.Content), rest[0].Index, value)
	}
	if n.Style&yaml.FlowStyle != 0 {
		return s.insertFlow(n, entries)
	}
	plain := s
	plain.literal = false
	return append(s.insertBlock(n, entries), plain.insertBlock(n, entries)...)
}

func (s surgeon) insertBlock(n *yaml.Node, entries []*yaml.Node) [][]splice {
	sp := s.span(n)
	column := s.column(sp.content)
	margin := s.eol + strings.Repeat(" ", column)
	end := lineEnd(s.text, sp.end)
	if n.Kind == yaml.MappingNode {
		pair := s.pair(entries[0], entries[1], column)
		return [][]splice{
			{{end, end, margin + pair}},
			{{sp.content, sp.content, pair + margin}}, // when the last value would take in what follows it
		}
	}
	var b strings.Builder
	for _, item := range entries {
		b.WriteString(margin + "-" + s.item(item, column))
	}
	return [][]splice{{{end, end, b.String()}}}
}

func (s surgeon) insertFlow(n *yaml.Node, entries []*yaml.Node) [][]splice {
	last := s.span(n.Content[len(n.Content)-1])
	first := last
	if n.Kind == yaml.MappingNode {
		first = s.span(n.Content[len(n.Content)-2])
	}
	margin := s.margin(first.start)
	ownLine := lineStart(s.text, first.start)+len(margin) == first.start && lineStart(s.text, s.span(n).start) < lineStart(s.text, first.start)
	between := s.comma
	if ownLine {
		between = "," + s.eol + margin
	} else if !s.tree.json {
		between = ", "
	}
	w := s.writer
	if !ownLine {
		w.oneLiner = true
	}
	var parts []string
	if n.Kind == yaml.MappingNode {
		parts = []string{w.flow(entries[0], 0, margin) + w.colon + w.flow(entries[1], 0, margin)}
	} else {
		for _, item := range entries {
			parts = append(parts, w.flow(item, 0, margin))
		}
	}
	text := strings.Join(parts, between)
	comma := s.trailingComma(last.end, s.span(n).end)
	rest := bytes.TrimSpace(s.text[last.end:lineEnd(s.text, last.end)])
	line := lineEnd(s.text, last.end)
	switch {
	case comma >= 0 && ownLine:
		line = lineEnd(s.text, comma)
		return [][]splice{{{line, line, s.eol + margin + text + ","}}}
	case comma >= 0:
		return [][]splice{{{comma, comma, " " + text}}}
	case ownLine && (len(rest) == 0 || rest[0] == '#'):
		return [][]splice{{{last.end, last.end, ","}, {line, line, s.eol + margin + text}}}
	default:
		return [][]splice{{{last.end, last.end, between + text}}}
	}
}

// trailingComma returns the offset behind a comma between the last entry and the bracket, or -1.
func (s surgeon) trailingComma(from, to int) int {
	c := scanner{text: s.text[:to], pos: from}
	c.blank()
	if c.at(',') {
		return c.pos + 1
	}
	return -1
}
