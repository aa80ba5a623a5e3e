package yamledit

import (
	"bytes"
	"strings"
)

// chunk is the text of one document of a stream, with its "---" line.
type chunk struct {
	start, end int
}

// split cuts a stream into its documents. A line that begins with "---" or "..." in the first
// column is a document marker wherever it stands, so no parsing is needed.
func split(text []byte) []chunk {
	var chunks []chunk
	start := 0
	explicit := false // the chunk has a "---" line
	flush := func(end int) {
		switch {
		case explicit || hasContent(text[start:end]):
			chunks = append(chunks, chunk{start, end})
		case len(chunks) > 0:
			chunks[len(chunks)-1].end = end // comments behind "..." belong to what they follow
		default:
			return // comments before the first document belong to it
		}
		start, explicit = end, false
	}
	for pos := 0; pos < len(text); pos = nextLine(text, pos) {
		switch {
		case isMarker(text[pos:], "---"):
			if explicit || hasContent(text[start:pos]) {
				flush(pos)
			}
			explicit = true
		case isMarker(text[pos:], "..."):
			flush(nextLine(text, pos))
		}
	}
	flush(len(text))
	if len(chunks) == 0 {
		return []chunk{{0, len(text)}}
	}
	return chunks
}

func isMarker(line []byte, marker string) bool {
	if !bytes.HasPrefix(line, []byte(marker)) {
		return false
	}
	return len(line) == len(marker) || strings.IndexByte(" \t\r\n", line[len(marker)]) >= 0
}

// hasContent tells whether a text has anything but blanks, comments, directives and markers.
func hasContent(text []byte) bool {
	for pos := 0; pos < len(text); pos = nextLine(text, pos) {
		line := bytes.TrimSpace(text[pos:nextLine(text, pos)])
		if len(line) > 0 && line[0] != '#' && text[pos] != '%' && !isMarker(line, "...") {
			return true
		}
	}
	return false
}

// nextLine returns the offset of the line behind the one with pos.
func nextLine(text []byte, pos int) int {
	if i := bytes.IndexByte(text[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(text)
}

// lineEnd returns the offset of the line break, or of the end of the text, behind pos.
func lineEnd(text []byte, pos int) int {
	end := nextLine(text, pos)
	if end > pos && text[end-1] == '\n' {
		end--
	}
	if end > pos && text[end-1] == '\r' {
		end--
	}
	return end
}

// lineStart returns the offset of the line with pos.
func lineStart(text []byte, pos int) int {
	return bytes.LastIndexByte(text[:pos], '\n') + 1
}
