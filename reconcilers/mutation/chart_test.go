package mutation_test

import (
	"encoding/json"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

const (
	chartYAML   = "apiVersion: v2\nname: podinfo\nversion: 6.3.5\nappVersion: 6.3.5\n"
	chartValues = "# Values of the chart.\nimage: placeholder # moved\nreplicas: 1\n"
	chartConfig = `localization:
- {resource: {name: image}, file: values.yaml, image: image}
configuration:
  defaults: {replicas: 2}
  rules:
  - {value: (( replicas )), file: podinfo/values.yaml, path: replicas}
  - {value: 1.0.0, file: charts/redis/values.yaml, path: tag}
`
)

var chartFiles = map[string]string{
	"podinfo/Chart.yaml": chartYAML, "podinfo/values.yaml": chartValues,
	"podinfo/templates/app.yaml":       "image: {{ .Values.image }}\n{{- if .Values.x }}\n{{- end }}\n",
	"podinfo/charts/redis/Chart.yaml":  "apiVersion: v2\nname: redis\nversion: 1.0.0\n",
	"podinfo/charts/redis/values.yaml": "tag: \"0\"\n",
}

// releaseChart publishes version 1.1.0, whose manifests are a chart.
func (s *stage) releaseChart(t *testing.T, files map[string]string, config string) {
	t.Helper()
	s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "helmChart", Content: reconcilertest.Gzip(t, reconcilertest.Tar(t, files))},
		{Name: "config", Content: []byte(config)},
		{Name: "image", Image: "ghcr.io/acme/app:1.1.0"},
	}})
	s.components.Reconcile(s.component)
	s.resources.Reconcile(s.resource)
	s.prove(t)
}

// configBlob returns the config of the artifact that holds what was written.
func (s *stage) configBlob(t *testing.T, status v1alpha1.MutationStatus) []byte {
	t.Helper()
	repository, err := s.Store.Repository(snapshot.RepositoryName("default", status.SnapshotName))
	if err != nil {
		t.Fatal(err)
	}
	_, body, err := repository.Manifest(t.Context(), status.LatestManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(body, &manifest); err != nil || manifest.Config.MediaType != snapshot.MediaTypeChartConfig {
		t.Fatalf("manifest %s: %v", body, err)
	}
	blob, _, err := repository.OpenBlob(t.Context(), manifest.Config.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer blob.Close()
	raw, err := io.ReadAll(blob)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestCharts localizes and configures a chart, one after the other: it stays a chart for those who pull it.
func TestCharts(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.releaseChart(t, chartFiles, chartConfig)
	l := s.localize(t)
	wantReady(t, l)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		spec.SourceRef = reconcilertest.From(v1alpha1.LocalizationKind, "localized")
	})
	wantReady(t, c)
	stored := s.Stored("default", c.Status.SnapshotName, c.Status.LatestManifestDigest)
	want := maps.Clone(chartFiles)
	want["podinfo/values.yaml"] = strings.NewReplacer("placeholder", "ghcr.io/acme/app:1.1.0", "replicas: 1", "replicas: 2").Replace(chartValues)
	want["podinfo/charts/redis/values.yaml"] = "tag: \"1.0.0\"\n"
	if diff := cmp.Diff(want, reconcilertest.Untar(t, stored.Content)); diff != "" || stored.MediaType != snapshot.MediaTypeChart {
		t.Errorf("%s, files (-want +got):\n%s", stored.MediaType, diff)
	}
	snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)}
	s.Get(snap)
	if snap.Spec.Tag != "6.3.5" || snap.Spec.Identity[v1alpha1.ChartVersionKey] != "6.3.5" || snap.Spec.Identity[v1alpha1.ResourceNameKey] != "config" {
		t.Errorf("tag %s, identity %v, want those of the chart", snap.Spec.Tag, snap.Spec.Identity)
	}
	s.forget()
	s.configurations.Reconcile(c)
	if requests, writes := s.registry.Requests(), s.Writes(); len(requests) > 0 || len(writes) > 0 {
		t.Errorf("an unchanged chart cost requests %v and writes %v", requests, writes)
	}
}

// TestChartVersionIsChanged changes what a chart says of itself: the artifact around it says the same.
func TestChartVersionIsChanged(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.releaseChart(t, chartFiles, "configuration: {rules: [{value: 7.0.0+site, file: Chart.yaml, path: version}]}")
	for name, source := range map[string]v1alpha1.ObjectReference{
		"from-snapshot": reconcilertest.From(v1alpha1.ResourceKind, "manifests"), "from-component": reconcilertest.FromComponent("app", "manifests"),
	} {
		c := configured(func(spec *v1alpha1.MutationSpec) { spec.SourceRef = source })
		c.Name = name
		s.Create(c)
		s.configurations.Reconcile(c)
		wantReady(t, c)
		stored := s.Stored("default", c.Status.SnapshotName, c.Status.LatestManifestDigest)
		if got := reconcilertest.Untar(t, stored.Content)["podinfo/Chart.yaml"]; got != strings.Replace(chartYAML, "version: 6.3.5", "version: 7.0.0+site", 1) {
			t.Errorf("%s: Chart.yaml is\n%s", name, got)
		}
		var says struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		}
		if err := json.Unmarshal(s.configBlob(t, c.Status), &says); err != nil || says.Name != "podinfo" || says.Version != "7.0.0+site" {
			t.Errorf("%s: the config of the artifact says %+v (%v)", name, says, err)
		}
		snap := &v1alpha1.Snapshot{ObjectMeta: reconcilertest.Named(c.Status.SnapshotName)}
		s.Get(snap)
		if snap.Spec.Tag != "7.0.0_site" || snap.Spec.Identity[v1alpha1.ChartVersionKey] != "7.0.0+site" {
			t.Errorf("%s: tag %s, identity %v", name, snap.Spec.Tag, snap.Spec.Identity)
		}
	}
}

func TestChartsThatCannotBeChanged(t *testing.T) {
	t.Parallel()
	rule := func(file, path, value string) string {
		return "configuration: {rules: [{value: " + value + ", file: " + file + ", path: " + path + "}]}"
	}
	for name, tc := range map[string]struct{ config, says string }{
		"missing file":  {rule("none.yaml", "a", "1"), `configuration rule 1: file "none.yaml", path "a": not a regular file in the source`},
		"template":      {rule("templates/app.yaml", "a", "1"), `configuration rule 1: file "templates/app.yaml"`},
		"no version":    {rule("Chart.yaml", "version", `""`), `the chart of Resource default/manifests would not be one with what the rules make of "podinfo/Chart.yaml": its Chart.yaml has no name or no version`},
		"other version": {rule("podinfo/Chart.yaml", "version", "one"), `version "one"`},
		"metadata":      {rule("Chart.yaml", "version.x", "one"), `file "Chart.yaml", path "version.x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.releaseChart(t, chartFiles, tc.config)
			wantRefused(t, s.configure(t, nil), "False "+v1alpha1.ReconcileMutationObjectFailedReason, tc.says)
		})
	}
}

func TestChartsThatAreNone(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	s.releaseChart(t, map[string]string{"podinfo/values.yaml": chartValues}, chartConfig)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) { spec.SourceRef = reconcilertest.FromComponent("app", "manifests") })
	wantRefused(t, c, "False "+v1alpha1.ReconcileMutationObjectFailedReason, `content of resource "manifests" of ComponentVersion default/app is no packed Helm chart: no Chart.yaml`)
}
