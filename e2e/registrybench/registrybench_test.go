package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this program be its own servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
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
		for contestant, s := range map[string]series{ours: r.ours, other: r.other} {
			if len(s) == 0 || s[0].amount == 0 || s[0].took == 0 {
				t.Errorf("%s of %s was not measured: %+v", r.name, contestant, s)
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
		if x.most == 0 || x.ours < 0 {
			t.Errorf("%s was not measured: %+v", x.name, x)
		}
	}
	want := "durable small push, durable small image push, small pull, large push, large push, sink without sync, first large pull, large pull, large pull, TLS, " +
		"growth of memory, growth of memory, TLS, start, idle memory"
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

func turns(rates ...float64) series {
	var s series
	for _, rate := range rates {
		s = append(s, sample{amount: rate, took: time.Second, latencies: []time.Duration{time.Duration(rate)}})
	}
	return s
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// In the second round the machine was ten times as slow for both.
	if got := ratio(turns(90, 9, 80), turns(100, 10, 100)); got != 0.9 {
		t.Errorf("got %v, want 0.9", got)
	}
	if got := turns(1, 3, 2).rate(); got != 2 {
		t.Errorf("got the rate %v, want the median 2", got)
	}
	if got := turns(1, 2, 3, 4).quantile(0.99); got != 4 {
		t.Errorf("got the quantile %v, want 4", got)
	}
}

func TestTurnsRotate(t *testing.T) {
	t.Parallel()
	var order strings.Builder
	take := func(name string) turn {
		return func(_ context.Context, round int) (sample, error) {
			fmt.Fprintf(&order, "%s%d ", name, round)
			return sample{amount: 1, took: 1}, nil
		}
	}
	results, err := takeTurns(t.Context(), 3, take("a"), take("b"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "a0 b0 b1 a1 a2 b2 "; got != want {
		t.Errorf("got the order %q, want %q", got, want)
	}
	if len(results) != 2 || len(results[0]) != 3 || len(results[1]) != 3 {
		t.Errorf("got %v, want three samples of each", results)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := &row{name: "r", unit: artifacts, machine: turns(100), ours: turns(80), other: turns(11), goals: []goal{{machine, 0.8}, {other, 8}}}
	if got, want := r.verdict(), "0.80 x of the machine: met; 8.00 x of distribution: **MISSED**"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestKeepReplacesWhatIsBetweenTheMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	for _, text := range []string{"first", "second"} {
		if text == "first" {
			if err := os.WriteFile(path, []byte("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := keep(path, text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before\n" + beginMark + "\n\n" + text + "\n\n" + endMark + "\nafter\n"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keep(path, "text"); err == nil {
		t.Error("want an error for a document without marks")
	}
}
