package chartcheck

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// TestTwoReleases holds that two releases in one namespace, each with a namespace of its own to watch, share nothing: no object of the
// charts, and nothing that the operators make or take by name.
func TestTwoReleases(t *testing.T) {
	t.Parallel()
	owners, named := map[string]string{}, map[string]string{}
	for _, name := range []string{"ocm-operator", "blue", "green"} {
		out, err := helm(t, "template", name, chart, "--namespace", namespace, "--set", "crds.enabled=false,rbac.aggregate=false,watchNamespace=team-"+name)
		if err != nil {
			t.Fatal(err)
		}
		looked := 0
		for _, obj := range decode(t, out) {
			if other := owners[describe(obj)]; other != "" {
				t.Errorf("%s is of release %s and of release %s", describe(obj), other, name)
			}
			owners[describe(obj)] = name
			for _, arg := range arguments(t, obj) {
				flag, _, _ := strings.Cut(arg, "=")
				if !slices.Contains([]string{"--leader-election-id", "--registry-key-secret", "--registry-cert-secret", "--registry-address"}, flag) {
					continue
				}
				looked++
				if other := named[arg]; other != "" {
					t.Errorf("%s has release %s and release %s", arg, other, name)
				}
				named[arg] = name
			}
		}
		if looked != 4 {
			t.Errorf("release %s: %d arguments name what there may be once in a namespace, want 4", name, looked)
		}
	}
}

// TestDurations holds that the schema refuses what the operator could not read as a duration: the pod would end again and again.
func TestDurations(t *testing.T) {
	t.Parallel()
	var help bytes.Buffer
	if _, err := options.Parse([]string{"--help"}, "", "", &help); !errors.Is(err, options.ErrHelp) {
		t.Fatal(err)
	}
	templates, err := os.ReadFile(filepath.Join(chart, "templates", "_args.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	leaves := map[string]*valueSchema{}
	collect("", readSchema(t), leaves)
	found := 0
	for _, flag := range regexp.MustCompile(`--([a-z-]+) duration`).FindAllStringSubmatch(help.String(), -1) {
		set := regexp.MustCompile(`"` + flag[1] + `" [$.A-Za-z]*\.([A-Za-z]+)\)`).FindStringSubmatch(string(templates))
		if set == nil {
			continue // it has no value, see chart_test.go of the module
		}
		found++
		matches := 0
		for path, s := range leaves {
			if !strings.HasSuffix(path, "."+set[1]) {
				continue
			}
			matches++
			pattern := regexp.MustCompile(s.Pattern)
			for text, good := range map[string]bool{"7m30s": true, "1.5h": true, "750ms": true, "1d": false, "abc": false, "5": false, "-1s": false, "": false} {
				if pattern.MatchString(text) != good {
					t.Errorf("%s, which is --%s: %q is accepted: %t, want %t", path, flag[1], text, !good, good)
				}
			}
		}
		if matches == 0 {
			t.Errorf("--%s is set by %s, which is no value", flag[1], set[1])
		}
	}
	if found < 9 {
		t.Errorf("found only %d values that are durations", found)
	}
}
