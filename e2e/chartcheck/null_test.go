package chartcheck

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
)

// TestNull gives each value as null, which Helm takes for one that is not there. It stands for a default that is nothing, or for what the
// description of the value says, and is refused by the name of the value everywhere else.
func TestNull(t *testing.T) {
	t.Parallel()
	files := scenarios(t)
	for path, s := range withMappings(t) {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			for _, scenario := range []string{"everything", "external-registry"} {
				given := func(value string) (string, error) {
					arguments := []string{"--values", files[scenario], "--set-json", path + "=" + value}
					if path != "crds" && path != "crds.enabled" {
						arguments = append(arguments, "--set", "crds.enabled=false")
					}
					return render(t, arguments...)
				}
				out, err := given("null")
				switch {
				case err != nil && !namesValue(err, path):
					t.Errorf("%s: got %v, want %s in it", scenario, err, path)
				case !s.takesNull() && err == nil:
					t.Errorf("%s: null is accepted, and it is not said for what", scenario)
				case !s.takesNull():
					return // the schema is the same in all scenarios
				case string(s.Default) == "null":
				case s.empty():
					want, wantErr := given(string(s.Default))
					if diff := cmp.Diff(want, out); diff != "" || fmt.Sprint(err) != fmt.Sprint(wantErr) {
						t.Errorf("%s: null renders something else (+) than %s (-): %v, %v\n%s", scenario, s.Default, err, wantErr, diff)
					}
				case !strings.Contains(strings.ToLower(s.Description), "null"):
					t.Error("null is accepted, and the description doesn't say for what")
				case err == nil:
					arguments := operatorPod(t, decode(t, out)).Containers[0].Args
					if _, err := options.Parse(arguments, "", "", io.Discard); err != nil {
						t.Errorf("%s: the operator refuses its arguments: %v", scenario, err)
					}
				}
			}
		})
	}
}

// namesValue tells whether an error has the name of a value: by the path of a JSON schema, as a key that is missing, or in words of the chart.
func namesValue(err error, path string) bool {
	name := path[strings.LastIndex(path, ".")+1:]
	return slices.ContainsFunc([]string{"/" + strings.ReplaceAll(path, ".", "/") + "'", "'" + name + "'", path, ": set " + name, " or " + name}, func(text string) bool {
		return strings.Contains(err.Error(), text)
	})
}

// withMappings returns all values, and the mappings that they are in.
func withMappings(t *testing.T) map[string]*valueSchema {
	t.Helper()
	found := map[string]*valueSchema{}
	var walk func(path string, s *valueSchema)
	walk = func(path string, s *valueSchema) {
		for name, property := range s.Properties {
			inner := strings.TrimPrefix(path+"."+name, ".")
			if inner == "global" {
				continue
			}
			found[inner] = property
			if !property.free() {
				walk(inner, property)
			}
		}
	}
	walk("", readSchema(t))
	return found
}
