package chart_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

const (
	// release is the name under which the operator is installed, and so that of its objects.
	release = "ocm-operator"
	// home is the namespace of the operator.
	home = "ocm-system"
	// fluxHome is the namespace of Flux's controllers.
	fluxHome = "flux-system"
)

// helm is the command, with a home of its own.
type helm struct{ path, dir, kubeconfig string }

// run runs it in a namespace and returns what it has printed.
func (h helm) run(ctx context.Context, namespace string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, h.path, append([]string{"--kubeconfig", h.kubeconfig, "--namespace", namespace}, args...)...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+h.dir, "HELM_CONFIG_HOME="+h.dir, "HELM_DATA_HOME="+h.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// metadata is what Chart.yaml says.
type metadata struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
}

func readMetadata(content []byte) (*metadata, error) {
	m := &metadata{}
	if err := yaml.Unmarshal(content, m); err != nil {
		return nil, fmt.Errorf("read Chart.yaml: %w", err)
	}
	if m.Name != "ocm-operator" || m.Version == "" || m.AppVersion == "" {
		return nil, fmt.Errorf("Chart.yaml has name %q, version %q and appVersion %q", m.Name, m.Version, m.AppVersion)
	}
	return m, nil
}

// readCharts finds out about the chart of now and the one of before.
func (s *suite) readCharts(ctx context.Context) error {
	content, err := os.ReadFile(filepath.Join(s.path(), "Chart.yaml"))
	if err != nil {
		return err
	}
	if s.chart, err = readMetadata(content); err != nil {
		return err
	}
	found, err := filepath.Glob("testdata/ocm-operator-*.tgz")
	if err != nil || len(found) != 1 {
		return fmt.Errorf("want one package in testdata, as hack/previous-chart.sh writes it: %v: %w", found, err)
	}
	s.before = found[0]
	out, err := s.helm.run(ctx, home, "show", "chart", s.before)
	if err != nil {
		return err
	}
	s.previous, err = readMetadata([]byte(out))
	return err
}

// fluxChart copies the chart of Flux's controllers and puts their custom resource definitions into it.
func fluxChart(dir string, definitions []string) (string, error) {
	chart := filepath.Join(dir, "flux")
	if err := os.CopyFS(chart, os.DirFS("flux")); err != nil {
		return "", fmt.Errorf("copy the chart of Flux: %w", err)
	}
	if err := os.Mkdir(filepath.Join(chart, "crds"), 0o700); err != nil {
		return "", err
	}
	var errs []error
	for _, file := range definitions {
		content, err := os.ReadFile(file)
		errs = append(errs, err, os.WriteFile(filepath.Join(chart, "crds", filepath.Base(file)), content, 0o600))
	}
	return chart, errors.Join(errs...)
}
