package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const rendered = `---
# Source: chart/templates/a.yaml
apiVersion: v1
kind: ServiceAccount
metadata:
  name: a
  labels:
    app.kubernetes.io/managed-by: Helm
    helm.sh/chart: chart-1
---
# Source: chart/templates/crd.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: b
  annotations:
    helm.sh/resource-policy: keep
    other: x
  labels:
    app.kubernetes.io/managed-by: somebody
spec:
  text: |-
    helm.sh/chart: is text here
---
# Source: chart/templates/nothing.yaml
---
apiVersion: v1
kind: Pod
metadata:
  name: c
  annotations:
    helm.sh/hook: test
`

const want = `# title, rendered from its chart with the defaults: kubectl apply --server-side -f install.yaml
# To choose other values, install the chart.
apiVersion: v1
kind: Namespace
metadata:
  name: ns
  labels:
    app.kubernetes.io/name: ocm-operator
    app.kubernetes.io/part-of: ocm-operator
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: b
  annotations:
    other: x
  labels:
    app.kubernetes.io/managed-by: somebody
spec:
  text: |-
    helm.sh/chart: is text here
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: a
`

func TestConvert(t *testing.T) {
	t.Parallel()
	got, err := convert(strings.NewReader(rendered), "ns", "title")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"":             "helm has rendered nothing",
		"kind: X\n":    "line 1: this is no object of Kubernetes",
		"Error: [oops": "read what helm has rendered",
	} {
		if _, err := convert(strings.NewReader(input), "ns", "title"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v for %q, want %q in it", err, input, want)
		}
	}
}
