package expr

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
)

type node interface {
	eval(e *env) (any, error)
}

// env is the state of one evaluation.
type env struct {
	root    map[string]any
	limits  Limits
	stopped func() error // of the context
	steps   int
	output  int
	read    int
}

func limitf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLimit, fmt.Sprintf(format, args...))
}

func (e *env) step() error {
	if e.steps++; e.steps > e.limits.Steps {
		return limitf("more than %d steps", e.limits.Steps)
	}
	const often = 64 // steps are short, as what they read and build is bounded
	if e.steps%often == 0 {
		return e.proceed()
	}
	return nil
}

// proceed returns an error when the context is done.
func (e *env) proceed() error {
	if err := e.stopped(); err != nil {
		return fmt.Errorf("the evaluation was stopped: %w", err)
	}
	return nil
}

// perElement is what looking at one element of a list costs, in bytes that are read in the same time.
const perElement = 32

// work accounts for bytes that are about to be read.
func (e *env) work(n int) error {
	if e.read += n; e.read > e.limits.Work || n < 0 {
		return limitf("reads more than %d bytes", e.limits.Work)
	}
	return nil
}

// charge accounts for bytes that are about to be built.
func (e *env) charge(n int) error {
	if e.output += n; e.output > e.limits.Output || n < 0 {
		return limitf("builds more than %d bytes", e.limits.Output)
	}
	return nil
}

func (e *env) chargeValue(v any) error { return e.charge(size(v, e.limits.Output)) }

// run evaluates one node; every recursion goes through here.
func (e *env) run(n node) (any, error) {
	if err := e.step(); err != nil {
		return nil, err
	}
	return n.eval(e)
}

type literal struct{ value any }

func (n *literal) eval(*env) (any, error) { return n.value, nil }

// reference is the first key of a path, looked up in the root.
type reference struct{ key string }

func (n *reference) eval(e *env) (any, error) {
	v, ok := e.root[n.key]
	if !ok {
		return nil, &UnresolvedError{Reference: n.key, Missing: n.key, in: e.root}
	}
	return normal(v)
}

// member is one step of a path.
type member struct {
	from, key node
	source    string
}

