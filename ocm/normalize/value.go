package normalize

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// value writes a member with a part of a label, unless there is none. Numbers
// are what fits into a float64: that is what the reference tools sign, digits
// that are lost with it are not signed.
func (o *object) value(label, name string, raw json.RawMessage) {
	if len(raw) == 0 || (o.sparse && string(raw) == null) {
		return
	}
	// This bounds the depth as well.
	if !json.Valid(raw) {
		o.fail(fmt.Errorf("%s of label %q is no JSON", name, label))
		return
	}
	o.key(name)
	v := value{writer: o.writer, dec: json.NewDecoder(bytes.NewReader(raw))}
	if err := v.write(); err != nil {
		o.fail(fmt.Errorf("%s of label %q: %w", name, label, err))
	}
}

const null = "null"

// value writes any JSON. It reads one token after the other: the value of a
// label may be as large as a descriptor, and would take fifty times its size of
// memory as a tree.
type value struct {
	*writer

	dec *json.Decoder
}

func (v value) write() error {
	token, err := v.dec.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return v.writeObject()
		}
		return v.writeList()
	case string:
		v.string(token)
	case float64:
		return v.number(token)
	case bool:
		v.buf = strconv.AppendBool(v.buf, token)
	default:
		v.buf = append(v.buf, null...)
	}
	return nil
}

func (v value) writeList() error {
	v.buf = append(v.buf, '[')
	for i := 0; v.dec.More(); i++ {
		if i > 0 {
			v.buf = append(v.buf, ',')
		}
		if err := v.write(); err != nil {
			return err
		}
	}
	v.buf = append(v.buf, ']')
	_, err := v.dec.Token()
	return err
}

// writeObject writes the values of the members in the order in which they are,
// and then puts them where they belong.
func (v value) writeObject() error {
	type member struct {
		key      string
		from, to int
	}
	var members []member
	start := len(v.buf)
	for v.dec.More() {
		key, err := v.dec.Token()
		if err != nil {
			return err
		}
		m := member{from: len(v.buf) - start}
		m.key, _ = key.(string)
		if err := v.write(); err != nil {
			return err
		}
		m.to = len(v.buf) - start
		members = append(members, m)
	}
	slices.SortStableFunc(members, func(a, b member) int { return v.compare(a.key, b.key) })
	v.scratch = append(v.scratch[:0], v.buf[start:]...)
	v.buf = v.buf[:start]
	o := v.object()
	for i, m := range members {
		text := v.scratch[m.from:m.to]
		// The last one of a name is the one that counts.
		if last := i+1 == len(members) || members[i+1].key != m.key; !last || (v.sparse && string(text) == null) {
			continue
		}
		o.key(m.key)
		o.buf = append(o.buf, text...)
	}
	o.end()
	_, err := v.dec.Token()
	return err
}

// number writes a number as ECMAScript does, which is what the Go encoder does
// but for the negative zero: that is the number zero.
func (w *writer) number(f float64) error {
	if f == 0 && !w.entries {
		f = 0
	}
	text, err := json.Marshal(f)
	w.buf = append(w.buf, text...)
	return err
}

// compare orders the members of an object.
func (w *writer) compare(a, b string) int {
	if w.entries {
		return strings.Compare(a, b)
	}
	return byUTF16(a, b)
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
