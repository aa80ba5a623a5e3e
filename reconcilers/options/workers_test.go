package options_test

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

func TestWorkers(t *testing.T) {
	t.Parallel()
	processors := max(2, 2*runtime.GOMAXPROCS(0))
	for name, tc := range map[string]struct {
		args   []string
		want   map[string]int
		reason string
	}{
		"defaults": {
			nil,
			map[string]int{"ComponentVersion": 4, "Resource": 4, "Snapshot": 8, "FluxDeployer": 8, "Localization": min(4, processors)},
			"cheap kinds have more",
		},
		"many": {
			[]string{"--concurrent=900"},
			map[string]int{"Resource": 900, "Snapshot": 1000, "Configuration": processors},
			"kinds that need a processor have no more than can get one",
		},
		"by kind": {
			[]string{"--concurrent-kinds=Resource=9,Localization=300", "--concurrent-kinds=Snapshot=1"},
			map[string]int{"Resource": 9, "Localization": 300, "Snapshot": 1, "ComponentVersion": 4},
			"what is said counts",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := options.Parse(tc.args, "", "test", &bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			for kind, want := range tc.want {
				if got := o.Workers(kind); got != want {
					t.Errorf("%s has %d workers, want %d: %s", kind, got, want, tc.reason)
				}
			}
		})
	}
}

func TestBadWorkers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ arg, want string }{
		"none":      {"--concurrent-kinds=Resource=0", "Resource is 0, want 1 to 1000"},
		"too many":  {"--concurrent-kinds=Resource=1001", "want 1 to 1000"},
		"no number": {"--concurrent-kinds=Resource", "concurrent-kinds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := options.Parse([]string{tc.arg}, "", "test", &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q in it", err, tc.want)
			}
		})
	}
	o, err := options.Parse([]string{"--concurrent-kinds=Resorce=2"}, "", "test", &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.CheckKinds([]string{"Resource", "Snapshot"}); err == nil || !strings.Contains(err.Error(), `"Resorce", known are Resource, Snapshot`) {
		t.Errorf("error is %v, want the kinds that there are", err)
	}
}
