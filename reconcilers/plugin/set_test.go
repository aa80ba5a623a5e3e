package plugin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
)

func feature(name string, stage plugin.Stage, requires ...string) plugin.Plugin {
	return plugin.Plugin{
		Name: name, Stage: stage, Since: "v0.1.0", Requires: requires,
		Setup: func(context.Context, ctrl.Manager) error { return nil },
	}
}

func newSet(t *testing.T) *plugin.Set {
	t.Helper()
	s, err := plugin.NewSet(feature("Base", plugin.Stable), feature("Top", plugin.Beta, "Base"), feature("Trial", plugin.Alpha, "Base"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(plugins []plugin.Plugin) []string {
	var out []string
	for _, p := range plugins {
		out = append(out, p.Name)
	}
	return out
}

func TestNewSetRefuses(t *testing.T) {
	t.Parallel()
	noSetup := feature("Base", plugin.Beta)
	noSetup.Setup = nil
	for name, tc := range map[string]struct {
		plugins []plugin.Plugin
		says    string
		reason  string
	}{
		"no name":          {[]plugin.Plugin{feature("", plugin.Beta)}, "incomplete", "the name is the gate"},
		"no set-up":        {[]plugin.Plugin{noSetup}, "incomplete", "it would panic at the start"},
		"unknown stage":    {[]plugin.Plugin{feature("Base", "Gamma")}, `"Gamma"`, "the stage decides the default"},
		"twice":            {[]plugin.Plugin{feature("Base", plugin.Beta), feature("Base", plugin.Alpha)}, "twice", "one gate can't switch two features"},
		"unknown required": {[]plugin.Plugin{feature("Top", plugin.Beta, "Base")}, "requires Base", "it could never run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := plugin.NewSet(tc.plugins...); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error is %v, want one with %q: %s", err, tc.says, tc.reason)
			}
		})
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text    string
		enabled []string
		says    []string
		reason  string
	}{
		"defaults":          {"", []string{"Base", "Top"}, nil, "alpha features are off"},
		"alpha on":          {"Trial=true", []string{"Base", "Top", "Trial"}, nil, "whoever asks gets it"},
		"beta off":          {"Top=false", []string{"Base"}, nil, "every feature can be switched off"},
		"spaces and commas": {" Top=0 ,, Trial=T,", []string{"Base", "Trial"}, nil, "lists are written by hand"},
		"last one wins":     {"Top=false,Top=true", []string{"Base", "Top"}, nil, "as with every other flag"},
		"unknown":           {"Tip=true", nil, []string{`"Tip"`, "Base, Top, Trial"}, "a typing error must not be ignored, and the message lists what there is"},
		"case":              {"top=true", nil, []string{`"top"`}, "names are exact"},
		"no value":          {"Top", nil, []string{"Top=false"}, "the message shows how"},
		"no boolean":        {"Top=maybe", nil, []string{"maybe", "true or false"}, "the message shows what is possible"},
		"required off":      {"Base=false", nil, []string{"Top requires Base"}, "half a feature is none"},
		"both off":          {"Base=false,Top=false", nil, nil, "what is off requires nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSet(t)
			err := s.Switch(tc.text)
			if (err != nil) != (tc.says != nil) {
				t.Fatalf("error is %v: %s", err, tc.reason)
			}
			for _, part := range tc.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q: %s", err, part, tc.reason)
				}
			}
			if got := names(s.Enabled()); err == nil && !slices.Equal(got, tc.enabled) {
				t.Errorf("enabled are %v, want %v: %s", got, tc.enabled, tc.reason)
			}
		})
	}
}

func TestWithKeepsGates(t *testing.T) {
	t.Parallel()
	known := newSet(t)
	if err := known.Switch("Top=false,Trial=true"); err != nil {
		t.Fatal(err)
	}
	other, err := known.With(feature("Base", plugin.Stable), feature("Top", plugin.Beta, "Base"), feature("Trial", plugin.Alpha, "Base"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := other.State(), "Base=true,Top=false,Trial=true"; got != want {
		t.Errorf("state is %s, want %s", got, want)
	}
	if _, err := known.With(feature("", plugin.Beta)); err == nil {
		t.Error("an incomplete feature was accepted")
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	want := "\n  Base=true (Stable since v0.1.0)\n  Top=true (Beta since v0.1.0), requires Base\n  Trial=false (Alpha since v0.1.0), requires Base"
	if diff := cmp.Diff(want, newSet(t).Describe()); diff != "" {
		t.Errorf("help (-want +got):\n%s", diff)
	}
}

func TestCollector(t *testing.T) {
	t.Parallel()
	want := `
# HELP ocm_feature_enabled Whether a feature of the operator is on (1) or off (0).
# TYPE ocm_feature_enabled gauge
ocm_feature_enabled{name="Base",stage="Stable"} 1
ocm_feature_enabled{name="Top",stage="Beta"} 1
ocm_feature_enabled{name="Trial",stage="Alpha"} 0
`
	if err := testutil.CollectAndCompare(newSet(t).Collector(), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestSetupAndSchemeOfEnabledOnly(t *testing.T) {
	t.Parallel()
	var done []string
	broken := errors.New("no manager")
	p := func(name string, stage plugin.Stage, err error) plugin.Plugin {
		return plugin.Plugin{
			Name: name, Stage: stage,
			AddScheme: func(*runtime.Scheme) error { done = append(done, "scheme "+name); return err },
			Setup:     func(context.Context, ctrl.Manager) error { done = append(done, "setup "+name); return err },
		}
	}
	s, err := plugin.NewSet(p("Off", plugin.Alpha, nil), p("One", plugin.Beta, nil), feature("NoScheme", plugin.Beta), p("Two", plugin.Beta, broken), p("Three", plugin.Beta, nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddScheme(runtime.NewScheme()); !errors.Is(err, broken) {
		t.Errorf("AddScheme: %v", err)
	}
	if err := s.Setup(t.Context(), nil); !errors.Is(err, broken) || !strings.Contains(err.Error(), "Two") {
		t.Errorf("Setup: %v, want the feature's error with its name", err)
	}
	want := []string{"scheme One", "scheme Two", "scheme Three", "setup One", "setup Two"}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
