package expr

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Limits bound all that one Evaluator does. Zero fields have defaults.
type Limits struct {
	// Source is the largest text with an expression in it, in bytes. Default 64 KiB.
	Source int
	// Depth is how deep values and expressions may nest. Default 100.
	Depth int
	// Steps is the number of operations. Default 100,000.
	Steps int
	// Output is the number of bytes that may be built. Default 8 MiB.
	Output int
	// Work is the number of bytes that operations may read. Elements of lists that are searched
	// or joined count as 32. Default 64 MiB.
	Work int
}

func (l Limits) withDefaults() Limits {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&l.Source, 64<<10)
	set(&l.Depth, 100)
	set(&l.Steps, 100_000)
	set(&l.Output, 8<<20)
	set(&l.Work, 64<<20)
	return l
}

// Evaluator evaluates any number of values within common limits. It is not safe for concurrent use.
type Evaluator struct{ env env }

// NewEvaluator returns an Evaluator that looks references up in root. The texts in root are data and
// never evaluated.
func NewEvaluator(root map[string]any, l Limits) *Evaluator {
	return &Evaluator{env: env{root: root, limits: l.withDefaults()}}
}

// Eval returns value with all expressions in its texts evaluated. The result may share lists and
// maps with the root and must not be changed.
//
// Errors are *SyntaxError, *UnresolvedError, *ForbiddenError, ErrLimit, the error of the context or
// say which operation could not be done; those from within a map or list are wrapped with the place.
func (e *Evaluator) Eval(ctx context.Context, value any) (any, error) {
	e.env.stopped = ctx.Err
	if err := e.env.proceed(); err != nil {
		return nil, err
	}
	v, err := e.env.value(value, 0)
	if err != nil {
		return nil, err
	}
	return v, e.env.chargeValue(v)
}

// Eval evaluates one value as an Evaluator does.
func Eval(ctx context.Context, value any, root map[string]any, l Limits) (any, error) {
	return NewEvaluator(root, l).Eval(ctx, value)
}

// value evaluates the texts in a value.
func (e *env) value(v any, depth int) (any, error) {
	if depth > e.limits.Depth {
		return nil, limitf("nested deeper than %d", e.limits.Depth)
	}
	if err := e.step(); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case string:
		return e.text(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = e.value(item, depth+1); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			if out[key], err = e.value(v[key], depth+1); err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
		}
		return out, nil
	default:
		return normal(v)
	}
}

// text evaluates the expressions in a text. Only a text that is nothing but one expression may
// become something other than text.
func (e *env) text(s string) (any, error) {
	open := strings.Index(s, "((")
	if open < 0 {
		return s, nil
	}
	if len(s) > e.limits.Source {
		return nil, limitf("the text is longer than %d bytes", e.limits.Source)
	}
	var b strings.Builder
	rest := 0
	for ; open >= 0; open = next(s, rest) {
		b.WriteString(s[rest:open])
		if !strings.Contains(s[open:], "))") {
			rest = open // nothing can be an expression any more
			break
		}
		if strings.HasPrefix(s[open:], "((!") {
			end := open + strings.Index(s[open:], "))") + 2
			b.WriteString("((" + s[open+3:end])
			rest = end
			continue
		}
		v, end, err := e.expression(s, open+2)
		if err != nil {
			return nil, err
		}
		if open == 0 && end == len(s) {
			return v, nil
		}
		part, ok := text(v)
		if !ok {
			return nil, failf("%s is %s, which cannot be part of a text", s[open:end], typeName(v))
		}
		if err := e.charge(len(part)); err != nil {
			return nil, err
		}
		b.WriteString(part)
		rest = end
	}
	b.WriteString(s[rest:])
	return b.String(), nil
}

func next(s string, from int) int {
	if i := strings.Index(s[from:], "(("); i >= 0 {
		return from + i
	}
	return -1
}

// expression evaluates the expression that begins at pos, and returns where it ends.
func (e *env) expression(s string, pos int) (any, int, error) {
	tokens, end, err := lex(s, pos, e.limits.Steps)
	if err != nil {
		return nil, 0, err
	}
	n, err := parse(s, tokens, e.limits.Depth)
	if err != nil {
		return nil, 0, err
	}
	v, err := e.run(n)
	return v, end, err
}
