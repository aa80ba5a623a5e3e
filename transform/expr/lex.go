package expr

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	kindEnd   kind = iota // the "))" that closes the expression
	kindName              // a word: key, function or keyword
	kindInt               // value is an int64
	kindFloat             // value is a float64
	kindText              // value is a string
	kindOp                // an operator or a bracket
)

type token struct {
	kind  kind
	text  string
	value any
	pos   int  // byte offset in the source
	end   int  // byte offset behind the token
	space bool // white space or the start of the expression lies before it
}

// operators are tried in this order, so the longer ones come first.
var operators = []string{
	"||", "//", "&&", "->", "==", "!=", "<=", ">=", "::", "..", "~~",
	"(", ")", "[", "]", "{", "}", ",", "?", ":", "<", ">", "+", "-", "*", "/", "%", "!", ".", "=", "~", "&", "|", "$",
}

// lexer cuts the text behind a "((" into tokens, up to the "))" that closes it.
type lexer struct {
	src    string
	pos    int
	depth  int
	tokens []token
	max    int
}

// lex returns the tokens of the expression that begins at pos (behind the opening parentheses)
// and the offset behind the closing ones.
func lex(src string, pos, maxTokens int) ([]token, int, error) {
	l := &lexer{src: src, pos: pos, max: maxTokens}
	for {
		t, err := l.next()
		if err != nil {
			return nil, 0, err
		}
		l.tokens = append(l.tokens, t)
		if t.kind == kindEnd {
			return l.tokens, l.pos, nil
		}
		if len(l.tokens) > l.max {
			return nil, 0, limitf("more than %d tokens", l.max)
		}
	}
}

func (l *lexer) next() (token, error) {
	start := l.pos
	l.pos += len(l.src[l.pos:]) - len(strings.TrimLeft(l.src[l.pos:], " \t\r\n"))
	t := token{pos: l.pos, space: l.pos > start || len(l.tokens) == 0}
	if l.pos == len(l.src) {
		return t, l.fail(l.pos, `the expression is not closed with "))"; write "((!" for a literal "(("`)
	}
	if l.depth == 0 && strings.HasPrefix(l.src[l.pos:], "))") {
		l.pos += 2
		t.kind = kindEnd
		return t, nil
	}
	var err error
	switch c := l.src[l.pos]; {
	case c == '"':
		err = l.text(&t)
	case isWord(c) || c == '-' && l.negative(t.space):
		err = l.word(&t)
	default:
		err = l.operator(&t)
	}
	t.end = l.pos
	return t, err
}

// negative tells whether the "-" here is the sign of a number. As in "a -1", which concatenates,
// a sign has something other than an operand directly before it.
func (l *lexer) negative(space bool) bool {
	if l.pos+1 >= len(l.src) || l.src[l.pos+1] < '0' || l.src[l.pos+1] > '9' {
		return false
	}
	if space {
		return true
	}
	last := l.tokens[len(l.tokens)-1]
	return last.kind == kindOp && last.text != ")" && last.text != "]" && last.text != "}"
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// word reads a name or a number. Names may hold "-" and begin with digits, so a number is a word
// that has the form of one.
func (l *lexer) word(t *token) error {
	i := l.pos + 1
	for i < len(l.src) && (isWord(l.src[i]) || l.src[i] == '-') {
		i++
	}
	if l.afterDot(t.space) {
		return l.name(t, i)
	}
	if i+1 < len(l.src) && l.src[i] == '.' && l.src[i+1] >= '0' && l.src[i+1] <= '9' && digits(l.src[l.pos:i]) {
		for i++; i < len(l.src) && (isWord(l.src[i]) || l.src[i] == '-'); i++ {
		}
	}
	word := l.src[l.pos:i]
	plain := strings.ReplaceAll(word, "_", "")
	if !number(word) {
		return l.name(t, i)
	}
	t.text = word
	if n, err := strconv.ParseInt(plain, 10, 64); err == nil {
		t.kind, t.value = kindInt, n
	} else if f, err := strconv.ParseFloat(plain, 64); err == nil {
		t.kind, t.value = kindFloat, f
	} else {
		return l.fail(l.pos, "the number "+strconv.Quote(word)+" is out of range")
	}
	l.pos = i
	return nil
}

func (l *lexer) name(t *token, end int) error {
	t.kind, t.text = kindName, l.src[l.pos:end]
	if strings.Contains(t.text, ".") || t.text[0] == '-' {
		return l.fail(l.pos, strconv.Quote(t.text)+" is neither a number nor a name")
	}
	l.pos = end
	return nil
}

func (l *lexer) afterDot(space bool) bool {
	if space || len(l.tokens) == 0 {
		return false
	}
	last := l.tokens[len(l.tokens)-1]
	return last.kind == kindOp && last.text == "."
}

func digits(s string) bool {
	return strings.Trim(strings.TrimPrefix(s, "-"), "0123456789_") == ""
}

// number tells whether a word has the form -1_000.5e-3.
func number(s string) bool {
	s = strings.TrimPrefix(s, "-")
	mantissa, exponent, hasExponent := strings.Cut(strings.Replace(s, "E", "e", 1), "e")
	if hasExponent && (exponent == "" || !digits(exponent) || exponent == "-") {
		return false
	}
	whole, fraction, hasFraction := strings.Cut(mantissa, ".")
	if whole == "" || whole[0] == '_' || strings.Trim(whole, "0123456789_") != "" {
		return false
	}
	return !hasFraction || fraction != "" && strings.Trim(fraction, "0123456789") == ""
}

// text reads a string literal, which has the escapes of JSON.
func (l *lexer) text(t *token) error {
	i := l.pos + 1
	for i < len(l.src) && l.src[i] != '"' {
		if l.src[i] == '\\' {
			i++
		}
		i++
	}
	if i >= len(l.src) {
		return l.fail(l.pos, "the text is not closed with a quote")
	}
	quoted := l.src[l.pos : i+1]
	// A literal may go over several lines, which JSON does not allow.
	quoted = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(quoted)
	var s string
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		return l.fail(l.pos, "the text has an escape that is not one of JSON's")
	}
	t.kind, t.value, t.text = kindText, s, l.src[l.pos:i+1]
	l.pos = i + 1
	return nil
}

func (l *lexer) operator(t *token) error {
	t.kind = kindOp
	rest := l.src[l.pos:]
	for _, op := range []string{"-and", "-or"} {
		if strings.HasPrefix(rest, op) && (len(rest) == len(op) || !isWord(rest[len(op)]) && rest[len(op)] != '-') {
			t.text = op
			l.pos += len(op)
			return nil
		}
	}
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		t.text = op
		l.pos += len(op)
		switch op {
		case "(", "[", "{":
			l.depth++
		case ")", "]", "}":
			l.depth--
		}
		if l.depth < 0 {
			return l.fail(l.pos-1, "unexpected "+strconv.Quote(op))
		}
		return nil
	}
	r, _ := utf8.DecodeRuneInString(rest)
	return l.fail(l.pos, "unexpected character "+strconv.QuoteRune(r))
}

func (l *lexer) fail(pos int, problem string) error { return syntaxError(l.src, pos, problem) }

func syntaxError(src string, pos int, problem string) error {
	return &SyntaxError{Column: column(src, pos), Problem: problem}
}
