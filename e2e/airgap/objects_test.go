package airgap_test

import (
	"os"
	"strings"
	"testing"
)

// What is written in the guide for what every user has another one of.
const (
	theirSource   = "registry.example.com/acme"
	theirRegistry = "ocm-operator.ocm-system.svc.cluster.local:5000"
)

// guide returns an object of the guide, by the name that is its first line, with pairs of texts replaced. Each must be there: a guide
// that was changed must not leave its test behind.
func guide(t *testing.T, name string, replace ...string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/guides/airgap.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), "```yaml\n# "+name+"\n")
	text, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("the guide has no %s", name)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%q is not in %s:\n%s", replace[i], name, text)
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

// delivery deploys what a ComponentVersion has.
const delivery = `
apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata:
  name: manifests
spec:
  interval: 10m0s
  sourceRef:
    kind: ComponentVersion
    name: shop
    resourceRef:
      name: manifests
---
apiVersion: delivery.ocm.software/v1alpha1
kind: Localization
metadata:
  name: manifests
spec:
  interval: 10m0s
  sourceRef:
    kind: Resource
    name: manifests
  configRef:
    kind: ComponentVersion
    name: shop
    resourceRef:
      name: config
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata:
  name: shop
spec:
  interval: 10m0s
  sourceRef:
    kind: Localization
    name: manifests
  kustomizationTemplate:
    interval: 10m0s
    path: ./
    prune: true
    targetNamespace: default
`
