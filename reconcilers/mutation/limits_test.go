package mutation_test

import (
	"os"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/configuration"
	"github.com/ocm-operator/ocm-operator/reconcilers/localization"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// limit runs Localizations and Configurations with other limits from here on.
func (s *stage) limit(l mutation.Limits) {
	options := mutation.Options{
		Lifecycle: s.Lifecycle, Foreign: s.Foreign, Repositories: s.Repositories, Store: s.Store, Artifacts: s.artifacts, Mappings: s.mappings, Limits: l,
	}
	s.localizations, s.configurations = s.Install(localization.Plugin(options)), s.Install(configuration.Plugin(options))
}

// TestLimitsNameTheirFlags passes every limit, and wants to be told which flag of the operator sets it.
func TestLimitsNameTheirFlags(t *testing.T) {
	t.Parallel()
	flags, err := os.ReadFile("../../docs/flags.md")
	if err != nil {
		t.Fatal(err)
	}
	const failed = v1alpha1.ReconcileMutationObjectFailedReason
	for flag, tc := range map[string]struct {
		limits mutation.Limits
		change func(*v1alpha1.MutationSpec)
		reason string
	}{
		"--max-archive-size":     {mutation.Limits{Archives: archive.Limits{TotalBytes: 600}}, nil, failed},
		"--max-archive-entries":  {mutation.Limits{Archives: archive.Limits{Entries: 1}}, nil, failed},
		"--max-edited-file-size": {mutation.Limits{Archives: archive.Limits{EditBytes: 20}}, nil, failed},
		"--max-config-size":      {mutation.Limits{ConfigBytes: 100}, nil, v1alpha1.InvalidConfigDataReason},
		"--max-values-size":      {mutation.Limits{ValuesBytes: 5}, inline(`{"replicas": 3}`), v1alpha1.InvalidValuesReason},
	} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.limit(tc.limits)
			wantRefused(t, s.configure(t, tc.change), "False "+tc.reason, "the limit that "+flag+" sets")
			if !strings.Contains(string(flags), " "+flag+" ") {
				t.Errorf("the operator has no flag %s", flag)
			}
		})
	}
	for flag, cause := range map[string]error{
		"--max-mapping-time": cuemap.ErrTime, "--max-mapping-memory": cuemap.ErrMemory, "--max-mapping-output": cuemap.ErrOutput,
	} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, mapped(images))
			s.mappings.err = &cuemap.ProgramError{Err: cause}
			wantRefused(t, s.localize(t), "False "+failed, "the limit that "+flag+" sets")
			if !strings.Contains(string(flags), " "+flag+" ") {
				t.Errorf("the operator has no flag %s", flag)
			}
		})
	}
}

