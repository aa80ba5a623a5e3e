package operator

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	exampleStat   = "4242 (a) b (c)) S 1 4242 4242 0 -1 4194560 100 0 0 0 250 50 10 5 20 0 9 0 100 1 2 3 4 5 6 7 8"
	exampleStatus = "Name:\tocm-operator\nVmHWM:\t  102400 kB\nVmRSS:\t   51200 kB\nRssFile:\t  1024 kB\n"
)

func TestParseUsage(t *testing.T) {
	t.Parallel()
	got, err := parseUsage(exampleStat, exampleStatus)
	if err != nil {
		t.Fatal(err)
	}
	want := Usage{CPU: 3150 * time.Millisecond, Resident: 50 << 20, Peak: 100 << 20, Files: 1 << 20}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, broken := range [][2]string{
		{"", exampleStatus},
		{"4242 (a) S 1", exampleStatus},
		{strings.Replace(exampleStat, " 250 ", " x ", 1), exampleStatus},
		{exampleStat, "Name:\tx\nVmRSS:\t1 kB\n"},
		{exampleStat, "Name:\tx\nVmRSS:\nVmHWM:"},
	} {
		if got, err := parseUsage(broken[0], broken[1]); err == nil {
			t.Errorf("%q: got %+v, want an error", broken, got)
		}
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		if _, err := UsageOf(os.Getpid()); err == nil {
			t.Error("without /proc there is no usage, and no error")
		}
		return
	}
	u, err := UsageOf(os.Getpid())
	if err != nil || u.Resident <= 0 || u.Peak <= 0 {
		t.Errorf("got %+v, %v", u, err)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	const text = "# HELP a text\na{method=\"GET\",code=\"200\"} 3\na{method=\"GET\",code=\"404\"} 1\na{method=\"PUT\",code=\"200\"} 5\nab 7\nb 1e3\n"
	m, err := ParseMetrics(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Sum("a", `method="GET"`); got != 4 {
		t.Errorf("GET: got %v, want 4", got)
	}
	if got := m.Sum("a"); got != 9 {
		t.Errorf("all: got %v, want 9", got)
	}
	if got := m.Sum("b"); got != 1000 {
		t.Errorf("without labels: got %v, want 1000", got)
	}
	want := Metrics{`a{method="PUT",code="200"}`: 2, "ab": 7}
	before := Metrics{`a{method="GET",code="200"}`: 3, `a{method="GET",code="404"}`: 1, `a{method="PUT",code="200"}`: 3, "b": 1000}
	if diff := cmp.Diff(want, m.Since(before)); diff != "" {
		t.Errorf("grown: -want +got:\n%s", diff)
	}
	if _, err := ParseMetrics(strings.NewReader("a b\n")); err == nil {
		t.Error("a value that is no number was accepted")
	}
}
