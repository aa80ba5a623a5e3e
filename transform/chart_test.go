package transform_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform"
)

// chartFiles is a chart in the order in which it is packed: what the chart is comes first.
var chartFiles = [][2]string{
	{"podinfo/Chart.yaml", "apiVersion: v2\nname: podinfo\nversion: 6.3.5\nappVersion: 6.3.5\n"},
	{"podinfo/values.yaml", "# Default values.\nreplicaCount: 1\nimage:\n  repository: ghcr.io/stefanprodan/podinfo # moved by localization\n  tag: 6.3.5\n"},
	{"podinfo/templates/deployment.yaml", "spec:\n  replicas: {{ .Values.replicaCount }}\n  {{- if .Values.x }}\n  image: \"{{ .Values.image.repository }}\"\n  {{- end }}\n"},
	{"podinfo/templates/NOTES.txt", "Run {{ .Release.Name }}\n"},
	{"podinfo/.helmignore", "*.bak\n"},
	{"podinfo/charts/redis/Chart.yaml", "apiVersion: v2\nname: redis\nversion: 1.0.0\n"},
	{"podinfo/charts/redis/values.yaml", "replicas: 1\n"},
}

// packChart packs as `helm package` does: no directories, and a comment in the gzip header.
func packChart(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Comment = "Helm"
	w := tar.NewWriter(z)
	for _, f := range chartFiles {
		if err := w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestApplyKeepsCharts(t *testing.T) {
	t.Parallel()
	var dst bytes.Buffer
	_, err := transform.Apply(t.Context(), &dst, bytes.NewReader(packChart(t)), []transform.Substitution{
		{Rule: "localization rule 1", File: "podinfo/values.yaml", Path: "image.repository", Value: "registry.example.com/podinfo"},
		{Rule: "configuration rule 1", File: "podinfo/values.yaml", Path: "replicaCount", Value: 3},
		{Rule: "configuration rule 2", File: "podinfo/charts/redis/values.yaml", Path: "replicas", Value: 2},
		{Rule: "configuration rule 3", File: "podinfo/Chart.yaml", Path: "appVersion", Value: "6.3.6"},
	}, transform.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var want, got [][2]string
	for _, f := range chartFiles {
		f[1] = strings.NewReplacer("replicaCount: 1", "replicaCount: 3", "replicas: 1", "replicas: 2", "appVersion: 6.3.5", "appVersion: 6.3.6",
			"ghcr.io/stefanprodan/podinfo", "registry.example.com/podinfo").Replace(f[1])
		want = append(want, f)
	}
	for f, err := range archive.Files(bytes.NewReader(dst.Bytes()), archive.Limits{}) {
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		if !f.Mode.IsRegular() {
			t.Errorf("a chart has only files, this one has %s", f.Path)
		}
		got = append(got, [2]string{f.Path, string(content)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the chart is another, or in another order; -want +got:\n%s", diff)
	}
}

func TestApplyNamesTheFolderOfCharts(t *testing.T) {
	t.Parallel()
	rule := transform.Substitution{Rule: "configuration rule 1", File: "values.yaml", Path: "replicaCount", Value: 3}
	_, err := transform.Apply(t.Context(), io.Discard, bytes.NewReader(packChart(t)), []transform.Substitution{rule}, transform.Limits{})
	if !errors.Is(err, transform.ErrNoFile) || !strings.Contains(err.Error(), `where it is "podinfo/values.yaml": name the file with its folder`) {
		t.Errorf("want to be told the folder, got %v", err)
	}
	rule.File, rule.Path = "podinfo/templates/deployment.yaml", "spec.replicas"
	_, err = transform.Apply(t.Context(), io.Discard, bytes.NewReader(packChart(t)), []transform.Substitution{rule}, transform.Limits{})
	if failed := (*transform.RuleError)(nil); !errors.As(err, &failed) {
		t.Errorf("want an error, as a template is no YAML, got %v", err)
	}
}
