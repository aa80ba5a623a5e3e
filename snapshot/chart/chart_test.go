package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/chart"
)

const metadata = "apiVersion: v2\nname: app\nversion: 1.2.3+up1\n"

// pack packs files, given as name, content, name, content.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
		if err == nil {
			_, err = w.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFind(t *testing.T) {
	t.Parallel()
	want := &chart.Metadata{
		Name: "app", Version: "1.2.3+up1", Root: "app", Text: []byte(metadata),
		JSON: []byte(`{"apiVersion":"v2","name":"app","version":"1.2.3+up1"}`),
	}
	for name, head := range map[string][]byte{
		"first":          pack(t, "app/Chart.yaml", metadata, "app/values.yaml", ""),
		"dots":           pack(t, "./app/./Chart.yaml", metadata),
		"behind another": pack(t, "app/charts/sub/Chart.yaml", "name: sub\nversion: 1.0.0\n", "app/Chart.yaml", metadata),
	} {
		got, err := chart.Find(head)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, -want +got:\n%s", name, err, diff)
			continue
		}
		if got.File() != "app/Chart.yaml" {
			t.Errorf("%s: file is %q", name, got.File())
		}
	}
}

func TestFindRefuses(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 2*chart.HeadBytes)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for name, tc := range map[string]struct {
		head []byte
		want string
	}{
		"text":                {[]byte("hello, I am no chart"), "gzip"},
		"no archive":          {[]byte{0x1f, 0x8b}, "EOF"},
		"none":                {pack(t, "app/values.yaml", ""), "no Chart.yaml in the first"},
		"nested alone":        {pack(t, "app/charts/sub/Chart.yaml", metadata), "no Chart.yaml"},
		"at the top":          {pack(t, "Chart.yaml", metadata), "no Chart.yaml"},
		"too far behind":      {pack(t, "app/noise", string(noise), "app/Chart.yaml", metadata)[:chart.HeadBytes], "no Chart.yaml in the first 1048576 bytes"},
		"bomb":                {pack(t, "app/zeros", strings.Repeat("\x00", 20<<20), "app/Chart.yaml", metadata), "no Chart.yaml"},
		"huge":                {pack(t, "app/Chart.yaml", metadata+strings.Repeat("#", chart.MaxMetadata)), "more than 262144"},
		"aliases":             {pack(t, "app/Chart.yaml", metadata+"a: &a "+strings.Repeat("x", 10_000)+"\nb: ["+strings.Repeat("*a,", 10_000)+"]\n"), "aliases make more than 262144 bytes"},
		"itself":              {pack(t, "app/Chart.yaml", metadata+"a: &a [*a]\n"), "aliases make more than 262144 bytes"},
		"cut off":             {pack(t, "app/Chart.yaml", metadata)[:60], "EOF"},
		"no version":          {pack(t, "app/Chart.yaml", "name: app\n"), "no name or no version"},
		"no name":             {pack(t, "app/Chart.yaml", "version: 1.0.0\n"), "no name or no version"},
		"not YAML":            {pack(t, "app/Chart.yaml", "{"), "read Chart.yaml"},
		"version is a number": {pack(t, "app/Chart.yaml", "name: app\nversion: 1\n"), "read Chart.yaml"},
	} {
		if got, err := chart.Find(tc.head); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v and %v, want an error with %q", name, got, err, tc.want)
		}
	}
}

func TestFindTakesAliases(t *testing.T) {
	t.Parallel()
	got, err := chart.Find(pack(t, "app/Chart.yaml", metadata+"dependencies: [{repository: &r https://charts.example.com}, {repository: *r}]\n"))
	want := `"dependencies":[{"repository":"https://charts.example.com"},{"repository":"https://charts.example.com"}]`
	if err != nil || !strings.Contains(string(got.JSON), want) {
		t.Errorf("got %+v and %v, want metadata with %s", got, err, want)
	}
}

func FuzzFind(f *testing.F) {
	f.Add(pack(f, "app/Chart.yaml", metadata))
	f.Add(pack(f, "app/charts/sub/Chart.yaml", metadata, "app/Chart.yaml", "name: [\n"))
	f.Add([]byte("text"))
	f.Fuzz(func(t *testing.T, head []byte) {
		got, err := chart.Find(head)
		if err == nil && (got.Name == "" || got.Version == "" || got.Root == "" || len(got.JSON) == 0) {
			t.Fatalf("it is no chart, and no error: %+v", got)
		}
	})
}
