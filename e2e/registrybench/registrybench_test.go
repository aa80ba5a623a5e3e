package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// TestMain lets this program be its own servers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == measure.ServeCommand {
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
		for contestant, s := range map[string]measure.Series{ours: r.ours, other: r.other} {
			if len(s) == 0 || s[0].Amount == 0 || s[0].Took == 0 {
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

func turns(rates ...float64) measure.Series {
	var s measure.Series
	for _, rate := range rates {
		s = append(s, measure.Sample{Amount: rate, Took: time.Second, Latencies: []time.Duration{time.Duration(rate)}})
	}
	return s
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := &row{name: "r", unit: artifacts, machine: turns(100), ours: turns(80), other: turns(11), goals: []goal{{machine, 0.8}, {other, 8}}}
	if got, want := r.verdict(), "0.80 x of the machine: met; 8.00 x of distribution: **MISSED**"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
