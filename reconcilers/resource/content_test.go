package resource

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/chart"
)

const chartYAML = "apiVersion: v2\nname: app\nversion: 1.2.3+up1\n"

func blobOf(content []byte, mediaType string) *ocm.Blob {
	return &ocm.Blob{ReadCloser: io.NopCloser(bytes.NewReader(content)), MediaType: mediaType, Size: int64(len(content))}
}

func typed(resourceType string) *descriptor.Resource {
	return &descriptor.Resource{Type: resourceType}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.yaml": "a: 1\n", "dir/b.yaml": "b: 2\n"}
	chart := reconcilertest.Gzip(t, reconcilertest.Tar(t, map[string]string{"app/Chart.yaml": chartYAML, "app/charts/sub/Chart.yaml": "name: sub\nversion: 9.9.9\n"}))
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<10) // more than is looked at
	for name, tc := range map[string]struct {
		content      []byte
		resourceType string
		mediaType    string
		kind         snapshot.Kind
		version      string
		files        map[string]string
		reason       string
	}{
		"tar":              {reconcilertest.Tar(t, files), "blob", "", snapshot.Directory, "", files, "a tree of files is one, compressed or not"},
		"tar.gz":           {reconcilertest.Gzip(t, reconcilertest.Tar(t, files)), "blob", "", snapshot.Directory, "", files, "a tree of files is one, compressed or not"},
		"lying media type": {reconcilertest.Tar(t, files), "blob", "text/plain", snapshot.Directory, "", files, "the bytes decide"},
		"text":             {[]byte("hello"), "blob", "application/x-tar", snapshot.Opaque, "", nil, "the bytes decide"},
		"empty":            {nil, "blob", "", snapshot.Opaque, "", nil, "nothing is no archive"},
		"gzip of text":     {reconcilertest.Gzip(t, []byte("hello")), "blob", "", snapshot.Opaque, "", nil, "compressed is not yet an archive"},
		"gzip of much":     {reconcilertest.Gzip(t, large), "blob", "", snapshot.Opaque, "", nil, "compressed is not yet an archive"},
		"large":            {large, "blob", "", snapshot.Opaque, "", nil, "what was looked at is not lost"},
		"chart by type":    {chart, "helmChart", "application/octet-stream", snapshot.Chart, "1.2.3+up1", nil, "its own Chart.yaml counts, not those below"},
		"chart by media":   {chart, "blob", snapshot.MediaTypeChart, snapshot.Chart, "1.2.3+up1", nil, "the layer of a chart in a registry"},
		"packed chart":     {chart, "blob", "", snapshot.Directory, "", map[string]string{"app/Chart.yaml": chartYAML, "app/charts/sub/Chart.yaml": "name: sub\nversion: 9.9.9\n"}, "nobody says that it is a chart"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := inspect(typed(tc.resourceType), blobOf(tc.content, tc.mediaType))
			if err != nil {
				t.Fatal(err)
			}
			if c.kind != tc.kind || c.chartVersion != tc.version {
				t.Errorf("kind %d with chart version %q, want %d and %q: %s", c.kind, c.chartVersion, tc.kind, tc.version, tc.reason)
			}
			var out bytes.Buffer
			if err := c.copy(&out, archive.Limits{}); err != nil {
				t.Fatal(err)
			}
			if tc.files == nil {
				if !bytes.Equal(out.Bytes(), tc.content) {
					t.Errorf("%d bytes came out of %d, want the same: %s", out.Len(), len(tc.content), tc.reason)
				}
				return
			}
			if diff := cmp.Diff(tc.files, reconcilertest.Untar(t, out.Bytes())); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnusableCharts(t *testing.T) {
	t.Parallel()
	packed := func(files map[string]string) []byte { return reconcilertest.Gzip(t, reconcilertest.Tar(t, files)) }
	for name, tc := range map[string]struct {
		content []byte
		says    string
	}{
		"not compressed":      {reconcilertest.Tar(t, map[string]string{"app/Chart.yaml": chartYAML}), "no packed Helm chart"},
		"text":                {[]byte("hello"), "no packed Helm chart"},
		"no archive":          {reconcilertest.Gzip(t, []byte("hello")), "no packed Helm chart"},
		"no Chart.yaml":       {packed(map[string]string{"app/values.yaml": ""}), "no Chart.yaml"},
		"nested alone":        {packed(map[string]string{"app/charts/sub/Chart.yaml": chartYAML}), "no Chart.yaml"},
		"at the top":          {packed(map[string]string{"Chart.yaml": chartYAML}), "no Chart.yaml"},
		"no version":          {packed(map[string]string{"app/Chart.yaml": "name: app\n"}), "no name or no version"},
		"no name":             {packed(map[string]string{"app/Chart.yaml": "version: 1.0.0\n"}), "no name or no version"},
		"not YAML":            {packed(map[string]string{"app/Chart.yaml": "{"}), "read Chart.yaml"},
		"version is a number": {packed(map[string]string{"app/Chart.yaml": "name: app\nversion: 1\n"}), "read Chart.yaml"},
		"huge":                {packed(map[string]string{"app/Chart.yaml": chartYAML + strings.Repeat("#", chart.MaxMetadata)}), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := inspect(typed(access.ChartType), blobOf(tc.content, ""))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error is %v, want one with %q", err, tc.says)
			}
			if got, _ := reconcilertest.Judge(t, sourceVerdict(err)); got != reconcilertest.Fails {
				t.Errorf("it %s: the same chart will not be better at the next try", got)
			}
		})
	}
}

// broken fails after the first bytes.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestReadErrorsKeepTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	for _, resourceType := range []string{"blob", access.ChartType} {
		_, err := inspect(typed(resourceType), &ocm.Blob{ReadCloser: io.NopCloser(broken{cause})})
		if got, _ := reconcilertest.Judge(t, sourceVerdict(err)); got != reconcilertest.Retries || !errors.Is(err, cause) {
			t.Errorf("%s: it %s (%v), want the cause, which passes", resourceType, got, err)
		}
	}
}
