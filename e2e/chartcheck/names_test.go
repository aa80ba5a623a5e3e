package chartcheck

import (
	"slices"
	"strings"
	"testing"
)

// TestReleasesOfACluster holds that releases share nothing by names that are hard to tell apart: no object that is in no namespace, and,
// where names are so long that they are cut, no object at all.
func TestReleasesOfACluster(t *testing.T) {
	t.Parallel()
	const long = "delivery-of-components-to-the-clusters-of-team-blue-"
	for name, test := range map[string]struct {
		releases [][2]string
		all      bool
	}{
		"joined": {releases: [][2]string{
			{"ocm", "system-ocm-operator"}, {"ocm-system", "ocm-operator"}, {"ocm-system", "ocm-operator-view"}, {"ocm-system", "ocm-operator-uninstall"},
		}},
		"cut": {releases: [][2]string{{"ocm", long + "a"}, {"ocm", long + "b"}}, all: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			owners := map[string]string{}
			for _, release := range test.releases {
				out, err := helm(t, "template", release[1], chart, "--namespace", release[0], "--set", "crds.enabled=false,externalRegistry.url=oci://registry.example.com/a")
				if err != nil {
					t.Fatal(err)
				}
				for _, obj := range decode(t, out) {
					if obj.GetNamespace() != "" && !test.all {
						continue
					}
					if other := owners[describe(obj)]; other != "" {
						t.Errorf("%s is of %s and of %s", describe(obj), other, release)
					}
					owners[describe(obj)] = release[0] + "/" + release[1]
				}
			}
			if len(owners) < 2*len(test.releases) {
				t.Errorf("only %d objects were looked at", len(owners))
			}
		})
	}
}

// TestNamesAreTexts gives names that YAML takes for something else.
func TestNamesAreTexts(t *testing.T) {
	t.Parallel()
	names := []string{"name", "namespace", "serviceName", "serviceAccountName", "secretName", "claimName", "matchNames", "resourceNames"}
	var walk func(t *testing.T, where string, part any)
	walk = func(t *testing.T, where string, part any) {
		t.Helper()
		switch part := part.(type) {
		case map[string]any:
			for key, inner := range part {
				if _, text := inner.(string); slices.Contains(names, key) && !text && !onlyTexts(inner) {
					t.Errorf("%s.%s is %v, which is no text", where, key, inner)
				}
				walk(t, where+"."+key, inner)
			}
		case []any:
			for _, inner := range part {
				walk(t, where+"[]", inner)
			}
		}
	}
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := helm(t, "template", release, chart, "--namespace", "2024", "--values", file, "--set", "crds.enabled=false",
				"--set-string", "fullnameOverride=true,serviceAccount.name=7")
			if err != nil {
				t.Fatal(err)
			}
			for _, obj := range decode(t, out) {
				walk(t, strings.ToLower(obj.GetKind()), obj.Object)
			}
		})
	}
}

func onlyTexts(part any) bool {
	list, ok := part.([]any)
	return ok && !slices.ContainsFunc(list, func(inner any) bool {
		_, text := inner.(string)
		return !text
	})
}
