package yamledit

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxPath  = 4096
	maxSteps = 64
	maxIndex = 10_000
)

const grammar = `a path is made of keys and indices such as a.b[0].c, a."dotted.key" or a['x']`

// PathError says that a path is not in the grammar.
type PathError struct {
	// Path is the path as given.
	Path string
	// Column is the 1-based column, in characters, of the problem.
	Column int
	// Problem says what is wrong there.
	Problem string
}

// Error implements error.
func (e *PathError) Error() string {
	return fmt.Sprintf("path %q, column %d: %s; %s", e.Path, e.Column, e.Problem, grammar)
}

// Step is one step of a path: a key of a map or an index of a list.
type Step struct {
	// Key is the key, if Index is negative.
	Key string
	// Index is the index in a list, or -1.
	Index int
}

// Path is a parsed path.
type Path []Step

// String returns the path in the grammar of ParsePath.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Index >= 0:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case plainKey(s.Key) && i > 0:
			b.WriteString("." + s.Key)
		case plainKey(s.Key):
			b.WriteString(s.Key)
		case !strings.Contains(s.Key, "'"):
			b.WriteString("['" + s.Key + "']")
		default:
			b.WriteString(`["` + escapeKey.Replace(s.Key) + `"]`)
		}
	}
	return b.String()
}

var escapeKey = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func plainKey(s string) bool {
	for _, r := range s {
		if !isKeyRune(r) {
			return false
		}
	}
	return s != ""
}

// isKeyRune tells whether a key may hold the character without quotes. Everything that other
// path languages use as an operator needs quotes.
func isKeyRune(r rune) bool {
	return r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0xa0 && r != utf8.RuneError
}

type pathParser struct {
	src string
	pos int
}

// ParsePath parses a path. A leading dot is allowed. Nothing in a path is evaluated: operators,
// functions, wildcards and pipes are errors of type *PathError.
func ParsePath(src string) (Path, error) {
	p := &pathParser{src: src}
	if len(src) > maxPath {
		return nil, p.fail(maxPath, fmt.Sprintf("longer than %d bytes", maxPath))
	}
	if !utf8.ValidString(src) {
		return nil, p.fail(0, "not UTF-8")
	}
	if src == "" {
		return nil, p.fail(0, "the path is empty")
	}
	var path Path
	for p.pos < len(src) {
		step, err := p.step(len(path) == 0)
		if err != nil {
			return nil, err
		}
		if path = append(path, step); len(path) > maxSteps {
			return nil, p.fail(p.pos, fmt.Sprintf("more than %d steps", maxSteps))
		}
	}
	return path, nil
}

func (p *pathParser) fail(pos int, problem string) error {
	column := utf8.RuneCountInString(p.src[:min(pos, len(p.src))]) + 1
	return &PathError{Path: p.src, Column: column, Problem: problem}
}

func (p *pathParser) step(first bool) (Step, error) {
	if p.src[p.pos] == '[' {
		return p.bracket()
	}
	if p.src[p.pos] == '.' {
		p.pos++
	} else if !first {
		return Step{}, p.fail(p.pos, `expected "." or "[" before the next step`+p.found())
	}
	if p.pos == len(p.src) {
		return Step{}, p.fail(p.pos, `a key is missing behind "."`)
	}
	if c := p.src[p.pos]; c == '"' || c == '\'' {
		key, err := p.quoted()
		return Step{Key: key, Index: -1}, err
	}
	return p.key()
}

func (p *pathParser) found() string {
	r, _ := utf8.DecodeRuneInString(p.src[p.pos:])
	return ", found " + strconv.QuoteRune(r)
}

func (p *pathParser) key() (Step, error) {
	start := p.pos
	for p.pos < len(p.src) {
		r, size := utf8.DecodeRuneInString(p.src[p.pos:])
		if !isKeyRune(r) {
			break
		}
		p.pos += size
	}
	if p.pos == start {
		return Step{}, p.fail(p.pos, "expected a key"+p.found())
	}
	if p.pos < len(p.src) && p.src[p.pos] != '.' && p.src[p.pos] != '[' {
		return Step{}, p.fail(p.pos, `expected "." or "[" behind the key`+p.found())
	}
	return Step{Key: p.src[start:p.pos], Index: -1}, nil
}

func (p *pathParser) bracket() (Step, error) {
	p.pos++
	if p.pos == len(p.src) {
		return Step{}, p.fail(p.pos, "the bracket is not closed")
	}
	step := Step{Index: -1}
	var err error
	if c := p.src[p.pos]; c == '"' || c == '\'' {
		step.Key, err = p.quoted()
	} else {
		step.Index, err = p.index()
	}
	if err != nil {
		return Step{}, err
	}
	if p.pos == len(p.src) || p.src[p.pos] != ']' {
		return Step{}, p.fail(p.pos, `expected "]"`)
	}
	p.pos++
	return step, nil
}

func (p *pathParser) index() (int, error) {
	start := p.pos
	for p.pos < len(p.src) && p.src[p.pos] >= '0' && p.src[p.pos] <= '9' {
		p.pos++
	}
	if p.pos == start {
		return 0, p.fail(p.pos, "expected a number or a quoted key in the brackets"+p.found())
	}
	n, err := strconv.Atoi(p.src[start:p.pos])
	if err != nil || n > maxIndex {
		return 0, p.fail(start, fmt.Sprintf("the index is larger than %d", maxIndex))
	}
	return n, nil
}

// quoted reads a quoted key. Within double quotes a backslash takes the next character as it is;
// within single quotes every character but the quote stands for itself.
func (p *pathParser) quoted() (string, error) {
	start, quote := p.pos, p.src[p.pos]
	var b strings.Builder
	for p.pos++; p.pos < len(p.src); p.pos++ {
		c := p.src[p.pos]
		if c == quote {
			p.pos++
			return b.String(), nil
		}
		if c == '\\' && quote == '"' && p.pos+1 < len(p.src) {
			p.pos++
			c = p.src[p.pos]
		}
		b.WriteByte(c)
	}
	return "", p.fail(start, "the quote is not closed")
}
