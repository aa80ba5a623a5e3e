package panics

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRecover(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do   func() error
		want string
	}{
		"a text":       {func() error { panic("odd") }, "read x: panic: odd"},
		"an error":     {func() error { panic(io.ErrNoProgress) }, "read x: panic: " + io.ErrNoProgress.Error()},
		"of a runtime": {func() error { return []error{}[len(t.Name())] }, "read x: panic: runtime error: index out of range [11] with length 0"},
		"after an error": {func() (err error) {
			defer panic("odd")
			return io.EOF
		}, "read x: panic: odd"},
	} {
		err := guarded(tc.do, "read %s", "x")
		if err == nil || err.Error() != tc.want || errors.Is(err, io.ErrNoProgress) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if stack := Stack(err); !strings.Contains(stack, "TestRecover.func") {
			t.Errorf("%s: the stack does not say where it was:\n%s", name, stack)
		}
	}
	if err := guarded(func() error { panic("odd") }, ""); err == nil || err.Error() != "panic: odd" {
		t.Errorf("without a text: %v", err)
	}
	for _, want := range []error{nil, io.EOF} {
		if err := guarded(func() error { return want }, "read"); err != want || Stack(err) != "" { //nolint:errorlint // it is left alone
			t.Errorf("%v, want %v as it was", err, want)
		}
	}
}

func guarded(do func() error, format string, args ...any) (err error) {
	defer Recover(&err, format, args...)
	return do()
}
