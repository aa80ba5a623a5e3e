package transform

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestLargeFilesTakeTurns(t *testing.T) {
	t.Parallel()
	turn := NewTurn()
	large := []byte("key: value\ntext: " + strings.Repeat("x", largeFile) + "\n")
	plan := Plan{Turn: turn, Substitutions: []Substitution{{Rule: "rule", File: "file.yaml", Path: "key", Value: "other"}}}
	merge := Plan{Turn: turn, Merge: &Merger{Rule: "merge", File: "file.yaml", Base: large}}
	done, err := turn.Take(t.Context(), largeFile)
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for name, waits := range map[string]func() ([]byte, error){
		"a large file":      func() ([]byte, error) { return plan.File(stopped, "file.yaml", large) },
		"over a large base": func() ([]byte, error) { return merge.File(stopped, "file.yaml", []byte("key: value\n")) },
	} {
		if _, err := waits(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s is edited while another one is: %v", name, err)
		}
	}
	if out, err := plan.File(t.Context(), "file.yaml", []byte("key: value\n")); err != nil || string(out) != "key: other\n" {
		t.Errorf("a small file has to wait: got %q, %v", out, err)
	}
	plan.Turn = NewTurn()
	if out, err := plan.File(t.Context(), "file.yaml", large); err != nil || !strings.HasPrefix(string(out), "key: other\n") {
		t.Errorf("a large file waits for those of others: %v", err)
	}
	plan.Turn = turn
	done()
	for range 2 {
		if out, err := plan.File(t.Context(), "file.yaml", large); err != nil || !strings.HasPrefix(string(out), "key: other\n") {
			t.Errorf("a large file is not edited when it is its turn: %v", err)
		}
	}
}
