package oci_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// tagged returns a repository of a client that has a memory and a connection.
func tagged(t *testing.T, memory *oci.Memory, connection, path string) *oci.Repository {
	t.Helper()
	r, err := oci.NewClient(oci.Options{Memory: memory, Connection: connection}).Repository(oci.Location{Host: "example.com", Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestTurn lets one at a time write a tag, whichever client it uses.
func TestTurn(t *testing.T) {
	t.Parallel()
	memory := oci.NewMemory(oci.MemoryOptions{})
	var inside, all atomic.Int32
	done := make(chan struct{})
	const writers, times = 4, 50
	for range writers {
		r := tagged(t, memory, "one", "a/b")
		go func() {
			defer func() { done <- struct{}{} }()
			for range times {
				end, err := r.Turn(t.Context(), "1.0")
				if err != nil {
					t.Error(err)
					return
				}
				if n := inside.Add(1); n != 1 {
					t.Errorf("%d write at once", n)
				}
				all.Add(1)
				inside.Add(-1)
				end()
			}
		}()
	}
	for range writers {
		<-done
	}
	if n := all.Load(); n != writers*times {
		t.Errorf("there were %d turns", n)
	}
}

// TestTurnsOfOthers are not waited for: of other tags, repositories, connections and
// memories. Whoever is called off does not wait any longer, and keeps nobody out.
func TestTurnsOfOthers(t *testing.T) {
	t.Parallel()
	memory := oci.NewMemory(oci.MemoryOptions{})
	r := tagged(t, memory, "one", "a/b")
	end, err := r.Turn(t.Context(), "1.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string]*oci.Repository{
		"repository": tagged(t, memory, "one", "a/c"), "connection": tagged(t, memory, "two", "a/b"), "memory": tagged(t, nil, "one", "a/b"),
	} {
		ended, err := other.Turn(t.Context(), "1.0")
		if err != nil {
			t.Fatalf("another %s: %v", name, err)
		}
		ended()
	}
	ended, err := r.Turn(t.Context(), "1.1")
	if err != nil {
		t.Fatal(err)
	}
	ended()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if _, err := r.Turn(ctx, "1.0"); !errors.Is(err, why) {
		t.Errorf("Turn = %v, want %v", err, why)
	}
	end()
	end() // once is enough, and twice does no harm
	ended, err = r.Turn(t.Context(), "1.0")
	if err != nil {
		t.Fatal(err)
	}
	ended()
}
