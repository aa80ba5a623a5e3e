package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxValue is how long a value may be in a text. Names of components, versions and paths that are longer are shown cut.
	maxValue = 1024

	// apart is a space of no width. Behind the sign of a reference it makes plain text of it, which looks the same.
	apart = "\u200b"
)

// oneLine returns a value as it can stand in a line: without line ends, control characters and those that change the direction
// of the text or hide it, without spaces around it, in UTF-8, and not too long.
func oneLine(s string) string { return cut(flat(s), maxValue) }

func flat(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
		default:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// clean tells whether a text is visible ASCII.
func clean(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cut shortens a text to a number of bytes, and shows that it did.
func cut(s string, limit int) string {
	const more = "…"
	if len(s) <= limit {
		return s
	}
	n := limit - len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}

// defuse makes plain text of what forges take for more than that, in commit messages as well as in texts: mentions (@team),
// references to issues, requests, epics and snippets (#1, !1, &1, $1, GH-1), and addresses, which can be references, too. Without
// references, no keyword closes anything. Names of images with a digest stay as they are: no mention follows a letter.
func defuse(s string) string {
	if !strings.ContainsAny(s, "@#!&$:-") {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte(s[i])
		next := byte(0)
		if i+1 < len(s) {
			next = s[i+1]
		}
		switch s[i] {
		case '@':
			if !isWord(next) && next < utf8.RuneSelf || i > 0 && isWord(s[i-1]) {
				continue
			}
		case '#', '!', '&', '$':
			if !isWord(next) {
				continue
			}
		case ':':
			if !strings.HasPrefix(s[i+1:], "//") {
				continue
			}
		case '-':
			if !isDigit(next) || !isGH(s[:i]) {
				continue
			}
		default:
			continue
		}
		b.WriteString(apart)
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWord(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// isGH tells whether a text ends with GH or GL, by which forges name issues of their own in other trackers.
func isGH(s string) bool {
	n := len(s)
	if n < 2 || n > 2 && isWord(s[n-3]) {
		return false
	}
	return strings.EqualFold(s[n-2:], "gh") || strings.EqualFold(s[n-2:], "gl")
}

// inline returns a value as Markdown that shows it. What needs no escape has none, so that usual names and versions can stand in
// code and in addresses, too.
func inline(s string) string {
	var b strings.Builder
	s = defuse(s)
	for i := range len(s) {
		c := s[i]
		switch {
		case strings.IndexByte("\\`*[]~|", c) >= 0:
			b.WriteByte('\\')
		case c == '<':
			b.WriteString("&lt;")
			continue
		case c == '&':
			b.WriteString("&amp;")
			continue
		case c == '_' && !between(s, i):
			b.WriteByte('\\')
		case strings.IndexByte("#>+-=/:!", c) >= 0 && (i == 0 || s[i-1] == '\n' || s[i-1] == ' '):
			b.WriteByte('\\') // headings, quotes, lists, rules and the commands of forges begin lines
		}
		b.WriteByte(c)
	}
	return b.String()
}

// between tells whether letters or digits are on both sides.
func between(s string, i int) bool {
	return i > 0 && i+1 < len(s) && s[i-1] != '_' && isWord(s[i-1]) && s[i+1] != '_' && isWord(s[i+1])
}

// code returns a value as Markdown that shows it as code.
func code(s string) string {
	s = defuse(oneLine(s))
	if s == "" {
		return "` `"
	}
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return fence + s + fence
}
