package normalize

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
)

// chunk is how much is gathered before it is passed on.
const chunk = 16 << 10

// writer writes JSON without blanks. It keeps no more than one element of a list
// and remembers the first error, so that whoever writes need not look for it.
type writer struct {
	form

	out io.Writer
	buf []byte
	err error
	// scratch is where members of an object are put in their order.
	scratch []byte
	// at is the element that is being written, for messages.
	at *descriptor.Element
}

// flush passes on what was gathered once it is worth it.
func (w *writer) flush(least int) {
	if w.err != nil || len(w.buf) < least {
		return
	}
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
}

func (w *writer) finish() error {
	w.flush(1)
	return w.err
}

func (w *writer) fail(err error) {
	switch {
	case w.err != nil:
	case w.at != nil:
		w.err = fmt.Errorf("%s: %w", w.at, err)
	default:
		w.err = err
	}
}

// object is an object that is being written. Its members must come in their
// canonical order.
type object struct {
	*writer

	members int
}

func (w *writer) object() object {
	open := byte('{')
	if w.entries {
		open = '['
	}
	w.buf = append(w.buf, open)
	return object{writer: w}
}

// key begins a member, whose value is to be written next.
func (o *object) key(name string) {
	if o.members > 0 {
		if o.entries {
			o.buf = append(o.buf, '}')
		}
		o.buf = append(o.buf, ',')
	}
	if o.entries {
		o.buf = append(o.buf, '{')
	}
	o.members++
	o.string(name)
	o.buf = append(o.buf, ':')
}

// text writes a member with a string.
func (o *object) text(name, value string) {
	o.key(name)
	o.string(value)
}

// optional writes a member with a string unless it is empty.
func (o *object) optional(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

// raw writes a member with a value that is JSON already.
func (o *object) raw(name, value string) {
	o.key(name)
	o.buf = append(o.buf, value...)
}

func (o *object) end() {
	switch {
	case !o.entries:
		o.buf = append(o.buf, '}')
	case o.members > 0:
		o.buf = append(o.buf, "}]"...)
	default:
		o.buf = append(o.buf, ']')
	}
}

// list writes n values.
func (w *writer) list(n int, value func(i int)) {
	w.buf = append(w.buf, '[')
	for i := range n {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		value(i)
	}
	w.buf = append(w.buf, ']')
}

// elements writes a list whose values are elements.
func (w *writer) elements(n int, at func(i int) *descriptor.Element, value func(i int)) {
	w.list(n, func(i int) {
		w.at = at(i)
		value(i)
		w.flush(chunk)
	})
	w.at = nil
}

const digits = "0123456789abcdef"

// string writes a string as RFC 8785 has it. Where objects are lists of entries
// it is what the Go encoder makes of it, which is safe inside HTML.
func (w *writer) string(s string) {
	w.buf = append(w.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		size, escaped := w.special(s[i:])
		if escaped == "" {
			i += size
			continue
		}
		w.buf = append(append(w.buf, s[start:i]...), escaped...)
		i += size
		start = i
	}
	w.buf = append(append(w.buf, s[start:]...), '"')
}

// plain has the characters that no form has anything special for.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return table
}()

// special returns the size of the first character, and what to write for it
// unless that is the character itself.
func (w *writer) special(s string) (int, string) {
	switch c := s[0]; {
	case c == '"' || c == '\\' || c < ' ':
		return 1, escapes[c]
	case c < utf8.RuneSelf:
		if w.entries && (c == '<' || c == '>' || c == '&') {
			return 1, escape(rune(c))
		}
		return 1, ""
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return 1, string(utf8.RuneError)
	case w.entries && (r == '\u2028' || r == '\u2029'):
		return size, escape(r)
	}
	return size, ""
}

func escape(r rune) string {
	return `\u` + string([]byte{digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15]})
}

// escapes has what to write for the characters that no string may have.
var escapes = func() (table ['\\' + 1]string) {
	for c := range ' ' {
		table[c] = escape(c)
	}
	for c, short := range map[byte]string{'\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`, '"': `\"`, '\\': `\\`} {
		table[c] = short
	}
	return table
}()
