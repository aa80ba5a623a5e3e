package main

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/measure/measuretest"
)

func TestMain(m *testing.M) { measuretest.Main(m, &newBench().Program) }

// TestQuick runs every part with tiny sizes, so that the program works when somebody needs it.
func TestQuick(t *testing.T) {
	b := newBench()
	b.Quick()
	measuretest.Run(t, &b.Program, "distribution to ours", "distribution to ours, read back", "ours to distribution", "ours to distribution, read back", "growth of memory")
	for _, r := range b.Report.Rows {
		for name := range r.Results {
			if strings.Contains(r.Name, "read back") && name != plain && name != ours {
				t.Errorf("%s has a result of %s, which reads nothing back", r.Name, name)
			}
		}
	}
}

func TestCargoIsAsLargeAsItSays(t *testing.T) {
	t.Parallel()
	for _, s := range []size{full, quick} {
		s.bytes >>= 6
		c, err := newCargo(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		var bytes int64
		seen := map[string]bool{}
		for _, b := range c.blobs() {
			bytes += b.size
			seen[b.digest.String()] = true
		}
		if bytes != s.bytes || len(seen) != s.blobs {
			t.Errorf("got %d bytes in %d blobs, want %d in %d", bytes, len(seen), s.bytes, s.blobs)
		}
	}
	if _, err := newCargo(size{bytes: 10, blobs: 20, images: 1}, 1); err == nil {
		t.Error("want an error for more blobs than bytes")
	}
}
