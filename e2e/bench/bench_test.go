package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	t.Parallel()
	good := &row{
		name: "two pipelines", took: []time.Duration{time.Second, 3 * time.Second}, upstream: "slow", notes: []string{"a note"},
		cost: cost{
			CPU: 1500 * time.Millisecond, Others: map[string]time.Duration{"etcd": time.Second},
			API: map[string]int{"GET": 4, "POST": 3, "PATCH": 2}, Events: 1, Source: map[string]int{"GET tags": 3, "GET blobs": 4}, Snapshots: 8, Peak: 100 << 20, Resident: 90 << 20,
		},
	}
	good.aim("applied in", 3, 2, "s")
	good.aimMemory()
	bad := &row{name: "broken", err: errors.New("a | b\nc")}
	text := report("go run ./e2e/bench", []limit{{"cores", "2"}}, []*row{good, bad}, time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC))
	for _, want := range []string{
		"Measured on 2000-01-02 by `go run ./e2e/bench`.",
		"| cores | 2 |",
		"| two pipelines | 1.00 / 3.00 / 3.00 | 1.50 | 9: 4 / 3 / 0 / 2 / 0 | 4 | 1 | 7 | 8 | 100 / 90 | a note |",
		"| two pipelines | slow | applied in 2 s: **missed**; peak memory at most 150 MiB: met |",
		"| two pipelines | 1.50 | 1.00 |",
		"| broken | failed: a / b |",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the report lacks the line %q:\n%s", want, text)
		}
	}
	if got, want := listed(good.cost.Source), "GET blobs 4, GET tags 3"; got != want {
		t.Errorf("source requests are listed as %q, want %q", got, want)
	}
	want := []string{"two pipelines: applied in 2 s, got 3", "broken failed: a | b\nc"}
	if diff := cmp.Diff(want, missed([]*row{good, bad})); diff != "" {
		t.Errorf("missed: -want +got:\n%s", diff)
	}
}

func TestInsert(t *testing.T) {
	t.Parallel()
	document := "a\n" + beginMark + "\nold\n" + endMark + "\nz\n"
	got, err := insert(document, "new\n")
	if want := "a\n" + beginMark + "\n\nnew\n\n" + endMark + "\nz\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if again, err := insert(got, "new"); err != nil || again != got {
		t.Errorf("a second time: got %q, %v", again, err)
	}
	kept, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := insert(string(kept), "new"); err != nil {
		t.Errorf("docs/performance.md: %v", err)
	}
	for _, broken := range []string{"", beginMark, endMark, endMark + beginMark} {
		if _, err := insert(broken, "new"); err == nil {
			t.Errorf("%q has no place for a result, and that is no error", broken)
		}
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	chosen, err := choose([]string{"large", "one"})
	if err != nil || len(chosen) != 2 || chosen[0].name != "one" {
		t.Errorf("got %v, %v; want the parts in their order", chosen, err)
	}
	for _, names := range [][]string{{"other"}, {"one", "one"}, {""}} {
		if _, err := choose(names); err == nil || !strings.Contains(err.Error(), "fifty") {
			t.Errorf("%v: got %v, want the parts that there are", names, err)
		}
	}
}

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got := parseBenchmarks([]byte("goos: linux\nBenchmarkSHA256-2   \t 100\t 900000 ns/op\t1165.04 MB/s\nBenchmarkSmallGET \t 9\t 80000 ns/op\nPASS\n"))
	want := []limit{{"SHA256", "1165.04 MB/s"}, {"SmallGET", "80000 ns/op"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(limit{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestLarge checks what a measurement of memory rests on: that the content has its size, and differs.
func TestLarge(t *testing.T) {
	t.Parallel()
	made := func(seed uint64) []byte {
		var out bytes.Buffer
		if err := writeLarge(&out, largeFile+100, seed); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	first := made(1)
	if !bytes.Equal(first, made(1)) || bytes.Equal(first, made(2)) {
		t.Error("the seed does not decide the content")
	}
	sizes := map[string]int64{}
	for archive := tar.NewReader(bytes.NewReader(first)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sizes[header.Name] = header.Size
	}
	want := map[string]int64{"data/0000.txt": largeFile, "data/0001.txt": 100, "large.yaml": int64(len(largeManifest))}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
