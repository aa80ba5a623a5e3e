package v1alpha1_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	configv1 "github.com/ocm-operator/ocm-operator/apis/config/v1alpha1"
	"github.com/ocm-operator/ocm-operator/hack/benchtest"
)

// TestDenseFilesFitIntoMemory reads files that are made to take much more memory than text, with as many values as are
// accepted of each.
func TestDenseFilesFitIntoMemory(t *testing.T) { //nolint:paralleltest // it measures the heap
	const bound = 110 << 20
	for name, unit := range map[string]string{
		"numbers":   "%d,",
		"maps":      "{n: %d, x: y},",
		"keys":      "{k%d},",
		"pairs":     "k%d: 1,",
		"empty":     "{}, %d,",
		"brackets":  strings.Repeat("[", 40) + "%d" + strings.Repeat("]", 40) + ",",
		"block":     "\n  - - - - - - - - %d",
		"block map": "\n  k%d: x",
		"explicit":  "\n  ? k%d",
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // it measures the heap
			begin, end := "[", "]"
			if unit[0] == '\n' {
				begin, end = "", ""
			}
			for _, parse := range []func(string) error{
				func(list string) error {
					_, err := configv1.Parse([]byte("configuration:\n defaults:\n  l: " + list + "\n"))
					return err
				},
				func(list string) error {
					_, err := configv1.ParseValues([]byte("l: " + list + "\n"))
					return err
				},
			} {
				var field *configv1.FieldError
				refused := 0
				for n := 300_000; ; n = n * 2 / 3 {
					list := begin + dense(unit, n) + end
					var err error
					if took := benchtest.Live(func() { err = parse(list) }); took > bound {
						t.Errorf("%d bytes take %d MiB", len(list), took>>20)
					} else if err == nil {
						t.Logf("%d bytes take %d MiB, %d larger ones were refused", len(list), took>>20, refused)
						break
					}
					refused++
					if !errors.As(err, &field) && !errors.Is(err, configv1.ErrTooLarge) || n == 0 {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// dense repeats a format with the numbers from 0.
func dense(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
