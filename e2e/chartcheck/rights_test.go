package chartcheck

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// TestRights holds what must be true of the permissions whatever the values are: nothing is granted by a wildcard, no Secret is
// listed unless that is asked for, and the operator may read the Secrets that its arguments name.
func TestRights(t *testing.T) {
	t.Parallel()
	for name, file := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := mustRender(t, "--values", file)
			var rules []rbacv1.PolicyRule
			watched := false
			for _, obj := range objects {
				if strings.HasSuffix(obj.GetKind(), "Role") {
					role := &rbacv1.ClusterRole{}
					if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, role); err != nil {
						t.Fatalf("%s: %v", describe(obj), err)
					}
					rules = append(rules, role.Rules...)
				}
				watched = watched || slices.Contains(arguments(t, obj), "--watch-secrets")
			}
			for _, rule := range rules {
				checkRule(t, rule, watched)
			}
			for _, obj := range objects {
				for _, arg := range arguments(t, obj) {
					flag, secret, _ := strings.Cut(arg, "=")
					if strings.HasSuffix(flag, "-secret") && !readable(rules, secret) {
						t.Errorf("%s, and no rule lets the operator read that Secret", arg)
					}
				}
			}
		})
	}
}

func checkRule(t *testing.T, rule rbacv1.PolicyRule, watched bool) {
	t.Helper()
	for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames, rule.NonResourceURLs} {
		for _, word := range words {
			if strings.Contains(word, "*") || strings.HasPrefix(word, "--") {
				t.Errorf("a rule has %q: %v", word, rule)
			}
		}
	}
	if slices.Contains(rule.Resources, "secrets") && !watched {
		for _, verb := range []string{"list", "watch", "deletecollection"} {
			if slices.Contains(rule.Verbs, verb) {
				t.Errorf("a rule lets the operator %s Secrets: %v", verb, rule)
			}
		}
	}
}

func readable(rules []rbacv1.PolicyRule, secret string) bool {
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		return slices.Contains(rule.Resources, "secrets") && slices.Contains(rule.Verbs, "get") && slices.Contains(rule.ResourceNames, secret)
	})
}

// arguments returns those of the operator, if the object is what runs it.
func arguments(t *testing.T, obj *unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(obj.Object, "spec", "template", "spec", "containers")
	if err != nil {
		t.Fatalf("%s: %v", describe(obj), err)
	}
	if len(containers) == 0 {
		return nil
	}
	operator, ok := containers[0].(map[string]any)
	if !ok {
		t.Fatalf("%s: its first container is %v", describe(obj), containers[0])
	}
	var found []string
	for _, arg := range operator["args"].([]any) {
		found = append(found, fmt.Sprint(arg))
	}
	return found
}

// TestNothingIsMounted holds that nobody but the operator gets a token of the API server.
func TestNothingIsMounted(t *testing.T) {
	t.Parallel()
	pods := 0
	for _, obj := range mustRender(t) {
		if obj.GetKind() != "Pod" {
			continue
		}
		pods++
		automount, found, err := unstructured.NestedBool(obj.Object, "spec", "automountServiceAccountToken")
		if err != nil || !found || automount {
			t.Errorf("%s mounts a token (%v)", describe(obj), err)
		}
	}
	if pods == 0 {
		t.Error("there is no pod beside the operator, so nothing was looked at")
	}
}
