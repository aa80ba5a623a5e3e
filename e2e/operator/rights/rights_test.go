package rights

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

var update = flag.Bool("update", false, "write the table of docs/guides/rights.md")

const root = "../../.."

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

// TestFlagsAreThoseOfTheOperator holds the flags that decide about rights to the operator's help.
func TestFlagsAreThoseOfTheOperator(t *testing.T) {
	t.Parallel()
	help, err := os.ReadFile(filepath.Join(root, "docs", "flags.md"))
	if err != nil {
		t.Fatal(err)
	}
	// Flags begin a line. What is said of one may name others.
	const flag = "\n      "
	for name, value := range defaults {
		_, about, found := strings.Cut(string(help), flag+name+" ")
		about, _, _ = strings.Cut(about, flag+"--")
		about = strings.Join(strings.Fields(about), " ")
		said := regexp.MustCompile(`\(default "?([^")]*)"?\)$`).FindStringSubmatch(about)
		switch {
		case !found:
			t.Errorf("the operator has no flag %s", name)
		case said == nil && value != "" && value != "false", len(said) == 2 && said[1] != value:
			t.Errorf("%s is %q without being set, want %q as in: %s", name, value, said, about)
		}
	}
}

// TestOf grants by arguments.
func TestOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args          []string
		want, notWant []string
	}{
		"defaults": {
			nil,
			[]string{"patch resources/status.delivery.ocm.software", "update secrets ocm-registry-key in namespace own", "create tokenreviews.authentication.k8s.io"},
			[]string{"list secrets", "create leases.coordination.k8s.io in namespace own", "create events in namespace own", "get secrets writer in namespace own"},
		},
		"a namespace": {
			[]string{"--watch-namespace=team"},
			[]string{"patch resources/status.delivery.ocm.software in namespace team", "create events in namespace own", "create tokenreviews.authentication.k8s.io"},
			[]string{"patch resources/status.delivery.ocm.software", "get resources.delivery.ocm.software"},
		},
		"a feature is off": {
			[]string{"--features=Resource=false"},
			[]string{"list resources.delivery.ocm.software"}, // for those who refer to them
			[]string{"patch resources/status.delivery.ocm.software"},
		},
		"options": {
			[]string{"--watch-secrets", "--registry-writer-secret=writer", "--registry-token-auth=false", "--registry-plain-http", "--enable-leader-election"},
			[]string{"list secrets", "update secrets writer in namespace own", "update leases.coordination.k8s.io ocm-operator-leader in namespace own"},
			[]string{"create tokenreviews.authentication.k8s.io", "get secrets ocm-registry-tls-certs in namespace own"},
		},
		"a registry of others": {
			[]string{"--snapshot-registry=oci://registry.example.com/a", "--snapshot-registry-secret=push"},
			[]string{"get secrets push in namespace own"},
			[]string{"create tokenreviews.authentication.k8s.io", "get secrets ocm-registry-key in namespace own", "create secrets in namespace own", "get secrets in namespace own"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Of(root, "own", tc.args)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !slices.ContainsFunc(r.All(), func(right Right) bool { return right.String() == want }) {
					t.Errorf("may not %s", want)
				}
			}
			for _, not := range tc.notWant {
				if slices.ContainsFunc(r.All(), func(right Right) bool { return right.String() == not }) {
					t.Errorf("may %s", not)
				}
			}
		})
	}
	if _, err := Of(root, "own", []string{"--features=Unknown=true"}); err == nil {
		t.Error("a feature that there is not has rights")
	}
	if _, err := Of(t.TempDir(), "own", nil); err == nil {
		t.Error("nothing is where the rules should be, and rights come of it")
	}
}

// TestObjects grants exactly what was asked for.
func TestObjects(t *testing.T) {
	t.Parallel()
	r, err := Of(root, "own", []string{"--watch-namespace=team", "--enable-leader-election"})
	if err != nil {
		t.Fatal(err)
	}
	var got []Right
	for _, obj := range r.Objects("name", rbacv1.Subject{}) {
		switch role := obj.(type) {
		case *rbacv1.ClusterRole:
			got = append(got, Expand("", role.Rules)...)
		case *rbacv1.Role:
			got = append(got, Expand(role.Namespace, role.Rules)...)
		}
	}
	if diff := cmp.Diff(r.All(), sorted(got)); diff != "" {
		t.Errorf("granted something else (+) than wanted (-):\n%s", diff)
	}
	first := r.All()[0]
	if less := r.Without(first); slices.Contains(less.All(), first) || less.Name() == r.Name() || less.With(first).Name() != r.Name() {
		t.Error("a right that was taken away is there still, or did not come back")
	}
}

