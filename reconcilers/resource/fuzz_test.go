package resource

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/snapshot/chart"
)

// packed returns a gzipped archive of files, given as names and contents in turn.
func packed(tb testing.TB, namesAndContents ...string) []byte {
	tb.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	for pair := range slices.Chunk(namesAndContents, 2) {
		err := files.WriteHeader(&tar.Header{Name: pair[0], Mode: 0o644, Size: int64(len(pair[1]))})
		if err == nil {
			_, err = io.WriteString(files, pair[1])
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), zipped.Close()); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// FuzzInspect looks into resources as they come from strangers. What calls itself a chart has metadata or is refused, and
// no byte of the content is lost by looking.
func FuzzInspect(f *testing.F) {
	f.Add(packed(f, "app/Chart.yaml", "name: app\nversion: 1.0.0\n"), true)
	f.Add(packed(f, "app/values.yaml", "a: 1"), true)
	f.Add(packed(f, "deploy.yaml", "kind: Deployment"), false)
	f.Add([]byte("plain"), false)
	f.Fuzz(func(t *testing.T, raw []byte, chart bool) {
		resource := &descriptor.Resource{}
		if chart {
			resource.Type = access.ChartType
		}
		c, err := inspect(resource, &ocm.Blob{ReadCloser: io.NopCloser(bytes.NewReader(raw))})
		if err != nil {
			if !chart || !errors.Is(err, errNoChart) {
				t.Fatalf("inspect = %v, want errNoChart and for charts only", err)
			}
			return
		}
		if chart && (c.chartVersion == "" || len(c.chartConfig) == 0) {
			t.Fatal("a chart without version or metadata was taken")
		}
		if read, err := io.ReadAll(c.reader); err != nil || !bytes.Equal(read, raw) {
			t.Fatalf("%d of %d bytes are left after looking: %v", len(read), len(raw), err)
		}
	})
}

// TestChartThatUnpacksWithoutEnd packs a large file before the metadata, which would be found if all were unpacked.
func TestChartThatUnpacksWithoutEnd(t *testing.T) {
	t.Parallel()
	bomb := packed(t, "app/zeros", strings.Repeat("\x00", chart.MaxUnpacked+1), "app/Chart.yaml", "name: app\nversion: 1.0.0\n")
	if len(bomb) > chart.HeadBytes {
		t.Fatalf("the archive has %d bytes, more than is looked at", len(bomb))
	}
	_, err := inspect(&descriptor.Resource{Element: descriptor.Element{Name: "app"}, Type: access.ChartType},
		&ocm.Blob{ReadCloser: io.NopCloser(bytes.NewReader(bomb))})
	if !errors.Is(err, errNoChart) {
		t.Errorf("inspect = %v, want errNoChart", err)
	}
}
