package expr

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

type function struct {
	min, max int // of arguments; a max of -1 means any number
	form     string
	// apply gets evaluated arguments; it is nil for defined, which evaluates by itself.
	apply func(e *env, args []any) (any, error)
}

var functions = map[string]function{
	"asjson":        {1, 1, "asjson(value)", asJSON},
	"base64":        {1, 2, "base64(text, [line length])", encode64},
	"base64_decode": {1, 1, "base64_decode(text)", decode64},
	"defined":       {1, 1, "defined(expression)", nil},
	"format":        {1, -1, "format(text, values...)", format},
	"join":          {1, -1, "join(separator, values or lists...)", join},
	"length":        {1, 1, "length(text, list or map)", length},
	"replace":       {3, 4, "replace(text, old, new, [count])", replace},
	"split":         {2, 3, "split(separator or length, text, [count])", split},
	"trim":          {1, 2, "trim(text or list, [characters])", trim},
}

func functionNames() []string { return slices.Sorted(maps.Keys(functions)) }

type call struct {
	name string
	fn   function
	args []node
}

func (n *call) eval(e *env) (any, error) {
	if n.fn.apply == nil {
		return n.defined(e)
	}
	args := make([]any, len(n.args))
	for i, arg := range n.args {
		v, err := e.run(arg)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	v, err := n.fn.apply(e, args)
	if bad, ok := errors.AsType[*evalError](err); ok {
		return nil, failf("%s: %s; the form is %s", n.name, bad.problem, n.fn.form)
	}
	return v, err
}

// defined tells whether its argument can be evaluated, whatever the reason.
func (n *call) defined(e *env) (any, error) {
	_, err := e.run(n.args[0])
	if errors.Is(err, ErrLimit) {
		return nil, err
	}
	if stopped := e.proceed(); stopped != nil {
		return nil, stopped
	}
	return err == nil, nil
}

func textArgument(args []any, i int) (string, error) {
	s, ok := text(args[i])
	if !ok {
		return "", failf("argument %d must be a text, not %s", i+1, typeName(args[i]))
	}
	return s, nil
}

// countArgument reads an optional number, -1 when there is none.
func countArgument(args []any, i int) (int, error) {
	if i >= len(args) {
		return -1, nil
	}
	n, ok := args[i].(int64)
	if !ok || n < -1 || n > 1<<30 {
		return 0, failf("argument %d must be an integer of at least -1", i+1)
	}
	return int(n), nil
}

func join(e *env, args []any) (any, error) {
	sep, err := textArgument(args, 0)
	if err != nil {
		return nil, err
	}
	var parts []string
	for i, arg := range args[1:] {
		items, ok := arg.([]any)
		if !ok {
			items = []any{arg}
		}
		for _, item := range items {
			if item, err = normal(item); err != nil {
				return nil, err
			}
			s, ok := text(item)
			if !ok {
				return nil, failf("argument %d holds %s, which cannot be joined", i+2, typeName(item))
			}
			if err := e.work(perElement); err != nil {
				return nil, err
			}
			if err := e.charge(len(s) + len(sep)); err != nil {
				return nil, err
			}
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, sep), nil
}

func split(e *env, args []any) (any, error) {
	s, err := textArgument(args, 1)
	if err != nil {
		return nil, err
	}
	count, err := countArgument(args, 2)
	if err != nil {
		return nil, err
	}
	if err := e.charge(len(s)); err != nil {
		return nil, err
	}
	var parts []string
	if width, ok := args[0].(int64); ok {
		parts, err = chunks(s, width, count)
	} else {
		var sep string
		sep, err = textArgument(args, 0)
		parts = strings.SplitN(s, sep, count)
	}
	if err != nil {
		return nil, err
	}
	if err := e.charge(16 * len(parts)); err != nil {
		return nil, err
	}
	return texts(parts), nil
}

// chunks cuts a text into pieces of width characters, the last of at most count pieces takes the
// rest.
func chunks(s string, width int64, count int) ([]string, error) {
	if width < 1 {
		return nil, failf("argument 1 must be a text or a positive integer")
	}
	var parts []string
	runes := []rune(s)
	for len(runes) > 0 && count != 0 {
		n := int(min(width, int64(len(runes))))
		if count == 1 {
			n = len(runes)
		}
		parts = append(parts, string(runes[:n]))
		runes = runes[n:]
		count--
	}
	return parts, nil
}

func texts(parts []string) []any {
	out := make([]any, len(parts))
	for i, part := range parts {
		out[i] = part
	}
	return out
}

func trim(e *env, args []any) (any, error) {
	cutset := " \t"
	if len(args) == 2 {
		var err error
		if cutset, err = textArgument(args, 1); err != nil {
			return nil, err
		}
	}
	items, ok := args[0].([]any)
	if !ok {
		s, err := textArgument(args, 0)
		if err != nil {
			return nil, err
		}
		return cut(e, s, cutset)
	}
	out := make([]any, len(items))
	for i, item := range items {
		s, ok := item.(string)
		if !ok {
			return nil, failf("element %d of the list must be a text, not %s", i, typeName(item))
		}
		trimmed, err := cut(e, s, cutset)
		if err != nil {
			return nil, err
		}
		out[i] = trimmed
	}
	return out, e.charge(16 * len(out))
}

// cut trims one text. Each of its characters may have to be looked for in all of the cutset.
func cut(e *env, s, cutset string) (string, error) {
	if err := e.work(perElement + len(s) + len(cutset)); err != nil {
		return "", err
	}
	isWide := func(r rune) bool { return r >= utf8.RuneSelf }
	if strings.IndexFunc(cutset, isWide) < 0 { // then the cutset is read once
		return strings.Trim(s, cutset), nil
	}
	if err := e.work(len(s) * len(cutset)); err != nil {
		return "", err
	}
	return strings.Trim(s, cutset), nil
}

func replace(e *env, args []any) (any, error) {
	var s [3]string
	for i := range s {
		var err error
		if s[i], err = textArgument(args, i); err != nil {
			return nil, err
		}
	}
	count, err := countArgument(args, 3)
	if err != nil {
		return nil, err
	}
	hits := strings.Count(s[0], s[1])
	if count >= 0 {
		hits = min(hits, count)
	}
	if err := e.charge(len(s[0]) + hits*len(s[2])); err != nil {
		return nil, err
	}
	return strings.Replace(s[0], s[1], s[2], count), nil
}

func length(e *env, args []any) (any, error) {
	switch v := args[0].(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), e.work(len(v))
	case []any:
		return int64(len(v)), nil
	case map[string]any:
		return int64(len(v)), nil
	default:
		return nil, failf("%s has no length", typeName(v))
	}
}

func encode64(e *env, args []any) (any, error) {
	s, err := textArgument(args, 0)
	if err != nil {
		return nil, err
	}
	width, err := countArgument(args, 1)
	if err != nil {
		return nil, err
	}
	if err := e.charge(base64.StdEncoding.EncodedLen(len(s))); err != nil {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(s))
	if width < 1 {
		return encoded, nil
	}
	lines, err := chunks(encoded, int64(width), -1)
	if err != nil {
		return nil, err
	}
	return strings.Join(lines, "\n"), e.charge(len(lines))
}

func decode64(e *env, args []any) (any, error) {
	s, err := textArgument(args, 0)
	if err != nil {
		return nil, err
	}
	if err := e.work(len(s)); err != nil {
		return nil, err
	}
	decoded, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, failf("the text is not base64")
	}
	if !utf8.Valid(decoded) {
		return nil, failf("the decoded bytes are not a text")
	}
	return string(decoded), e.charge(len(decoded))
}