// TestLimitsOfValuesFromElsewhere passes the limit in every kind of place.
func TestLimitsOfValuesFromElsewhere(t *testing.T) {
	t.Parallel()
	component, written := reconcilertest.FromComponent("app", "values"), reconcilertest.From(v1alpha1.ResourceKind, "values")
	for name, tc := range map[string]struct {
		change func(*v1alpha1.MutationSpec)
		says   string
	}{
		"ConfigMap": {sources(fromConfigMap("map", "", false)), "the text of values in ConfigMap default/map, key values is larger than 5 bytes"},
		"component": {sources(v1alpha1.ValuesSource{SourceRef: &component}), `resource "values" of ComponentVersion default/app is larger than 5 bytes`},
		"snapshot":  {sources(v1alpha1.ValuesSource{SourceRef: &written}), "Resource default/values is larger than 5 bytes"},
		"Flux":      {fromFlux("values.yaml", ""), `file "values.yaml" is larger than 5 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.limit(mutation.Limits{ValuesBytes: 5})
			r := reconcilertest.Resource("values", "app", "values")
			s.Create(configMap("map", "values", "replicas: 4\n"), r)
			s.resources.Reconcile(r)
			s.prove(t)
			s.fluxSource(t, map[string]string{"values.yaml": "replicas: 8"}, "")
			wantRefused(t, s.configure(t, tc.change), "False "+v1alpha1.InvalidValuesReason, tc.says+", the limit that --max-values-size sets")
		})
	}
}

// TestWhatIsNoConfigData names what was read and where to name something else.
func TestWhatIsNoConfigData(t *testing.T) {
	t.Parallel()
	const instead = "name the resource that holds the ConfigData, one YAML or JSON file, in spec.configRef.resourceRef.name"
	for name, tc := range map[string]struct {
		content []byte
		says    []string
	}{
		"archive":      {reconcilertest.Tar(t, map[string]string{"a": "b"}), []string{`resource "config" of ComponentVersion default/app is an archive of files`, instead}},
		"compressed":   {reconcilertest.Gzip(t, reconcilertest.Tar(t, map[string]string{"a": strings.Repeat("x", 1<<21)})), []string{"is an archive of files", instead}},
		"text":         {[]byte("hello"), []string{`resource "config" of ComponentVersion default/app holds no ConfigData`, instead}},
		"bytes":        {[]byte{0, 1, 2, 0xff}, []string{`resource "config" of ComponentVersion default/app holds no ConfigData`, instead}},
		"manifest":     {[]byte("apiVersion: apps/v1\nkind: Deployment\nspec: {}\n"), []string{`holds no ConfigData`, `apiVersion: it is "apps/v1": only config.ocm.software/v1alpha1 is understood`, instead}},
		"empty":        {nil, []string{`resource "config" of ComponentVersion default/app holds no ConfigData`, "it is empty", instead}},
		"with mistake": {[]byte("kind: ConfigData\nrules: []\n"), []string{`configuration data of resource "config" of ComponentVersion default/app`, `line 2: rules: unknown field "rules"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			s.Publish(s.url, ocmtest.Component{Name: app, Version: "1.1.0", Resources: []ocmtest.Resource{
				{Name: "manifests", Content: reconcilertest.Tar(t, map[string]string{"deploy.yaml": deploy})}, {Name: "config", Content: tc.content},
			}})
			s.components.Reconcile(s.component)
			s.resources.Reconcile(s.resource)
			s.prove(t)
			c := s.configure(t, nil)
			for _, says := range tc.says {
				wantRefused(t, c, "False "+v1alpha1.InvalidConfigDataReason, says)
			}
		})
	}
}

func TestConfigDataFromAnObjectThatHasNone(t *testing.T) {
	t.Parallel()
	s := newStage(t, config)
	c := s.configure(t, func(spec *v1alpha1.MutationSpec) {
		ref := reconcilertest.From(v1alpha1.ResourceKind, "manifests")
		spec.ConfigRef = &ref
	})
	wantRefused(t, c, "False "+v1alpha1.InvalidConfigDataReason,
		"Resource default/manifests is an archive of files: refer in spec.configRef to what holds the ConfigData, one YAML or JSON file")
}

// TestMissingObjectsSayWhatToDo names the field that refers to an object that does not exist.
func TestMissingObjectsSayWhatToDo(t *testing.T) {
	t.Parallel()
	absent := reconcilertest.FromComponent("absent", "config")
	for name, tc := range map[string]struct {
		change       func(*v1alpha1.MutationSpec)
		reason, says string
	}{
		"config": {func(s *v1alpha1.MutationSpec) { s.ConfigRef = &absent }, v1alpha1.ConfigRefNotReadyReason, "ComponentVersion default/absent does not exist: create it, or correct spec.configRef"},
		"source": {func(s *v1alpha1.MutationSpec) { s.SourceRef = absent }, v1alpha1.SourceRefNotReadyReason, "ComponentVersion default/absent does not exist: create it, or correct spec.sourceRef"},
		"values": {
			func(s *v1alpha1.MutationSpec) { s.ValuesFrom = &v1alpha1.ValuesSource{SourceRef: &absent} },
			v1alpha1.ValuesNotReadyReason, "ComponentVersion default/absent does not exist: create it, or correct spec.valuesFrom",
		},
		"one of several": {
			sources(fromConfigMap("none", "", true), v1alpha1.ValuesSource{SourceRef: &absent}),
			v1alpha1.ValuesNotReadyReason, "ComponentVersion default/absent does not exist: create it, or correct spec.valuesSources[1]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config)
			wantRefused(t, s.configure(t, tc.change), "False "+tc.reason, tc.says)
		})
	}
}
