package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// TestMain lets this program be its own servers and copiers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == measure.ServeCommand || os.Args[1] == copyCommand) {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestQuick runs every part with tiny sizes, so that the program works when somebody needs it.
func TestQuick(t *testing.T) {
	b := &bench{progress: t.Output(), size: quick, seed: 1}
	if err := b.runAll(t.Context(), t.TempDir(), parts); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range b.rows {
		names = append(names, r.name)
		for name, c := range r.contestants {
			if len(c.own) == 0 || c.own[0].Amount == 0 || c.own[0].Took == 0 || len(c.servers) != len(c.own) {
				t.Errorf("%s by %s was not measured: %+v", r.name, name, c)
			}
		}
		for _, g := range r.goals {
			if !(r.ratio(g.against) > 0) {
				t.Errorf("%s has the ratio %v to %s", r.name, r.ratio(g.against), g.against)
			}
		}
	}
	for _, x := range b.bounds {
		names = append(names, x.name)
		if x.most == 0 {
			t.Errorf("%s was not measured: %+v", x.name, x)
		}
	}
	want := "distribution to ours, distribution to ours, read back, ours to distribution, ours to distribution, read back, growth of memory"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("got the rows\n%s, want\n%s", got, want)
	}
	report := b.report("command", "machine", time.Now(), time.Minute)
	for _, name := range names {
		if !strings.Contains(report, "| "+name+" |") || !strings.Contains(report, "- *"+name+"*: ") {
			t.Errorf("the report has no line of %s:\n%s", name, report)
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

func TestVerdict(t *testing.T) {
	t.Parallel()
	at := func(rate float64) contestant {
		return contestant{own: measure.Series{{Amount: rate, Took: time.Second}}}
	}
	r := &row{contestants: map[string]contestant{ours: at(90), plain: at(100), oras: at(91)}, goals: []goal{{plain, 0.8}, {oras, 1}}}
	if got, want := r.verdict(), "0.80 x of plain copy: met; 1.00 x of oras: **MISSED**"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