// TestNothingIsForAll wants no wildcard, and no list of Secrets but where that is asked for.
func TestNothingIsForAll(t *testing.T) {
	t.Parallel()
	known, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range known {
		for _, right := range append(Expand("", p.watched), Expand("own", p.own)...) {
			if strings.Contains(right.String(), "*") {
				t.Errorf("%s: %s", name, right)
			}
			if right.Resource == "secrets" && name != "secrets-watch" && slices.Contains([]string{"list", "watch", "deletecollection"}, right.Verb) {
				t.Errorf("%s may %s", name, right)
			}
		}
	}
}

// TestNoFeatureRepeatsWhatItNeeds wants a right in the file of one feature only, where another one can't be without it.
func TestNoFeatureRepeatsWhatItNeeds(t *testing.T) {
	t.Parallel()
	known, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	help, err := os.ReadFile(filepath.Join(root, "docs", "flags.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range known.features() {
		line := regexp.MustCompile(`(?m)^ +` + name + `=\w+ \([^)]*\)(?:, requires ([\w, ]+?))?(?:, works with .*)?$`).FindStringSubmatch(string(help))
		if line == nil {
			t.Errorf("the operator's help has no feature %s", name)
			continue
		}
		needed := strings.FieldsFunc(line[1], func(r rune) bool { return r == ',' || r == ' ' })
		for _, other := range append(needed, "operator") {
			theirs := Expand("", known[other].watched)
			for _, right := range Expand("", known[name].watched) {
				if slices.Contains(theirs, right) {
					t.Errorf("%s asks for the right to %s, which %s has, and is never without: drop its marker +kubebuilder:rbac", name, right, other)
				}
			}
		}
	}
}

// TestGuide keeps the table of the guide.
func TestGuide(t *testing.T) {
	t.Parallel()
	page := filepath.Join(root, "docs", "guides", "rights.md")
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin: go test ./e2e/operator/rights -update -->\n", "<!-- end -->"
	head, rest, _ := strings.Cut(string(content), begin)
	_, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no place for the table", page)
	}
	known, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	want := head + begin + table(known) + end + tail
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(content)); diff != "" {
		t.Errorf("run 'go test ./e2e/operator/rights -update':\n%s", diff)
	}
}

// options says by which values the options of the chart are switched on.
var options = map[string]string{
	"operator":           "always",
	"leader-election":    "`leaderElection.enabled`",
	"registry":           "no `externalRegistry.url`",
	"token-auth":         "`registry.tokenAuth.enabled`",
	"external-registry":  "`externalRegistry.url`",
	"external-artifacts": "`externalArtifacts.enabled`",
	"workload-identity":  "`security.objectLevelWorkloadIdentity`",
	"secrets-watch":      "`rbac.secrets.watch`",
}

// table returns what every feature and option needs.
func table(known parts) string {
	var text strings.Builder
	text.WriteString("\n| for | where | may | what |\n|---|---|---|---|\n")
	names := known.features()
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		what, ok := options[name]
		if !ok {
			what = "`features." + name + "`"
		}
		for _, row := range append(rows("watched", known[name].watched), rows("own", known[name].own)...) {
			fmt.Fprintf(&text, "| %s | %s |\n", what, row)
			what = ""
		}
	}
	return text.String() + "\n"
}

// rows are the lines of a table about some rules: one for the same verbs.
func rows(where string, rules []rbacv1.PolicyRule) []string {
	byVerbs := map[string][]string{}
	for _, rule := range rulesOf(Expand("", rules)) {
		where, what := where, "`"+rule.Resources[0]+"`"
		if group := rule.APIGroups[0]; group != "" && group != "delivery.ocm.software" {
			what = "`" + rule.Resources[0] + "." + group + "`"
		}
		if slices.Contains(clusterGroups, rule.APIGroups[0]) {
			where = "cluster"
		}
		if len(rule.ResourceNames) > 0 {
			what += " `" + rule.ResourceNames[0] + "`"
		}
		verbs := strings.Join(rule.Verbs, ", ")
		if left := slices.DeleteFunc(slices.Clone(rule.Verbs), func(verb string) bool { return verb == "get" || verb == "list" || verb == "watch" }); len(left) == len(rule.Verbs)-3 {
			verbs = strings.Join(append([]string{"R"}, left...), ", ")
		}
		key := where + " | " + verbs
		byVerbs[key] = append(byVerbs[key], what)
	}
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(byVerbs)) {
		lines = append(lines, key+" | "+strings.Join(byVerbs[key], ", "))
	}
	return lines
}
