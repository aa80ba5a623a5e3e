package transform_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/yamledit"
)

// TestRunMergesAfterTheRules changes a file and merges the outcome, in one pass.
func TestRunMergesAfterTheRules(t *testing.T) {
	t.Parallel()
	src := pack(t, map[string]string{"deploy/app.yaml": componentDeployment, "b.yaml": "a: 1\n"})
	var dst bytes.Buffer
	stats, err := transform.Run(t.Context(), &dst, bytes.NewReader(src), transform.Plan{
		Substitutions: []transform.Substitution{
			{Rule: "rule 1", File: "deploy/app.yaml", Path: "spec.replicas", Value: 5},
			{Rule: "rule 2", File: "b.yaml", Path: "a", Value: 2},
		},
		Merge: &transform.Merger{Rule: "patch", File: "deploy/app.yaml", Base: []byte(siteDeployment)},
	}, transform.Limits{})
	if err != nil || stats.Edited != 2 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	want := map[string]string{
		"deploy/app.yaml": strings.NewReplacer("replicas: 1", "replicas: 5", "IfNotPresent", "Always").Replace(siteDeployment), "b.yaml": "a: 2\n",
	}
	if diff := cmp.Diff(want, unpack(t, dst.Bytes())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFilesRelativeToTheRoot names files of a chart with and without its folder, also where a folder in it has the same name.
func TestFilesRelativeToTheRoot(t *testing.T) {
	t.Parallel()
	files := map[string]string{"app/values.yaml": "a: 1\n", "app/charts/sub/values.yaml": "a: 1\n", "app/app/values.yaml": "a: 1\n"}
	for name, changed := range map[string]string{
		"values.yaml": "app/values.yaml", "app/values.yaml": "app/values.yaml", "./values.yaml": "app/values.yaml", "/app/values.yaml": "app/values.yaml",
		"charts/sub/values.yaml": "app/charts/sub/values.yaml", "app/app/values.yaml": "app/app/values.yaml",
	} {
		plan := transform.Plan{Root: "app", Substitutions: []transform.Substitution{
			{Rule: "rule 1", File: name, Path: "a", Value: 2}, {Rule: "rule 2", File: "app/" + strings.TrimPrefix(changed, "app/"), Path: "b", Value: 3},
		}}
		var dst bytes.Buffer
		if _, err := transform.Run(t.Context(), &dst, bytes.NewReader(pack(t, files)), plan, transform.Limits{}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for file, got := range unpack(t, dst.Bytes()) {
			if want := map[bool]string{true: "a: 2\nb: 3\n", false: "a: 1\n"}[file == changed]; got != want {
				t.Errorf("%s: %s is %q, want %q", name, file, got, want)
			}
		}
		if got, err := plan.File(t.Context(), changed, []byte("a: 0\n")); err != nil || string(got) != "a: 2\nb: 3\n" {
			t.Errorf("%s alone is %q, error %v", changed, got, err)
		}
		if got, err := plan.File(t.Context(), "app/other.yaml", []byte("x")); err != nil || string(got) != "x" {
			t.Errorf("a file without rules is %q, error %v", got, err)
		}
	}
}

func TestPlansThatCannotBeCarriedOut(t *testing.T) {
	t.Parallel()
	src := pack(t, map[string]string{"app/values.yaml": "a: 1\n"})
	for name, tc := range map[string]struct {
		plan transform.Plan
		want string
	}{
		"missing merge": {transform.Plan{Root: "app", Merge: &transform.Merger{Rule: "patch", File: "x.yaml"}}, `patch: file "x.yaml": not a regular file in the source; it holds: app/values.yaml`},
		"outside":       {transform.Plan{Root: "app", Merge: &transform.Merger{Rule: "patch", File: "../x"}}, "must be a path within the source"},
		"blocked": {
			transform.Plan{Root: "app", Substitutions: []transform.Substitution{{Rule: "rule 1", File: "values.yaml", Path: "a.b", Value: 1}}},
			`rule 1: file "values.yaml", path "a.b"`,
		},
	} {
		_, err := transform.Run(t.Context(), io.Discard, bytes.NewReader(src), tc.plan, transform.Limits{})
		if failed := (*transform.RuleError)(nil); !errors.As(err, &failed) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want a RuleError with %q", name, err, tc.want)
		}
	}
	bad := transform.Plan{Substitutions: []transform.Substitution{{Rule: "rule 1", File: "../x", Path: "a"}}}
	if _, err := bad.File(t.Context(), "x", nil); err == nil {
		t.Error("a plan with a file outside was carried out")
	}
	var edit *yamledit.EditError
	bad = transform.Plan{Substitutions: []transform.Substitution{{Rule: "rule 1", File: "x", Path: "a"}}}
	if _, err := bad.File(t.Context(), "x", []byte("{{ template }}\n: [")); err == nil || errors.As(err, &edit) {
		t.Errorf("a file that is no YAML gave %v, want the rule's error", err)
	}
}
