package chartcheck

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
)

// alertCases says which series of metrics an alert has to answer to.
const alertCases = "testdata/alerts/cases.yaml"

// TestAlerts lets Prometheus evaluate the alerts as they are installed.
func TestAlerts(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile(alertCases)
	if err != nil {
		t.Fatal(err)
	}
	groups, names := renderedAlerts(t)
	everyAlertHasCases(t, cases, names)
	promtool, err := openCache(t).Promtool(t.Context())
	clustertest.NeedPackages(t, err)
	dir := t.TempDir()
	rules, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"rules.yaml": rules, "cases.yaml": cases} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := program(t, promtool, "test", "rules", filepath.Join(dir, "cases.yaml")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// renderedAlerts returns the groups of the chart's alerts, and the names of the alerts. They keep the annotation that the cases
// want; the others are prose and addresses.
func renderedAlerts(t *testing.T) (groups []any, names []string) {
	t.Helper()
	for _, obj := range mustRender(t, "--set", "monitoring.prometheusRule.enabled=true,monitoring.serviceMonitor.enabled=true") {
		if obj.GetKind() != "PrometheusRule" {
			continue
		}
		var err error
		if groups, _, err = unstructured.NestedSlice(obj.Object, "spec", "groups"); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range groups {
		rules, ok := group.(map[string]any)["rules"].([]any)
		if !ok {
			t.Fatalf("a group without rules: %v", group)
		}
		for _, entry := range rules {
			rule := entry.(map[string]any)
			names = append(names, rule["alert"].(string))
			for _, prose := range []string{"description", "runbook_url"} {
				unstructured.RemoveNestedField(rule, "annotations", prose)
			}
		}
	}
	return groups, names
}

// everyAlertHasCases wants for each alert one case in which it fires and one in which it is silent throughout.
func everyAlertHasCases(t *testing.T, cases []byte, names []string) {
	t.Helper()
	var file struct {
		Tests []struct {
			Looks []struct {
				Alert string `json:"alertname"`
				Want  []any  `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	if err := yaml.Unmarshal(cases, &file); err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		inThis := map[string]bool{}
		for _, look := range test.Looks {
			inThis[look.Alert] = inThis[look.Alert] || len(look.Want) > 0
		}
		for alert, fired := range inThis {
			fires[alert] = fires[alert] || fired
			silent[alert] = silent[alert] || !fired
		}
	}
	if len(names) == 0 {
		t.Error("the chart has no alerts")
	}
	for _, name := range names {
		if !fires[name] || !silent[name] {
			t.Errorf("%s: alert %s fires in a case: %t, and is silent in one: %t; want both", alertCases, name, fires[name], silent[name])
		}
	}
}
