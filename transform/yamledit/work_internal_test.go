package yamledit

import (
	"errors"
	"strings"
	"testing"
)

func TestEachParseIsWork(t *testing.T) {
	t.Parallel()
	path, err := ParsePath("a")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"YAML": "a: 0\n" + strings.Repeat("# comment\n", 1000),
		"JSON": `{"a": 0, "b": "` + strings.Repeat("x", 10_000) + `"}`,
	} {
		f := open([]byte(text))
		f.work = 10 * len(text)
		edits := 0
		for err = error(nil); err == nil && edits < 100; edits++ {
			err = f.apply(path, Edit{Path: "a", Value: edits % 7})
		}
		if !errors.Is(err, ErrWork) || edits < 5 || edits > 11 {
			t.Errorf("%s: after %d edits got %v", name, edits, err)
		}
	}
}
