package yamledit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// toNode turns a value into a node: the model of what an edit has to give, and what is rendered.
// Maps are sorted by key.
func toNode(v any, depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	switch v := v.(type) {
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			child, err := toNode(item, depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		return n, nil
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			child, err := toNode(v[key], depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, stringNode(key), child)
		}
		return n, nil
	case string:
		return stringNode(v), nil
	default:
		text, err := bare(v)
		if err != nil {
			return nil, err
		}
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
		n.Tag = n.ShortTag()
		return n, nil
	}
}

func stringNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// bare renders the scalars that are never quoted.
func bare(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case uint64:
		return strconv.FormatUint(v, 10), nil
	case float64:
		return float(v)
	case json.Number:
		if json.Valid([]byte(v)) {
			return v.String(), nil
		}
	}
	return "", fmt.Errorf("a value of type %T cannot be written", v)
}

// float writes whole numbers without a fraction: decoders of JSON make a float of every number.
func float(f float64) (string, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return "", errors.New("a number that is not finite cannot be written")
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', -1, 64), nil
	default:
		return strconv.FormatFloat(f, 'g', -1, 64), nil
	}
}

// writer renders nodes in the style of a document.
type writer struct {
	json     bool
	eol      string
	indent   int    // of a map within a map
	dash     int    // of a list within a map
	literal  bool   // texts of several lines may become literal block scalars
	unit     string // of one level in JSON, "" for JSON on one line
	colon    string
	comma    string
	oneLiner bool // flow collections are written on one line
}

// detect finds out how a document is written.
func detect(t *tree, eol string) writer {
	w := writer{json: t.json, eol: eol, indent: 2, literal: true, colon: ": ", comma: ", ", oneLiner: !t.json}
	if t.root == nil {
		return w
	}
	if t.json {
		w.detectJSON(t)
		return w
	}
	indents, dashes := map[int]int{}, map[int]int{}
	walk(t.root, func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode || n.Style&yaml.FlowStyle != 0 {
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			child := n.Content[i+1]
			if len(child.Content) == 0 || child.Style&yaml.FlowStyle != 0 {
				continue
			}
			offset := t.column(t.span(child).content) - t.column(t.span(n.Content[i]).start)
			if child.Kind == yaml.MappingNode && offset > 0 {
				indents[offset]++
			} else if child.Kind == yaml.SequenceNode && offset >= 0 {
				dashes[offset]++
			}
		}
	})
	w.indent = most(indents, w.indent)
	w.dash = most(dashes, 0)
	return w
}

func (w *writer) detectJSON(t *tree) {
	w.unit, w.oneLiner = "  ", !bytes.ContainsRune(bytes.TrimSpace(t.text), '\n')
	if len(t.root.Content) == 0 {
		return
	}
	first := t.span(t.root.Content[0])
	if line := lineStart(t.text, first.start); line > 0 {
		w.unit = string(t.text[line:first.start])
	}
	walk(t.root, func(n *yaml.Node) {
		if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
			key, value := t.span(n.Content[0]), t.span(n.Content[1])
			w.colon = string(t.text[key.end:value.start])
		}
	})
	if w.oneLiner && !strings.Contains(w.colon, " ") {
		w.comma = ","
	}
}

// most returns the most frequent number, the smaller one of equals.
func most(counts map[int]int, otherwise int) int {
	best := otherwise
	for _, n := range slices.Sorted(maps.Keys(counts)) {
		if counts[n] > counts[best] {
			best = n
		}
	}
	return best
}

func walk(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, child := range n.Content {
		walk(child, visit)
	}
}

// flow renders a node on one line, or indented JSON where the document is written so.
func (w writer) flow(n *yaml.Node, style yaml.Style, margin string) string {
	if n.Kind == yaml.ScalarNode {
		return w.scalar(n, style, true)
	}
	open, shut, step := "[", "]", 1
	if n.Kind == yaml.MappingNode {
		open, shut, step = "{", "}", 2
	}
	if len(n.Content) == 0 {
		return open + shut
	}
	inner, between, before, after := margin+w.unit, w.comma, "", ""
	if !w.oneLiner {
		between, before, after = ","+w.eol+inner, w.eol+inner, w.eol+margin
	}
	parts := make([]string, 0, len(n.Content)/step)
	for i := 0; i < len(n.Content); i += step {
		part := w.flow(n.Content[i], 0, inner)
		if step == 2 {
			part += w.colon + w.flow(n.Content[i+1], 0, inner)
		}
		parts = append(parts, part)
	}
	return open + before + strings.Join(parts, between) + after + shut
}

// block renders a node for a place in the given column. The first line has no indentation.
func (w writer) block(n *yaml.Node, column int) string {
	if n.Kind == yaml.ScalarNode || len(n.Content) == 0 {
		return w.flowOrLiteral(n, 0, column-1)
	}
	margin := w.eol + strings.Repeat(" ", column)
	var parts []string
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			parts = append(parts, "-"+w.item(item, column))
		}
	} else {
		for i := 0; i < len(n.Content); i += 2 {
			parts = append(parts, w.pair(n.Content[i], n.Content[i+1], column))
		}
	}
	return strings.Join(parts, margin)
}

