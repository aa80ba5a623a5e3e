package manager

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// TestTurnsOf: who wants more objects of a kind to be reconciled at once has them wait for no turn.
func TestTurnsOf(t *testing.T) {
	t.Parallel()
	for want, o := range map[int]*options.Options{
		16: {Concurrent: 4, ConcurrentKinds: map[string]int{"Resource": 8}},
		50: {Concurrent: 4, ConcurrentKinds: map[string]int{"Resource": 50, "Snapshot": 3}},
		4:  {Concurrent: 1},
	} {
		if got := turnsOf(o); got != want {
			t.Errorf("%d turns with %d at once and %v, want %d", got, o.Concurrent, o.ConcurrentKinds, want)
		}
	}
}
