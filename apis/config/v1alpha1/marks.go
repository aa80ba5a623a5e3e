package v1alpha1

import (
	"bytes"
	"fmt"
)

// maxMarks bounds what a parsed file takes in memory: up to 500 bytes for each value, be it one byte of text. A file of a
// mebibyte that people wrote has 60,000 to 100,000.
const maxMarks = 200_000

// checkMarks refuses a file with too many values before it is parsed. It counts what stands beside each of them, be it in
// text: where there is no colon a comma may end a key and its missing value.
func checkMarks(data []byte) error {
	n := 0
	for mark, values := range map[string]int{":": 2, ",": 2, "?": 2, "[": 1, "{": 1} {
		n += values * bytes.Count(data, []byte(mark))
	}
	for _, blank := range []byte(" \t\r\n") {
		n += bytes.Count(data, []byte{'-', blank})
	}
	if n <= maxMarks {
		return nil
	}
	return &FieldError{Line: 1, Path: "file", Problem: fmt.Sprintf("it holds about %d keys and values, and no more than %d are read: split it into several", n, maxMarks)}
}
