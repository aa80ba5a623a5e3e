package main

import (
	"net/http"
	"os"
	"strings"
	"sync/atomic"
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
	t.Log(counts)
}

// TestIdle: a soak in which something never happened has not shown that it goes well.
func TestIdle(t *testing.T) {
	t.Parallel()
	var c counts
	for _, n := range []*atomic.Int64{&c.pushes, &c.pulls, &c.deletions, &c.releases, &c.kills, &c.audited, &c.collections, &c.collected} {
		if c.idle(options{}) == nil {
			t.Errorf("nothing is missed in %s", &c)
		}
		n.Add(1)
	}
	if err := c.idle(options{}); err != nil {
		t.Error(err)
	}
	if c.idle(options{damage: time.Second}) == nil {
		t.Error("nobody misses the damage")
	}
}

// TestExplained: damage of a blob excuses what follows from it, and nothing else.
func TestExplained(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		got  answer
		err  error
		want bool
	}{
		"it is told":       {answer{}, &wrongError{status: http.StatusInternalServerError}, true},
		"it is gone":       {answer{status: http.StatusNotFound}, nil, true},
		"it is served":     {answer{status: http.StatusOK}, nil, false},
		"it is forbidden":  {answer{status: http.StatusForbidden}, nil, false},
		"other bytes":      {answer{}, corrupt("x"), false},
		"no answer at all": {answer{}, errBroken, false},
		"a bad gateway":    {answer{}, &wrongError{status: http.StatusBadGateway}, false},
	} {
		if got := explained(tc.got, tc.err); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