// item renders what stands behind the "-" in a column.
func (w writer) item(n *yaml.Node, column int) string {
	if n.Kind == yaml.ScalarNode || len(n.Content) == 0 {
		return " " + w.flowOrLiteral(n, 0, column)
	}
	return " " + w.block(n, column+2)
}

func (w writer) pair(key, value *yaml.Node, column int) string {
	return w.scalar(key, 0, false) + ":" + w.value(value, 0, column)
}

// value renders what stands behind the ":" of a key in a column.
func (w writer) value(n *yaml.Node, style yaml.Style, column int) string {
	if n.Kind == yaml.ScalarNode || len(n.Content) == 0 {
		return " " + w.flowOrLiteral(n, style, column)
	}
	inner := w.inner(n, column)
	return w.eol + strings.Repeat(" ", inner) + w.block(n, inner)
}

// inner returns the column of a block collection below a key in a column.
func (w writer) inner(n *yaml.Node, column int) int {
	if n.Kind == yaml.SequenceNode {
		return column + w.dash
	}
	return column + w.indent
}

// flowOrLiteral renders a scalar or an empty collection within a block collection in a column.
func (w writer) flowOrLiteral(n *yaml.Node, style yaml.Style, column int) string {
	const quoted = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle
	if n.Kind != yaml.ScalarNode {
		return w.flow(n, 0, "")
	}
	if n.Tag != "!!str" || !w.literal || style&quoted != 0 || !fitsLiteral(n.Value) {
		return w.scalar(n, style, false)
	}
	body := strings.TrimSuffix(n.Value, "\n")
	head := "|"
	if body == n.Value {
		head = "|-"
	}
	margin := strings.Repeat(" ", max(column, 0)+w.indent)
	var headSb271 strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		headSb271.WriteString(w.eol)
		if line != "" {
			headSb271.WriteString(margin + line)
		}
	}
	head += headSb271.String()
	return head
}

// fitsLiteral tells whether a text of several lines can be a literal block scalar without
// indicators that are hard to read.
func fitsLiteral(s string) bool {
	if !strings.Contains(strings.TrimSuffix(s, "\n"), "\n") && !strings.HasSuffix(s, "\n") {
		return false
	}
	if strings.HasSuffix(s, "\n\n") || strings.TrimSpace(s) == "" || s[0] == ' ' || s[0] == '\n' || s[0] == '\t' {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r != '\n' && r != '\t' && !printable(r) }) < 0
}

func printable(r rune) bool {
	return unicode.IsPrint(r) && r != '\uFEFF' && r != unicode.ReplacementChar
}

// scalar renders a scalar on one line.
func (w writer) scalar(n *yaml.Node, style yaml.Style, flow bool) string {
	switch {
	case n.Tag != "!!str":
		return n.Value
	case w.json:
		return quoteJSON(n.Value)
	case style&yaml.DoubleQuotedStyle != 0:
		return quoteDouble(n.Value)
	case style&yaml.SingleQuotedStyle != 0 && strings.IndexFunc(n.Value, func(r rune) bool { return !printable(r) }) < 0:
		return "'" + strings.ReplaceAll(n.Value, "'", "''") + "'"
	case plainSafe(n.Value, flow):
		return n.Value
	default:
		return quoteDouble(n.Value)
	}
}

// ambiguous are texts that some YAML parser takes for something else: booleans of YAML 1.1,
// numbers in base 60 and numbers with underscores.
var ambiguous = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null|nan|~|=|<<)$|` +
	`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$|^[-+.]?[0-9][0-9_,]*\.?[0-9_]*([eE][-+]?[0-9]+)?$|^[-+]?0[xob][0-9a-fA-F_]+$`)

// plainSafe tells whether a text reads as the same text without quotes.
func plainSafe(s string, flow bool) bool {
	if s == "" || ambiguous.MatchString(s) || strings.TrimSpace(s) != s {
		return false
	}
	if strings.ContainsRune("-?:,[]{}#&*!|>'\"%@`", rune(s[0])) && (len(s) == 1 || s[0] != '-' || s[1] == ' ' || s[1] == '-') {
		return false
	}
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") || s == "..." || strings.HasPrefix(s, "... ") {
		return false
	}
	if flow && strings.ContainsAny(s, ",[]{}?:") {
		return false
	}
	if strings.IndexFunc(s, func(r rune) bool { return !printable(r) }) >= 0 {
		return false
	}
	n := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	return n.ShortTag() == "!!str"
}

func quoteJSON(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) //nolint:errchkjson // strings can always be encoded
	return strings.TrimSuffix(b.String(), "\n")
}

func quoteDouble(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case printable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
