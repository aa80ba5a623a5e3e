package versions_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm/versions"
)

var update = flag.Bool("update", false, "write what Select returns into testdata/select.txt")

// TestSelect runs the table in testdata/select.txt, each case three times with
// the versions in another order: the result must not depend on it.
func TestSelect(t *testing.T) {
	t.Parallel()
	const file = "testdata/select.txt"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var all []string
	cases := 0
	scanner := bufio.NewScanner(strings.NewReader(string(raw)))
	for line := 1; scanner.Scan(); line++ {
		text := scanner.Text()
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			if rest, ok := strings.CutPrefix(text, "versions"); ok {
				all = strings.Fields(rest)
			}
			fmt.Fprintln(&out, text)
			continue
		}
		constraint, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("line %d: %v", line, err)
		}
		cases++
		want := strings.Join(strings.Fields(text[len(quoted):]), " ")
		got := outcome(t, all, constraint)
		fmt.Fprintf(&out, "%-32s %s\n", quoted, got)
		if got != want && !*update {
			t.Errorf("line %d: Select(%v, %q) = %s, want %s", line, all, constraint, got, want)
		}
		for range 2 {
			shuffled := slices.Clone(all)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if again := outcome(t, shuffled, constraint); again != got {
				t.Errorf("line %d: the order of the tags changes the result: %s and %s", line, got, again)
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if cases < 200 {
		t.Errorf("the table has %d cases, want at least 200", cases)
	}
}

func outcome(t *testing.T, all []string, constraint string) string {
	t.Helper()
	got, err := versions.Select(all, constraint)
	switch {
	case errors.Is(err, versions.ErrInvalidConstraint):
		return "error"
	case err != nil:
		t.Fatalf("Select(%q) = %v, want ErrInvalidConstraint or nothing", constraint, err)
	case len(got) == 0:
		return "none"
	}
	return strings.Join(got, " ")
}

func TestSort(t *testing.T) {
	t.Parallel()
	got := versions.Sort([]string{"latest", "1.0.0", "v2", "1.0.0+9", "1.0.0+10", "1.0.0-rc.1", "1.0"})
	want := []string{"v2", "1.0.0+10", "1.0.0+9", "1.0", "1.0.0", "1.0.0-rc.1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Sort (-want +got):\n%s", diff)
	}
}

func TestExact(t *testing.T) {
	t.Parallel()
	for constraint, want := range map[string]string{
		"1.2.3": "1.2.3", "v1.2.3": "v1.2.3", "=1.2.3": "1.2.3", " = v1.2.3 ": "v1.2.3",
		"1.2.3-rc.1": "1.2.3-rc.1", "1.2.3+b.7": "1.2.3+b.7",
		"1.2": "", "1": "", "1.x": "", ">=1.2.3": "", "^1.2.3": "", "": "", "latest": "", "1.2.3 || 2.0.0": "",
	} {
		got, ok := versions.Exact(constraint)
		if got != want || ok != (want != "") {
			t.Errorf("Exact(%q) = %q, %v, want %q", constraint, got, ok, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	if err := versions.Check(">=1.0.0"); err != nil {
		t.Errorf("Check = %v", err)
	}
	if err := versions.Check(strings.Repeat("1", 600)); !errors.Is(err, versions.ErrInvalidConstraint) {
		t.Errorf("Check of a long constraint = %v, want ErrInvalidConstraint", err)
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version, other string
		want           bool
		reason         string
	}{
		"lower":          {"1.2.0", "1.10.0", true, "numbers are compared as numbers"},
		"higher":         {"2.0.0", "1.9.9", false, "it is higher"},
		"same":           {"1.0.0", "v1.0.0", false, "spelling does not matter"},
		"pre-release":    {"1.0.0-rc.1", "1.0.0", true, "it comes before the release"},
		"build metadata": {"1.0.0+9", "1.0.0+10", true, "it is an older build"},
		"newer build":    {"1.0.0+2", "1.0.0+1", false, "it is a newer build"},
		"no build":       {"1.0.0", "1.0.0+1", true, "a build is picked over the version without one"},
		"no version":     {"latest", "1.0.0", false, "it can't be compared"},
		"no other":       {"1.0.0", "", false, "it can't be compared"},
	} {
		if got := versions.Lower(tc.version, tc.other); got != tc.want {
			t.Errorf("%s: Lower(%q, %q) = %t, want %t: %s", name, tc.version, tc.other, got, tc.want, tc.reason)
		}
	}
}

func FuzzSelect(f *testing.F) {
	f.Add("1.0.0 v2 latest", ">=1.0.0-0")
	f.Add("1.0.0+a 1.0.0+b", "1.x || 2.x")
	f.Fuzz(func(t *testing.T, tags, constraint string) {
		all := strings.Fields(tags)
		got, err := versions.Select(all, constraint)
		if err != nil {
			return
		}
		for _, v := range got {
			if !slices.Contains(all, v) {
				t.Errorf("%q was not among the tags", v)
			}
		}
		slices.Reverse(all)
		if again, err := versions.Select(all, constraint); err != nil || !slices.Equal(got, again) {
			t.Errorf("the order of the tags changes the result: %v and %v, %v", got, again, err)
		}
	})
}

func BenchmarkSelect(b *testing.B) {
	all := make([]string, 0, 1000)
	for i := range 1000 {
		all = append(all, fmt.Sprintf("1.%d.%d", i/10, i%10))
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := versions.Select(all, ">=1.50 <2"); err != nil {
			b.Fatal(err)
		}
	}
}
