package lifecycle

import (
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// TestPipelinesThatHaveBegunGoFirst: between two stages of a pipeline nothing of it waits at the gate. The turn is kept
// for it, when something is known to wait for others, and for a while.
func TestPipelinesThatHaveBegunGoFirst(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		waiting bool
		kept    bool
	}{
		"something waits": {true, true},
		"nothing waits":   {false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				gate := NewGate(1, "first", "last")
				waiting := newWaiting(gate)
				if tc.waiting {
					waiting.remaining(types.NamespacedName{Name: "app"}, time.Minute)
				}
				leave, err := gate.Enter(t.Context(), "first")
				if err != nil {
					t.Fatal(err)
				}
				leave(true)
				began := false
				go func() {
					leave, err := gate.Enter(t.Context(), "first")
					if err != nil {
						t.Error(err)
					}
					began = true
					leave(false)
				}()
				synctest.Wait()
				if began == tc.kept {
					t.Errorf("another pipeline began at once: %t", began)
				}
				leave, err = gate.Enter(t.Context(), "last")
				if err != nil {
					t.Fatal(err)
				}
				leave(false)
				synctest.Wait()
				if !began {
					t.Error("the turn was kept after it was used")
				}
				waiting.forget(types.NamespacedName{Name: "app"})
				waiting.forget(types.NamespacedName{Name: "app"})
				if gate.expectant != 0 || gate.active != 0 || len(gate.kept) != 0 {
					t.Errorf("%d expected, %d active, %d kept, want none", gate.expectant, gate.active, len(gate.kept))
				}
			})
		})
	}
}

// TestTurnsAreNotKeptForEver: what waits may wait for something else.
func TestTurnsAreNotKeptForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := NewGate(1, "first", "last")
		gate.expect(1)
		leave, err := gate.Enter(t.Context(), "first")
		if err != nil {
			t.Fatal(err)
		}
		leave(true)
		start := time.Now()
		if leave, err = gate.Enter(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		leave(false)
		if took := time.Since(start); took != handover {
			t.Errorf("a turn was kept for %s, want %s", took, handover)
		}
	})
}