func asJSON(e *env, args []any) (any, error) {
	if err := e.chargeValue(args[0]); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(args[0]); err != nil {
		return nil, failf("the value cannot be written as JSON")
	}
	// What is escaped is up to six times as long.
	return strings.TrimSuffix(b.String(), "\n"), e.charge(b.Len())
}

// format knows the verbs of fmt that make sense for texts and numbers, and refuses widths that
// would build large texts from small ones.
func format(e *env, args []any) (any, error) {
	layout, err := textArgument(args, 0)
	if err != nil {
		return nil, err
	}
	used, err := verbs(layout, args[1:])
	if err != nil {
		return nil, err
	}
	if used != len(args)-1 {
		return nil, failf("the text has %d verbs for %d values", used, len(args)-1)
	}
	n := len(layout)
	for _, arg := range args[1:] {
		n += 2 * size(arg, e.limits.Output)
	}
	if err := e.charge(n); err != nil {
		return nil, err
	}
	return fmt.Sprintf(layout, args[1:]...), nil
}

// verbs checks each verb of a layout against its value and counts them.
func verbs(layout string, args []any) (int, error) {
	n := 0
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' {
			continue
		}
		start := i
		for i++; i < len(layout) && strings.IndexByte("0123456789.+-# ", layout[i]) >= 0; i++ {
		}
		if i-start > 8 || strings.ContainsAny(layout[start:min(i, len(layout))], "123456789") && i-start > 4 {
			return 0, failf("the width of verb %d is too large", n+1)
		}
		if i == len(layout) {
			return 0, failf("the text ends within a verb")
		}
		if layout[i] == '%' {
			continue
		}
		if n == len(args) {
			return 0, failf("the text has more verbs than the %d values", len(args))
		}
		if !fits(layout[i], args[n]) {
			return 0, failf("verb %d does not fit %s", n+1, typeName(args[n]))
		}
		n++
	}
	return n, nil
}

func fits(verb byte, arg any) bool {
	switch arg.(type) {
	case string:
		return strings.IndexByte("svq", verb) >= 0
	case int64:
		return strings.IndexByte("dvxXob", verb) >= 0
	case float64:
		return strings.IndexByte("fFgGeEv", verb) >= 0
	case bool:
		return strings.IndexByte("tv", verb) >= 0
	default:
		return false
	}
}