func (n *member) eval(e *env) (any, error) {
	from, err := e.run(n.from)
	var unresolved *UnresolvedError
	if errors.As(err, &unresolved) && strings.HasPrefix(n.source, unresolved.Reference) {
		unresolved.Reference = n.source // the whole path says more than its first part
	}
	if err != nil {
		return nil, err
	}
	key, err := e.run(n.key)
	if err != nil {
		return nil, err
	}
	keys, ok := key.([]any)
	if !ok {
		return n.pick(e, from, key)
	}
	for _, k := range keys {
		if err := e.step(); err != nil {
			return nil, err
		}
		if k, err = normal(k); err != nil {
			return nil, err
		}
		if from, err = n.pick(e, from, k); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// named returns the name of what is missing, unless it is no part of the expression: what comes from
// the values may be secret.
func (n *member) named(name, otherwise string) string {
	if _, written := n.key.(*literal); written {
		return name
	}
	return otherwise
}

func (n *member) pick(e *env, from, key any) (any, error) {
	switch from := from.(type) {
	case map[string]any:
		name, ok := text(key)
		if !ok {
			return nil, failf("%s: a map is indexed by a text, not by %s", n.source, typeName(key))
		}
		if err := e.work(len(name)); err != nil {
			return nil, err
		}
		v, ok := from[name]
		if !ok {
			return nil, &UnresolvedError{Reference: n.source, Missing: n.named(name, "the computed key"), in: from}
		}
		return normal(v)
	case []any:
		return n.element(e, from, key)
	default:
		name, _ := text(key)
		return nil, &UnresolvedError{Reference: n.source, Missing: n.named(name, "the computed key") + " of " + typeName(from)}
	}
}

// element picks from a list by index, negative ones from its end, or by the field "name".
func (n *member) element(e *env, from []any, key any) (any, error) {
	switch key := key.(type) {
	case int64:
		i := key
		if i < 0 {
			i += int64(len(from))
		}
		if i < 0 || i >= int64(len(from)) {
			missing := fmt.Sprintf("%s of a list of %d", n.named("index "+strconv.FormatInt(key, 10), "the computed index"), len(from))
			return nil, &UnresolvedError{Reference: n.source, Missing: missing}
		}
		return normal(from[i])
	case string:
		for _, item := range from {
			m, _ := item.(map[string]any)
			name, isText := m["name"].(string)
			cost := perElement
			if len(name) == len(key) {
				cost += len(key)
			}
			if err := e.work(cost); err != nil {
				return nil, err
			}
			if isText && name == key {
				return m, nil
			}
		}
		return nil, &UnresolvedError{Reference: n.source, Missing: "an element with " + n.named("the name "+key, "the computed name")}
	default:
		return nil, failf("%s: a list is indexed by an integer or a name, not by %s", n.source, typeName(key))
	}
}

type fallback struct {
	left, right node
	orNil       bool
}

func (n *fallback) eval(e *env) (any, error) {
	v, err := e.run(n.left)
	var unresolved *UnresolvedError
	if errors.As(err, &unresolved) || err == nil && n.orNil && v == nil {
		return e.run(n.right)
	}
	return v, err
}

type choice struct{ cond, yes, no node }

func (n *choice) eval(e *env) (any, error) {
	cond, err := e.run(n.cond)
	if err != nil {
		return nil, err
	}
	if truth(cond) {
		return e.run(n.yes)
	}
	return e.run(n.no)
}

type negation struct{ operand node }

func (n *negation) eval(e *env) (any, error) {
	v, err := e.run(n.operand)
	if err != nil {
		return nil, err
	}
	return !truth(v), nil
}

type list struct{ items []node }

func (n *list) eval(e *env) (any, error) {
	items := make([]any, len(n.items))
	for i, item := range n.items {
		v, err := e.run(item)
		if err != nil {
			return nil, err
		}
		items[i] = v
	}
	return items, nil
}

type mapping struct{ keys, values []node }

func (n *mapping) eval(e *env) (any, error) {
	m := make(map[string]any, len(n.keys))
	for i := range n.keys {
		key, err := e.run(n.keys[i])
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, failf("the key of a map must be a text, not %s", typeName(key))
		}
		if err := e.work(len(name)); err != nil {
			return nil, err
		}
		if m[name], err = e.run(n.values[i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

type concatenation struct{ parts []node }

func (n *concatenation) eval(e *env) (any, error) {
	values := make([]any, len(n.parts))
	for i, part := range n.parts {
		v, err := e.run(part)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	switch values[0].(type) {
	case []any:
		return concatLists(e, values)
	case map[string]any:
		return concatMaps(e, values)
	default:
		return concatTexts(e, values)
	}
}

func concatTexts(e *env, values []any) (any, error) {
	var b strings.Builder
	for _, v := range values {
		s, ok := text(v)
		if !ok {
			return nil, failf("%s cannot be joined to a text", typeName(v))
		}
		if err := e.charge(len(s)); err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

func concatLists(e *env, values []any) (any, error) {
	var out []any
	for _, v := range values {
		items, ok := v.([]any)
		if !ok {
			items = []any{v}
		}
		if err := e.charge(8 * len(items)); err != nil {
			return nil, err
		}
		out = append(out, items...)
	}
	return out, nil
}

func concatMaps(e *env, values []any) (any, error) {
	out := map[string]any{}
	for _, v := range values {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, failf("%s cannot be joined to a map", typeName(v))
		}
		if err := e.charge(8 * len(m)); err != nil {
			return nil, err
		}
		maps.Copy(out, m)
	}
	return out, nil
}

// operation is a binary operator on two values.
type operation struct {
	op          string
	left, right node
}

func (n *operation) eval(e *env) (any, error) {
	a, err := e.run(n.left)
	if err != nil {
		return nil, err
	}
	if _, bits := a.(int64); !bits && (n.op == "-and" && !truth(a) || n.op == "-or" && truth(a)) {
		return n.op == "-or", nil
	}
	b, err := e.run(n.right)
	if err != nil {
		return nil, err
	}
	switch n.op {
	case "-and", "-or":
		return logic(n.op, a, b), nil
	case "==", "!=":
		if err := e.chargeValue(a); err != nil { // comparing costs time, not space
			return nil, err
		}
		return equal(a, b) == (n.op == "=="), nil
	case "<", "<=", ">", ">=":
		return compare(e, n.op, a, b)
	default:
		return arithmetic(n.op, a, b)
	}
}

func logic(op string, a, b any) any {
	x, okX := a.(int64)
	y, okY := b.(int64)
	switch {
	case okX && okY && op == "-and":
		return x & y
	case okX && okY:
		return x | y
	case op == "-and":
		return truth(a) && truth(b)
	default:
		return truth(a) || truth(b)
	}
}

func compare(e *env, op string, a, b any) (any, error) {
	var c int
	if x, y, ok := floats(a, b); ok {
		if math.IsNaN(x) || math.IsNaN(y) {
			return false, nil
		}
		c = order(x, y)
	} else if x, ok := a.(int64); ok {
		y, ok := b.(int64)
		if !ok {
			return nil, mismatch(op, a, b)
		}
		c = order(x, y)
	} else {
		x, okX := a.(string)
		y, okY := b.(string)
		if !okX || !okY {
			return nil, mismatch(op, a, b)
		}
		if err := e.work(min(len(x), len(y))); err != nil {
			return nil, err
		}
		c = strings.Compare(x, y)
	}
	switch op {
	case "<":
		return c < 0, nil
	case "<=":
		return c <= 0, nil
	case ">":
		return c > 0, nil
	default:
		return c >= 0, nil
	}
}

func order[T int64 | float64](x, y T) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	default:
		return 0
	}
}

func mismatch(op string, a, b any) error {
	return failf("%q does not work on %s and %s", op, typeName(a), typeName(b))
}

func arithmetic(op string, a, b any) (any, error) {
	if x, y, ok := floats(a, b); ok {
		return floatArithmetic(op, x, y)
	}
	x, okX := a.(int64)
	y, okY := b.(int64)
	if !okX || !okY {
		return nil, mismatch(op, a, b)
	}
	return intArithmetic(op, x, y)
}

func floatArithmetic(op string, x, y float64) (any, error) {
	var r float64
	switch op {
	case "+":
		r = x + y
	case "-":
		r = x - y
	case "*":
		r = x * y
	case "/":
		if y == 0 {
			return nil, failf("division by zero")
		}
		r = x / y
	default:
		return nil, failf(`"%%" works on integers only`)
	}
	if math.IsInf(r, 0) || math.IsNaN(r) {
		return nil, failf("the result of %q is out of range", op)
	}
	return r, nil
}

func intArithmetic(op string, x, y int64) (any, error) {
	overflow := &evalError{problem: "the result of " + op + " is out of range"}
	switch op {
	case "+":
		if r := x + y; (r > x) == (y > 0) {
			return r, nil
		}
		return nil, overflow
	case "-":
		if r := x - y; (r < x) == (y > 0) {
			return r, nil
		}
		return nil, overflow
	case "*":
		r := x * y
		if x != 0 && (r/x != y || x == -1 && y == math.MinInt64) {
			return nil, overflow
		}
		return r, nil
	}
	if y == 0 {
		return nil, failf("division by zero")
	}
	if x == math.MinInt64 && y == -1 {
		return nil, overflow
	}
	if op == "/" {
		return x / y, nil
	}
	return x % y, nil
}
