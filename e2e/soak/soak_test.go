package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if serving() {
		os.Exit(serve())
	}
	goleak.VerifyTestMain(m)
}

// TestSoak is a short one. `make soak` takes two minutes.
func TestSoak(t *testing.T) {
	o := options{duration: 10 * time.Second, concurrency: 16, seed: 1, killEvery: 1500 * time.Millisecond, live: 100, quota: 8 << 20, damage: 200 * time.Millisecond}
	var out strings.Builder
	counts, err := soak(t.Context(), o, &out)
	if err != nil {
		t.Fatalf("%v\n%s%s", err, &out, counts)
	}
	// How much of the rest there is depends on the machine.
	for what, n := range map[string]int64{
		"pushes": counts.pushes.Load(), "pulls": counts.pulls.Load(), "kills": counts.kills.Load(), "audits": counts.audited.Load(),
	} {
		if n == 0 {
			t.Errorf("no %s: %s", what, counts)
		}
	}
	t.Log(counts)
}
