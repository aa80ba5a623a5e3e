package mutation

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/transform"
)

func TestLargeValuesTakeTurns(t *testing.T) {
	t.Parallel()
	large := []byte("text: " + strings.Repeat("x", 100_000) + "\n")
	e := engine{turn: transform.NewTurn(), limits: Limits{}.withDefaults()}
	done, err := e.turn.Take(t.Context(), len(large))
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := e.decodeValues(stopped, large, "test", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("large values are parsed while another file is: %v", err)
	}
	if values, err := e.decodeValues(t.Context(), []byte("a: 1"), "test", ""); err != nil || len(values) != 1 {
		t.Errorf("small values have to wait: got %v, %v", values, err)
	}
	done()
	for range 2 {
		if values, err := e.decodeValues(t.Context(), large, "test", ""); err != nil || len(values) != 1 {
			t.Errorf("large values are not parsed when it is their turn: %v", err)
		}
	}
}
