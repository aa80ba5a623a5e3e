package access

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const chartIndex = `
apiVersion: v1
entries:
  other: not a list of charts
  web:
  - {name: web, version: 1.1.0, urls: [https://elsewhere.example/web-1.1.0.tgz], digest: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae}
  - {name: web, version: 1.0.0, urls: [charts/web-1.0.0.tgz], digest: "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"}
  - {name: web, version: 0.9.0, urls: [x.tgz], digest: none}
  - {name: web, version: 0.8.0, urls: [x.tgz]}
  - {name: web, version: 0.7.0}
`

func TestFindChart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		index, name, version, url string
		digests                   int
		is                        error
	}{
		{index: chartIndex, name: "web", version: "1.1.0", url: "https://elsewhere.example/web-1.1.0.tgz", digests: 1},
		{index: chartIndex, name: "web", version: "1.0.0", url: "charts/web-1.0.0.tgz", digests: 1},
		{index: chartIndex, name: "web", version: "0.8.0", url: "x.tgz"},
		{index: chartIndex, name: "web", version: "v1.0.0", is: oci.ErrNotFound},
		{index: chartIndex, name: "shop", version: "1.0.0", is: oci.ErrNotFound},
		{index: chartIndex, name: "other", version: "1.0.0"},
		{index: chartIndex, name: "web", version: "0.7.0"},
		{index: chartIndex, name: "web", version: "0.9.0"},
		{index: "entries: 1", name: "web", version: "1.0.0"},
		{index: "a: [", name: "web", version: "1.0.0"},
	} {
		entry, err := findChart([]byte(tc.index), tc.name, tc.version)
		if err == nil {
			var all int
			digests, digestErr := entry.digests()
			err, all = digestErr, len(digests)
			if err == nil && (entry.URLs[0] != tc.url || all != tc.digests) {
				t.Errorf("findChart(%s, %s) = %+v with %d digests", tc.name, tc.version, entry, all)
			}
		}
		if (err == nil) != (tc.url != "") || tc.is != nil && !errors.Is(err, tc.is) {
			t.Errorf("findChart(%s, %s): error = %v, want %v", tc.name, tc.version, err, tc.is)
		}
	}
}

// TestSection cuts out what belongs to one chart, and finds the same as
// reading all of the index does.
func TestSection(t *testing.T) {
	t.Parallel()
	const web = "  web:\n  - version: 1.0.0\n    description: |\n      text\n\n    urls:\n    - web.tgz\n"
	const other = "  other:\n  - version: 1.0.0\n    urls: [other.tgz]\n"
	for name, tc := range map[string]struct {
		index string
		cut   string
	}{
		"first":         {"apiVersion: v1\nentries:\n" + web + other, "entries:\n" + web},
		"last":          {"entries:\n" + other + web + "generated: now\n", "entries:\n" + web},
		"CRLF":          {"entries:\n  web:\r\n  - version: 1.0.0\r\n    urls: [web.tgz]\r\n", "entries:\n  web:\r\n  - version: 1.0.0\r\n    urls: [web.tgz]\r\n"},
		"flow":          {`{"entries":{"web":[{"version":"1.0.0","urls":["web.tgz"]}]}}`, ""},
		"quoted":        {"entries:\n  \"web\":\n  - version: 1.0.0\n    urls: [web.tgz]\n", ""},
		"other columns": {"entries:\n    web:\n    - version: 1.0.0\n      urls: [web.tgz]\n", ""},
	} {
		if got := string(section([]byte(tc.index), "web")); got != tc.cut {
			t.Errorf("%s: section = %q, want %q", name, got, tc.cut)
		}
		if entry, err := findChart([]byte(tc.index), "web", "1.0.0"); err != nil || entry.URLs[0] != "web.tgz" {
			t.Errorf("%s: findChart = %+v, %v", name, entry, err)
		}
	}
	padding := strings.Repeat("# padding\n", maxWhole/10+1)
	if _, err := findChart([]byte("entries:\n"+web+"generated: now\n"+padding), "web", "1.0.0"); err != nil {
		t.Errorf("findChart in a large index = %v", err)
	}
	if _, err := findChart([]byte(padding+`{"entries":{}}`), "web", "1.0.0"); !errors.Is(err, oci.ErrTooLarge) {
		t.Errorf("findChart in a large index of another form = %v, want ErrTooLarge", err)
	}
}

func TestNameAndVersion(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ chart, version, wantName, wantVersion string }{
		{"web:1.0.0", "", "web", "1.0.0"},
		{"web", "1.0.0", "web", "1.0.0"},
		{"web:1.0.0", "1.0.0", "web", "1.0.0"},
		{"charts/web:1.0.0+b", "", "charts/web", "1.0.0+b"},
		{"web:1.0.0", "2.0.0", "", ""},
		{"web", "", "", ""},
		{":1.0.0", "", "", ""},
		{"../web:1.0.0", "", "", ""},
	} {
		name, version, err := (&Helm{Chart: tc.chart, Version: tc.version}).NameAndVersion()
		if name != tc.wantName || version != tc.wantVersion || (err == nil) != (tc.wantName != "") {
			t.Errorf("NameAndVersion of %q, %q = %q, %q, %v", tc.chart, tc.version, name, version, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for raw, ok := range map[string]bool{
		"https://charts.example/stable": true, "http://10.0.0.1:80/": true,
		"file:///etc/passwd": false, "ftp://x/y": false, "/etc/passwd": false, "": false, "https://": false, "https:///x": false,
		"https://user:secret-word@charts.example": false, "https://\x00": false, "gopher://x": false,
	} {
		u, err := parseAddress(raw)
		if (err == nil) != ok {
			t.Errorf("parseAddress(%q) = %v, %v", raw, u, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%q contains a secret", err)
		}
	}
}

func FuzzFindChart(f *testing.F) {
	f.Add([]byte(chartIndex))
	f.Add([]byte(`{"entries":{"web":[{"version":"1.0.0","urls":["x"]}]}}`))
	f.Add([]byte("entries: {web: &a [*a]}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entry, err := findChart(data, "web", "1.0.0")
		if err == nil && (len(entry.URLs) == 0 || entry.Version != "1.0.0") {
			t.Errorf("findChart = %+v", entry)
		}
	})
}

// BenchmarkFindChart reads an index of 100,000 versions.
func BenchmarkFindChart(b *testing.B) {
	var index strings.Builder
	index.WriteString("entries:\n")
	for i := range 100 {
		fmt.Fprintf(&index, "  other-%d:\n", i)
		for range 1000 {
			index.WriteString("  - {name: web, version: 0.1.0, urls: [web-0.1.0.tgz], description: some text that says what it does}\n")
		}
	}
	index.WriteString("  web:\n  - {name: web, version: 1.0.0, urls: [web-1.0.0.tgz]}\n")
	data := []byte(index.String())
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := findChart(data, "web", "1.0.0"); err != nil {
			b.Fatal(err)
		}
	}
}
