package rbac_test

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
)

// startTimeout bounds the start of one operator.
const startTimeout = 2 * time.Minute

// TestEverySetOfFeaturesStarts starts the operator with every set of features that it accepts, each with the rights of these
// features alone. It has to get ready without being refused anything.
func TestEverySetOfFeaturesStarts(t *testing.T) {
	c := clustertest.Shared(t)
	if err := operator.Install(t.Context(), c.Config()); err != nil {
		t.Fatal(err)
	}
	binary := build(t)
	sets := setsOf(requirements(t, binary))
	begin := time.Now()
	for _, set := range sets {
		t.Run(set.String(), func(t *testing.T) {
			startsAlone(t, operator.Options{Binary: binary, Kubeconfig: c.Kubeconfig(), Dir: t.TempDir(), Args: []string{set.flag()}})
		})
	}
	t.Logf("%d sets of features started one after the other in %s", len(sets), time.Since(begin).Round(time.Second))
}

// startsAlone starts an operator, and fails if it was refused anything until it was ready.
func startsAlone(t *testing.T, o operator.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	op, err := operator.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := op.Metrics(ctx)
	if err != nil {
		t.Error(err)
	}
	if n := metrics.Sum("rest_client_requests_total", `code="403"`); n > 0 {
		t.Errorf("the API server has refused %v requests", n)
	}
	if err := op.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// feature is a line of the operator's help about a feature.
var feature = regexp.MustCompile(`(?m)^  ([A-Z]\w+)=\w+ \([^)]*\)(?:, requires (.*?))?(?:, works with .*)?$`)

// requirements returns the operator's features, with those that each needs.
func requirements(t *testing.T, binary string) map[string][]string {
	t.Helper()
	help, err := exec.CommandContext(t.Context(), binary, "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("ask the operator for help: %v\n%s", err, help)
	}
	_, list, _ := strings.Cut(string(help), "\nFeatures:\n")
	found := map[string][]string{}
	for _, line := range feature.FindAllStringSubmatch(list, -1) {
		found[line[1]] = strings.FieldsFunc(line[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(found) != strings.Count(strings.TrimSpace(list), "\n")+1 {
		t.Fatalf("the operator's help about features reads differently, found %v in:\n%s", found, list)
	}
	return found
}

// set tells of all features which are on.
type set map[string]bool

// String names those that are on.
func (s set) String() string {
	var on []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if s[name] {
			on = append(on, name)
		}
	}
	if len(on) == 0 {
		return "none"
	}
	return strings.Join(on, "+")
}

func (s set) flag() string {
	var gates []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		gates = append(gates, fmt.Sprintf("%s=%t", name, s[name]))
	}
	return "--features=" + strings.Join(gates, ",")
}

// only returns the set of some features with all that they need, and no others.
func only(needs map[string][]string, names ...string) set {
	s := set{}
	for name := range needs {
		s[name] = false
	}
	for len(names) > 0 {
		s[names[0]] = true
		names = slices.Concat(names[1:], needs[names[0]])
	}
	return s
}

// setsOf returns every set of features in which each has what it needs.
func setsOf(needs map[string][]string) []set {
	names := slices.Sorted(maps.Keys(needs))
	var sets []set
	for bits := range 1 << len(names) {
		s := set{}
		for i, name := range names {
			s[name] = bits>>i&1 == 1
		}
		complete := true
		for _, name := range names {
			complete = complete && (!s[name] || !slices.ContainsFunc(needs[name], func(needed string) bool { return !s[needed] }))
		}
		if complete {
			sets = append(sets, s)
		}
	}
	return sets
}
