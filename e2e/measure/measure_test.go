package measure

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func turns(rates ...float64) Series {
	var s Series
	for _, rate := range rates {
		s = append(s, Sample{Amount: rate, Took: time.Second, Latencies: []time.Duration{time.Duration(rate)}})
	}
	return s
}

func TestRatioIsTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// In the second round the machine was ten times as slow for both.
	want := Spread{Median: 0.9, Least: 0.8, Most: 0.9}
	if got := Ratio(turns(90, 9, 80), turns(100, 10, 100)); got != want || got.String() != "0.90 x (0.80 to 0.90)" {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Ratio(turns(90, 80, 70), nil); got != (Spread{}) {
		t.Errorf("got %v without rounds", got)
	}
	if got := turns(1, 3, 2).Rate(); got != 2 {
		t.Errorf("got the rate %v, want the median 2", got)
	}
	if got := turns(1, 4, 2, 3).Rate(); got != 2.5 {
		t.Errorf("got the rate %v, want 2.5, between the two in the middle", got)
	}
	if got := turns(1, 2, 3, 4).Quantile(0.99); got != 4 {
		t.Errorf("got the quantile %v, want 4", got)
	}
}

func TestTurnsRotate(t *testing.T) {
	t.Parallel()
	var order strings.Builder
	take := func(name string) Turn {
		return func(_ context.Context, round int) (Sample, error) {
			fmt.Fprintf(&order, "%s%d ", name, round)
			return Sample{Amount: 1, Took: 1}, nil
		}
	}
	results, err := TakeTurns(t.Context(), 3, take("a"), take("b"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "a0 b0 b1 a1 a2 b2 "; got != want {
		t.Errorf("got the order %q, want %q", got, want)
	}
	order.Reset()
	if _, err := TakeTurns(t.Context(), 6, take("a"), take("b"), take("c")); err != nil {
		t.Fatal(err)
	}
	if got, want := order.String(), "a0 b0 c0 b1 a1 c1 c2 a2 b2 a3 c3 b3 b4 c4 a4 c5 b5 a5 "; got != want {
		t.Errorf("got the order %q, want %q", got, want)
	}
	if len(results) != 2 || len(results[0]) != 3 || len(results[1]) != 3 {
		t.Errorf("got %v, want three samples of each", results)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := &Report{Columns: []Column{{Machine, "the machine"}, {Ours, "ours"}, {"other", "the other"}}}
	result := func(rates ...float64) Result { return Result{Series: turns(rates...), Text: "fast"} }
	row := &Row{Results: map[string]Result{Machine: result(100, 100, 100), Ours: result(80, 79, 81), "other": result(11, 11, 11)}}
	for _, c := range []struct {
		goals []Goal
		want  string
	}{
		{nil, "none"},
		{[]Goal{{Machine, 0.79}, {"other", 8}}, "0.79 x of the machine: met; 8.00 x of the other: **MISSED**"},
		{[]Goal{{Machine, 0.8}}, "0.80 x of the machine: met, not in each round"},
		{[]Goal{{Machine, 0.805}}, "0.81 x of the machine: **MISSED**, not in each round"},
	} {
		row.Goals = c.goals
		if got := r.verdict(row); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	r := &Report{
		Columns: []Column{{Machine, "the machine"}, {Ours, "ours"}}, Bounded: []Column{{Ours, "ours"}, {"other", "the other"}},
		Say: func(format string, args ...any) { fmt.Fprintf(&said, format+"\n", args...) },
	}
	r.Add(&Row{Name: "copy", About: "of a file", Results: map[string]Result{Ours: {Series: turns(1), Text: "1/s"}}})
	r.Bound(&Bound{Name: "memory", About: "at its peak", Show: Mebibytes, Values: map[string]int64{Ours: 1 << 20}, Most: 2 << 20})
	want := `| | the machine | ours | ours to the machine | goal |
|---|---|---|---|---|
| copy | - | 1/s | - | none |

- *copy*: of a file. 1 rounds.

| | ours | the other | at most |
|---|---|---|---|
| memory | 1.0 MiB | not measured | 2.0 MiB: met |

- *memory*: at its peak.
`
	if got := r.Markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := said.String(), "copy: ours: 1/s\n"; got != want {
		t.Errorf("it said %q, want %q", got, want)
	}
}

func TestKeepReplacesWhatIsBetweenTheMarks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	begin, end := Marks("make this")
	for _, text := range []string{"first", "second"} {
		if text == "first" {
			if err := os.WriteFile(path, []byte("before\n"+begin+"\nold\n"+end+"\nafter\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := Keep(path, "make this", text); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before\n" + begin + "\n\n" + text + "\n\n" + end + "\nafter\n"; string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := os.WriteFile(path, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Keep(path, "make this", "text"); err == nil {
		t.Error("want an error for a document without marks")
	}
}
