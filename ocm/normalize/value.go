package normalize

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// value writes a member with a part of a label, unless there is none. Numbers
// are what fits into a float64: that is what the reference tools sign, digits
// that are lost with it are not signed.
func (o *object) value(label, name string, raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		o.fail(fmt.Errorf("%s of label %q: %w", name, label, err))
		return
	}
	if v == nil && o.sparse {
		return
	}
	o.key(name)
	o.any(v)
}

func (w *writer) any(v any) {
	switch v := v.(type) {
	case nil:
		w.buf = append(w.buf, "null"...)
	case bool:
		w.buf = strconv.AppendBool(w.buf, v)
	case string:
		w.string(v)
	case float64:
		w.number(v)
	case []any:
		w.list(len(v), func(i int) { w.any(v[i]) })
	case map[string]any:
		o := w.object()
		for _, k := range sortedKeys(w, v) {
			if v[k] == nil && w.sparse {
				continue
			}
			o.key(k)
			w.any(v[k])
		}
		o.end()
	}
}

// number writes a number as ECMAScript does, which is what the Go encoder does
// but for the negative zero: that is the number zero.
func (w *writer) number(f float64) {
	if f == 0 && !w.entries {
		f = 0
	}
	text, err := json.Marshal(f)
	if err != nil {
		w.fail(err)
		return
	}
	w.buf = append(w.buf, text...)
}

// sortedKeys returns the keys in their canonical order.
func sortedKeys[V any](w *writer, m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	if w.entries {
		slices.Sort(keys)
	} else {
		slices.SortFunc(keys, byUTF16)
	}
	return keys
}

// byUTF16 compares strings as RFC 8785 does: by the units of their UTF-16 form.
func byUTF16(a, b string) int {
	for x, y := a, b; x != "" && y != ""; {
		r, n := utf8.DecodeRuneInString(x)
		s, m := utf8.DecodeRuneInString(y)
		if r != s {
			return cmp.Compare(rank(r), rank(s))
		}
		x, y = x[n:], y[m:]
	}
	return cmp.Compare(a, b)
}

// rank orders characters by their UTF-16 form: those beyond the basic plane are
// written with surrogates, which come before the last part of that plane.
func rank(r rune) rune {
	const surrogates, beyond = 0xD800, 0x10000
	switch {
	case r >= beyond:
		return r - beyond + surrogates
	case r >= surrogates:
		return r + unicode.MaxRune
	}
	return r
}
