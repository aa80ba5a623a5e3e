package yamledit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/hack/benchtest"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// numbered repeats a format with the numbers from 0.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestDenseFilesFitIntoMemory edits files that are made to take much more memory than text, with as many values as are
// accepted of each. It is not parallel, as it measures the heap.
func TestDenseFilesFitIntoMemory(t *testing.T) { //nolint:paralleltest // it measures the heap
	const bound = 110 << 20
	for name, tc := range map[string]struct{ head, unit, tail, path string }{
		"flow list":      {"a: 0\nl: [", "%d,", "1]\n", "a"},
		"JSON list":      {`{"a": 0, "l": [`, "%d,", "1]}\n", "a"},
		"JSON objects":   {`{"a": 0, "l": [`, `{"n":%d},`, "1]}\n", "a"},
		"flow maps":      {"a: 0\nl:\n", "- {n: %d, x: y}\n", "", "a"},
		"keys":           {"a: 0\nl: [", "{k%d},", "]\n", "a"},
		"pairs":          {"a: 0\nl: [", "k%d: 1,", "]\n", "a"},
		"block map":      {"a: 0\n", "k%d: x\n", "", "a"},
		"block list":     {"a: 0\nl:\n", "- %d\n", "", "a"},
		"lists in lists": {"a: 0\nl:\n", "- - - - - - - - %d\n", "", "a"},
		"explicit keys":  {"a: 0\nl:\n", "  ? k%d\n", "", "a"},
		"brackets":       {"a: 0\nl: [", strings.Repeat("[", 50) + "%d" + strings.Repeat("]", 50) + ",", "]\n", "a"},
		"anchors":        {"a: 0\nl: [", "&a%d 1,", "]\n", "a"},
		"aliases":        {"a: 0\nb: &b 1\nl: [", "*b:%d,", "]\n", "a"},
		"comments":       {"a: 0\n", "#%d\n\n", "", "a"},
		"documents":      {"a: 0\n", "---\n%d\n", "", "new"},
		"bare documents": {"a: 0\n", "---\n---\n#%d\n", "", "new"},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures the heap
			refused := 0
			for n := 450_000; ; n = n * 3 / 4 {
				in := []byte(tc.head + numbered(tc.unit, n) + tc.tail)
				var err error
				took := benchtest.Live(func() {
					_, err = yamledit.Apply(t.Context(), in, []yamledit.Edit{{Path: tc.path, Value: 1}})
				})
				if took > bound {
					t.Errorf("the edit of %d bytes takes %d MiB", len(in), took>>20)
				}
				if errors.Is(err, yamledit.ErrTooMany) || errors.Is(err, yamledit.ErrTooLarge) {
					refused++
					continue
				}
				if err != nil {
					t.Error(err)
				}
				t.Logf("%d bytes take %d MiB, %d larger ones were refused", len(in), took>>20, refused)
				return
			}
		})
	}
}
