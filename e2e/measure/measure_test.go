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
	if got := Ratio(turns(90, 9, 80), turns(100, 10, 100)); got != 0.9 {
		t.Errorf("got %v, want 0.9", got)
	}
	if got := turns(1, 3, 2).Rate(); got != 2 {
		t.Errorf("got the rate %v, want the median 2", got)
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
	if len(results) != 2 || len(results[0]) != 3 || len(results[1]) != 3 {
		t.Errorf("got %v, want three samples of each", results)
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
