package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	installer "github.com/ocm-operator/ocm-operator/e2e/operator"
)

const monitoringFiles = "charts/ocm-operator/files/monitoring/"

// TestMetrics runs the operator and compares what it registers with the page about metrics, the alerts and the dashboard.
func TestMetrics(t *testing.T) {
	registered := registeredMetrics(t)
	t.Run("page", func(t *testing.T) { pageOfMetrics(t, registered) })
	queries := append(alerts(t), panels(t)...)
	for _, q := range queries {
		t.Run(q.name, func(t *testing.T) { namesMetrics(t, q, registered) })
	}
	t.Run("runbook", func(t *testing.T) { runbook(t, queries) })
	t.Run("promtool", func(t *testing.T) { promtool(t, queries) })
}

// registeredMetrics are the labels of every metric of the running operator, also of those that have no value yet.
func registeredMetrics(t *testing.T) map[string][]string {
	t.Helper()
	server := clustertest.Start(t, cluster.Options{})
	if err := installer.Install(t.Context(), server.Config()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", server.Kubeconfig())
	health := address(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{
			"--runtime-namespace=" + installer.Namespace, "--registry-dir=" + t.TempDir(), "--registry-listen=127.0.0.1:0", "--registry-address=127.0.0.1:5000",
			"--metrics-addr=0", "--health-addr=" + health, "--log-level=error",
		}, &bytes.Buffer{})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	awaitReady(t, health, done)
	registry, ok := metrics.Registry.(*prometheus.Registry)
	if !ok {
		t.Fatalf("the registry is a %T, which does not say what is registered", metrics.Registry)
	}
	descriptions := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descriptions)
		close(descriptions)
	}()
	described := regexp.MustCompile(`fqName: "([^"]*)".*constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
	fixed := regexp.MustCompile(`([a-z_]+)="`)
	all := map[string][]string{}
	for d := range descriptions {
		found := described.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("can't read %s", d)
		}
		all[found[1]] = strings.FieldsFunc(found[3], func(r rune) bool { return r == ',' || r == ' ' })
		for _, label := range fixed.FindAllStringSubmatch(found[2], -1) {
			all[found[1]] = append(all[found[1]], label[1])
		}
	}
	return all
}

func address(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func awaitReady(t *testing.T, health string, done <-chan error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+health+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-done:
			t.Fatalf("run ended: %v", err)
		case <-ctx.Done():
			t.Fatal("the operator is not ready")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pageOfMetrics wants docs/metrics.md to list the metrics of the operator, and no others.
func pageOfMetrics(t *testing.T, registered map[string][]string) {
	t.Helper()
	page := readFile(t, "docs/metrics.md")
	listed := map[string]bool{}
	for line := range strings.SplitSeq(page, "\n") {
		if cell := strings.Split(line, "|"); len(cell) > 2 {
			for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell[1], -1) {
				listed[name[1]] = true
				if _, ok := registered[name[1]]; !ok && !conditional[name[1]] {
					t.Errorf("docs/metrics.md lists %s, which the operator doesn't have", name[1])
				}
			}
		}
	}
	for name := range registered {
		if strings.HasPrefix(name, "ocm_") && !listed[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
}

// conditional are the metrics of a registry that is not embedded.
var conditional = map[string]bool{"ocm_snapshot_registry_requests_total": true, "ocm_snapshot_registry_request_duration_seconds": true}

// query is an expression that is evaluated by Prometheus.
type query struct{ name, expression string }

// alerts are the expressions of the alerts.
func alerts(t *testing.T) []query {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(readFile(t, monitoringFiles+"rules.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	var all []query
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			all = append(all, query{rule.Alert, strings.ReplaceAll(rule.Expr, "SELECTOR", `job="system/operator"`)})
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no alerts")
	}
	return all
}

// panels are the expressions of the dashboard.
func panels(t *testing.T) []query {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Type        string `json:"type"`
			Title       string `json:"title"`
			Description string `json:"description"`
			Targets     []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(readFile(t, monitoringFiles+"dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []query
	for _, panel := range dashboard.Panels {
		if panel.Type == "row" {
			continue
		}
		if panel.Title == "" || panel.Description == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %q lacks a title, a description or a query", panel.Title)
		}
		for _, target := range panel.Targets {
			expression := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*").Replace(target.Expr)
			all = append(all, query{panel.Title, expression})
		}
	}
	if len(all) == 0 {
		t.Fatal("there are no panels")
	}
	return all
}

// Labels that Prometheus adds to whatever it has scraped, and to the buckets of a histogram. Those of a pod are not among them: only a
// monitor adds them, and what is there without one has to be told apart, too.
var added = []string{"job", "instance", "le"}

var (
	selector = regexp.MustCompile(`([a-z_]+)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouping = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// namesMetrics wants an expression to name metrics and labels that there are.
func namesMetrics(t *testing.T, q query, registered map[string][]string) {
	t.Helper()
	found := selector.FindAllStringSubmatch(q.expression, -1)
	if len(found) == 0 {
		t.Fatalf("%s names no metric with a selector", q.expression)
	}
	var labels []string
	for _, f := range found {
		of, ok := registered[f[1]]
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if base, cut := strings.CutSuffix(f[1], suffix); cut && !ok {
				of, ok = registered[base]
			}
		}
		if !ok {
			t.Errorf("there is no metric %s (in %s)", f[1], q.expression)
		}
		of = append(slices.Clone(of), added...)
		labels = append(labels, of...)
		for _, m := range matcher.FindAllStringSubmatch(f[2], -1) {
			if !slices.Contains(of, m[1]) {
				t.Errorf("metric %s has no label %s (in %s)", f[1], m[1], q.expression)
			}
		}
	}
	for _, by := range grouping.FindAllStringSubmatch(q.expression, -1) {
		for label := range strings.SplitSeq(by[1], ", ") {
			if !slices.Contains(labels, label) {
				t.Errorf("no metric of %s has the label %s", q.expression, label)
			}
		}
	}
}

// runbook wants the guide to have a chapter for every alert.
func runbook(t *testing.T, queries []query) {
	t.Helper()
	page := readFile(t, "docs/guides/monitoring.md")
	for _, q := range queries {
		if strings.HasPrefix(q.name, "OCM") && !strings.Contains(page, "\n### "+q.name+"\n") {
			t.Errorf("docs/guides/monitoring.md has no chapter %s", q.name)
		}
	}
}

// promtool lets the parser of Prometheus read the expressions, where it is installed; elsewhere their brackets have to match.
func promtool(t *testing.T, queries []query) {
	t.Helper()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for _, q := range queries {
		rules = append(rules, rule{Record: "checked", Expr: q.expression})
		for _, pair := range []string{"()", "{}", "[]"} {
			if strings.Count(q.expression, pair[:1]) != strings.Count(q.expression, pair[1:]) {
				t.Errorf("%s: brackets %s don't match in %s", q.name, pair, q.expression)
			}
		}
	}
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed")
		return
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "checked", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program, "check", "rules", "--lint=none", file).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func readFile(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
