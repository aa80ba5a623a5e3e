package yamledit

import (
	"bytes"
	"fmt"
	"strings"
)

// maxMarks bounds what a parsed file takes in memory: about 200 bytes for each value, be it one byte of text. Manifests of
// 5 MB have 150,000 to 300,000 values.
const maxMarks = 450_000

// ErrTooMany is wrapped by errors about files with too many values.
var ErrTooMany = fmt.Errorf("the file has more values than can be edited, which are about %d: split it into several", maxMarks)

// CheckValues returns ErrTooMany if files have more values together than one may have that is edited. It parses nothing.
func CheckValues(contents ...[]byte) error {
	n := 0
	for _, content := range contents {
		if n += marks(content); n > maxMarks {
			return ErrTooMany
		}
	}
	return nil
}

// marks returns at least as many as a text has values and keys, and not many more: text in quotes, comments and block
// scalars is counted as if it were YAML, as telling it apart is the work of the parser.
func marks(text []byte) int {
	if isJSON(text) { // where line breaks mean nothing, and each key has a colon
		return bytes.Count(text, []byte(",")) + bytes.Count(text, []byte(":")) + bytes.Count(text, []byte("[")) + bytes.Count(text, []byte("{"))
	}
	n := 0
	pair := false // there was a colon since the last comma
	for i, c := range text {
		switch c {
		case '[', '{', '*', '&':
			n++
			pair = false
		case ',':
			n++
			if !pair {
				n++ // in a map it may be a key without a value
			}
			pair = false
		case ':':
			if !inWord(text, i) {
				n += 2
				pair = true
			}
		case '-', '?', '.':
			n += lineMarks(text, i)
		}
	}
	return n
}

// lineMarks counts what begins an item, a key or a document.
func lineMarks(text []byte, i int) int {
	c := text[i]
	if lineStart := i == 0 || text[i-1] == '\n' || text[i-1] == '\r'; lineStart && c != '?' && isMarker(text[i:], strings.Repeat(string(c), 3)) {
		return 4 // a document costs more than its values
	}
	next := i+1 == len(text) || strings.IndexByte(" \t\r\n", text[i+1]) >= 0
	switch {
	case c == '-' && next:
		return 1
	case c == '?':
		return 2 // in [] it needs no blank
	}
	return 0
}

// inWord tells whether a colon is one of a URL, an image or a time.
func inWord(text []byte, i int) bool {
	return i > 0 && i+1 < len(text) && isWord(text[i-1]) && isWord(text[i+1])
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '.' || c == '_' || c == '-'
}
