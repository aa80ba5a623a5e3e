package rbac_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/binaries"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/e2e/operator/rights"
)

// TestChartGrantsWhatIsTested renders the chart with the values of every scenario, and with every feature alone, and wants the
// operator to be granted there what the tests grant to one with the same arguments: to the last verb.
func TestChartGrantsWhatIsTested(t *testing.T) {
	t.Parallel()
	root, err := operator.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "charts", "ocm-operator", "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("values of scenarios: %v, %v", files, err)
	}
	scenarios := map[string][]string{
		"everything at once": {
			"--set", "watchNamespace=team,leaderElection.enabled=true,registry.writerSecret=writer,externalArtifacts.enabled=true",
			"--set", "security.objectLevelWorkloadIdentity=true,rbac.secrets.watch=true",
		},
		"its own namespace": {"--set", "watchNamespace=" + operator.Namespace},
	}
	for _, file := range files {
		scenarios[strings.TrimSuffix(filepath.Base(file), "-values.yaml")] = []string{"--values", file}
	}
	needs := requirements(t, build(t))
	for name := range needs {
		var gates []string
		for other, on := range only(needs, name) {
			gates = append(gates, fmt.Sprintf("features.%s=%t", other, on))
		}
		scenarios[name+" alone"] = []string{"--set", strings.Join(gates, ",")}
	}
	for name, values := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args, granted := grantedByChart(t, filepath.Join(root, "charts", "ocm-operator"), values)
			wanted, err := rights.Of(root, operator.Namespace, args)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted.All(), granted); diff != "" {
				t.Errorf("the chart grants something else (+) than the tests (-):\n%s", diff)
			}
		})
	}
}

// grantedByChart renders the chart, and returns the arguments of the operator and what its ServiceAccount may do.
func grantedByChart(t *testing.T, chart string, values []string) ([]string, []rights.Right) {
	t.Helper()
	cache, err := binaries.Open(binaries.Options{Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	helm, err := cache.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), helm, append([]string{"template", "ocm-operator", chart, "--namespace", operator.Namespace}, values...)...)
	command.Env = append(command.Environ(), "HOME="+t.TempDir())
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("render the chart: %v\n%s", err, &problems)
	}
	r := rendered{rules: map[string][]rbacv1.PolicyRule{}, bound: map[string]string{}}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(out), 4096)
	for {
		obj := &unstructured.Unstructured{}
		if err := decoder.Decode(&obj.Object); errors.Is(err, io.EOF) {
			return r.args, r.granted(t)
		} else if err != nil {
			t.Fatal(err)
		}
		r.take(t, obj)
	}
}

// rendered is what a chart has that is about rights.
type rendered struct {
	args []string
	// account is the ServiceAccount of the operator.
	account string
	// rules are those of roles, and bound tells to whom, each by kind, namespace and name.
	rules map[string][]rbacv1.PolicyRule
	bound map[string]string
}

func (r *rendered) take(t *testing.T, obj *unstructured.Unstructured) {
	t.Helper()
	switch kind := obj.GetKind(); kind {
	case "Deployment", "StatefulSet":
		r.account, _, _ = unstructured.NestedString(obj.Object, "spec", "template", "spec", "serviceAccountName")
		containers, _, _ := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
		first, _ := containers[0].(map[string]any)
		r.args, _, _ = unstructured.NestedStringSlice(first, "args")
	case "Role", "ClusterRole":
		role := convert[rbacv1.ClusterRole](t, obj)
		r.rules[kind+"/"+obj.GetNamespace()+"/"+obj.GetName()] = role.Rules
	case "RoleBinding", "ClusterRoleBinding":
		binding := convert[rbacv1.ClusterRoleBinding](t, obj)
		subject := binding.Subjects[0]
		if len(binding.Subjects) != 1 || subject.Namespace != operator.Namespace {
			t.Errorf("%s %s is for %v", kind, obj.GetName(), binding.Subjects)
		}
		r.bound[binding.RoleRef.Kind+"/"+obj.GetNamespace()+"/"+binding.RoleRef.Name] = subject.Name
	}
}

// granted returns what the operator may do.
func (r *rendered) granted(t *testing.T) []rights.Right {
	t.Helper()
	var all rights.Rights
	for role, account := range r.bound {
		if account != r.account {
			continue
		}
		if len(r.rules[role]) == 0 {
			t.Errorf("%s is bound, and has no rules", role)
		}
		for _, right := range rights.Expand(strings.Split(role, "/")[1], r.rules[role]) {
			all = all.With(right)
		}
	}
	return all.All()
}

func convert[T any](t *testing.T, obj *unstructured.Unstructured) *T {
	t.Helper()
	to := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, to); err != nil {
		t.Fatal(err)
	}
	return to
}
