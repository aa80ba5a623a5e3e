package expr

import (
	"slices"
	"strconv"
	"strings"
)

// forbidden are the functions and keywords of other engines of this syntax that read from
// outside, depend on chance or time, or define code.
var forbidden = []string{
	"auto", "archive", "bcrypt", "bcrypt_check", "catch", "chmod", "decrypt", "encrypt", "env", "eval", "exec",
	"getenv", "lambda", "list_dirs", "list_files", "load", "lookup", "lookup_dir",
	"lookup_file", "md5crypt", "md5crypt_check", "merge", "mkdir", "pipe", "prefer", "rand", "random", "read", "readfile",
	"strenv", "stub", "sync", "tempfile", "uuid", "validate", "wggenkey", "wgpublickey",
	"write", "x509cert", "x509genkey", "x509parsecert", "x509publickey",
}

// statements are keywords of other engines even without an argument list.
var statements = []string{"auto", "lambda", "merge", "prefer"}

// comprehensions are words that other engines give a meaning directly before a bracket.
var comprehensions = []string{"catch", "map", "select", "sum", "sync"}

type parser struct {
	src      string
	tokens   []token
	pos      int
	depth    int
	maxDepth int
}

// parse reads the tokens of one whole expression.
func parse(src string, tokens []token, maxDepth int) (node, error) {
	p := &parser{src: src, tokens: tokens, maxDepth: maxDepth}
	if p.peek().kind == kindEnd {
		return nil, p.fail("the expression is empty")
	}
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	if p.peek().kind != kindEnd {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) advance() token {
	t := p.tokens[p.pos]
	if t.kind != kindEnd {
		p.pos++
	}
	return t
}

func (p *parser) is(ops ...string) bool {
	t := p.peek()
	return t.kind == kindOp && slices.Contains(ops, t.text)
}

func (p *parser) expect(op, what string) error {
	if !p.is(op) {
		return p.fail("expected " + strconv.Quote(op) + " " + what)
	}
	p.advance()
	return nil
}

func (p *parser) fail(problem string) error { return syntaxError(p.src, p.peek().pos, problem) }

// at is a node whose failures name a place of the source.
func (p *parser) at(pos int, n node) node { return &located{node: n, src: p.src, pos: pos} }

func (p *parser) unexpected() error {
	t := p.peek()
	switch {
	case t.kind == kindEnd:
		return p.fail("an operand is missing at the end")
	case t.text == "&&":
		return p.fail(`unexpected "&&"; the logical operators are -and, -or and !`)
	case t.text == "&" || t.text == "->" || t.text == "|":
		return &ForbiddenError{Name: p.forbiddenConstruct(t)}
	case t.text == "..":
		return p.fail(`ranges and slices ("..") are not supported`)
	default:
		return p.fail("unexpected " + strconv.Quote(t.text))
	}
}

func (p *parser) forbiddenConstruct(t token) string {
	if t.text != "&" {
		return "lambda"
	}
	if p.pos+1 < len(p.tokens) && p.tokens[p.pos+1].kind == kindName {
		return "&" + p.tokens[p.pos+1].text
	}
	return "&"
}

// enter bounds the recursion of the parser, and so that of the evaluation.
func (p *parser) enter() error {
	if p.depth++; p.depth > p.maxDepth {
		return limitf("nested deeper than %d", p.maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

func (p *parser) expression() (node, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	left, err := p.conditional()
	if err != nil {
		return nil, err
	}
	for p.is("||", "//") {
		op := p.advance().text
		right, err := p.conditional()
		if err != nil {
			return nil, err
		}
		left = &fallback{left: left, right: right, orNil: op == "//"}
	}
	return left, nil
}

func (p *parser) conditional() (node, error) {
	cond, err := p.concatenation()
	if err != nil || !p.is("?") {
		return cond, err
	}
	p.advance()
	yes, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(":", "and the other choice"); err != nil {
		return nil, err
	}
	no, err := p.expression()
	if err != nil {
		return nil, err
	}
	return &choice{cond: cond, yes: yes, no: no}, nil
}

func (p *parser) concatenation() (node, error) {
	first, err := p.binary(0)
	if err != nil || !p.operandAhead() {
		return first, err
	}
	start := p.peek().pos
	parts := []node{first}
	for p.operandAhead() {
		next, err := p.binary(0)
		if err != nil {
			return nil, err
		}
		parts = append(parts, next)
	}
	return p.at(start, &concatenation{parts: parts}), nil
}

// operandAhead tells whether the next token begins an operand that stands apart from what is
// before it. White space matters: "a [0]" appends a list, "a[0]" is an element.
func (p *parser) operandAhead() bool {
	t := p.peek()
	switch t.kind {
	case kindName, kindInt, kindFloat, kindText:
		return t.space
	case kindOp:
		return t.space && slices.Contains([]string{"(", "[", "{", "!", ".", "~"}, t.text)
	default:
		return false
	}
}

// levels are the binary operators from the loosest to the tightest.
var levels = [][]string{
	{"-and", "-or"},
	{"==", "!=", "<", "<=", ">", ">="},
	{"+", "-"},
	{"*", "/", "%"},
}

func (p *parser) binary(level int) (node, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil && p.is(levels[level]...) {
		op := p.advance()
		var right node
		if right, err = p.binary(level + 1); err == nil {
			left = p.at(op.pos, &operation{op: op.text, left: left, right: right})
		}
	}
	return left, err
}

func (p *parser) unary() (node, error) {
	if !p.is("!") {
		return p.operand()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	p.advance()
	n, err := p.unary()
	return &negation{operand: n}, err
}

func (p *parser) operand() (node, error) {
	t := p.peek()
	switch {
	case t.kind == kindInt, t.kind == kindFloat, t.kind == kindText:
		p.advance()
		return p.path(&literal{value: t.value}, t.pos)
	case t.kind == kindName:
		return p.name()
	case p.is("."):
		return p.rooted()
	case p.is("~"):
		p.advance()
		return &literal{}, nil
	case p.is("("):
		return p.group()
	case p.is("["):
		return p.list()
	case p.is("{"):
		return p.mapping()
	default:
		return nil, p.unexpected()
	}
}

func (p *parser) group() (node, error) {
	start := p.advance().pos
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")", "to close the parenthesis"); err != nil {
		return nil, err
	}
	return p.path(n, start)
}

func (p *parser) list() (node, error) {
	start := p.advance().pos
	items, err := p.arguments("]")
	if err != nil {
		return nil, err
	}
	return p.path(&list{items: items}, start)
}

// arguments reads expressions up to the closing bracket.
func (p *parser) arguments(closing string) ([]node, error) {
	var args []node
	for !p.is(closing) {
		if len(args) > 0 {
			if err := p.expect(",", "or "+strconv.Quote(closing)); err != nil {
				return nil, err
			}
		}
		n, err := p.expression()
		if err != nil {
			return nil, err
		}
		args = append(args, n)
	}
	p.advance()
	return args, nil
}

func (p *parser) mapping() (node, error) {
	start := p.advance().pos
	m := &mapping{}
	for !p.is("}") {
		if len(m.keys) > 0 {
			if err := p.expect(",", `or "}"`); err != nil {
				return nil, err
			}
		}
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.expect("=", "between key and value"); err != nil {
			return nil, err
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		m.keys, m.values = append(m.keys, key), append(m.values, value)
	}
	p.advance()
	return p.path(p.at(start, m), start)
}

// name reads what begins with a word: a constant, a call or a reference.
func (p *parser) name() (node, error) {
	t := p.advance()
	next := p.peek()
	directly := func(op string) bool { return next.kind == kindOp && next.text == op && !next.space }
	switch {
	case directly("("):
		return p.call(t)
	case slices.Contains(statements, t.text):
		return nil, &ForbiddenError{Name: t.text}
	case slices.Contains(comprehensions, t.text) && (directly("[") || directly("{")):
		return nil, &ForbiddenError{Name: t.text + next.text}
	case directly("::"):
		return nil, syntaxError(p.src, next.pos, `tags ("::") are not supported`)
	case t.text == "true" || t.text == "false":
		return &literal{value: t.text == "true"}, nil
	case t.text == "nil":
		return &literal{}, nil
	}
	return p.path(&reference{key: t.text}, t.pos)
}

// rooted reads a reference that begins with a dot: it is the same as one without, but can also
// name keys that are words of the language.
func (p *parser) rooted() (node, error) {
	dot := p.advance()
	t := p.peek()
	if t.kind != kindName || t.space {
		return nil, p.fail(`expected a key behind "."`)
	}
	p.advance()
	return p.path(&reference{key: t.text}, dot.pos)
}

func (p *parser) call(name token) (node, error) {
	p.advance()
	if slices.Contains(forbidden, name.text) || strings.HasPrefix(name.text, "x509") {
		return nil, &ForbiddenError{Name: name.text}
	}
	fn, ok := functions[name.text]
	if !ok {
		return nil, syntaxError(p.src, name.pos, "unknown function "+strconv.Quote(name.text)+", only "+strings.Join(functionNames(), ", "))
	}
	args, err := p.arguments(")")
	if err != nil {
		return nil, err
	}
	if len(args) < fn.min || fn.max >= 0 && len(args) > fn.max {
		return nil, syntaxError(p.src, name.pos, "wrong number of arguments, the form is "+fn.form)
	}
	return p.path(p.at(name.pos, &call{name: name.text, fn: fn, args: args}), name.pos)
}

// path reads the steps behind an operand: ".key", "[index]" and ".[index]".
func (p *parser) path(n node, start int) (node, error) {
	for {
		t := p.peek()
		if t.space || t.kind != kindOp || t.text != "." && t.text != "[" {
			break
		}
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer p.leave() //nolint:gocritic // the depth of the chain counts until all of it is read
		step, err := p.step(n, start)
		if err != nil {
			return nil, err
		}
		n = step
	}
	if t := p.peek(); t.kind == kindOp && t.text == "(" && !t.space {
		return nil, p.fail("only functions can be called; write a blank before the parenthesis to concatenate")
	}
	return n, nil
}

func (p *parser) step(from node, start int) (node, error) {
	if p.is(".") {
		p.advance()
		if t := p.peek(); t.kind == kindName && !t.space {
			p.advance()
			return &member{from: from, key: &literal{value: t.text}, source: p.src[start:t.end]}, nil
		}
		if !p.is("[") || p.peek().space {
			return nil, p.fail(`expected a key or "[" behind "."`)
		}
	}
	p.advance()
	if p.is("*") {
		return nil, p.fail(`projections ("[*]") are not supported`)
	}
	index, err := p.expression()
	if err != nil {
		return nil, err
	}
	end := p.peek().end
	if p.is("..") {
		return nil, p.unexpected()
	}
	if err := p.expect("]", "to close the index"); err != nil {
		return nil, err
	}
	return p.at(start, &member{from: from, key: index, source: p.src[start:end]}), nil
}
