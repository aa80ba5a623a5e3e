package abuse_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
)

// Lines of specs that are as they should be.
const (
	interval  = "interval: 10m0s\n"
	name      = "component: acme.org/app\n"
	semver    = "version: {semver: '>=1.0.0'}\n"
	url       = "repository: {url: ghcr.io/acme}\n"
	good      = interval + name + semver + url
	manifests = "sourceRef: {kind: Resource, name: manifests}\n"
	rules     = "configRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}\n"
	mutation  = interval + manifests + rules
	fromMap   = "{configMapSource: {sourceRef: {name: site}, key: values}}"
)

// refused are specs that the API server does not take, as kubectl sends them, and what it says.
var refused = map[string]struct{ kind, spec, message string }{
	"no-spec":                  {"ComponentVersion", "", "spec: Required value"},
	"no-interval":              {"ComponentVersion", name + semver + url, "spec.interval: Required value"},
	"interval-number":          {"ComponentVersion", "interval: 10\n" + name + semver + url, "spec.interval"},
	"interval-text-number":     {"ComponentVersion", "interval: '10'\n" + name + semver + url, "write a number with a unit"},
	"interval-zero":            {"ComponentVersion", "interval: 0s\n" + name + semver + url, "use suspend to stop reconciling"},
	"interval-negative":        {"ComponentVersion", "interval: -1m\n" + name + semver + url, "for example 10m0s"},
	"interval-days":            {"ComponentVersion", "interval: 1d\n" + name + semver + url, "write a number with a unit"},
	"interval-words":           {"ComponentVersion", "interval: ten minutes\n" + name + semver + url, "write a number with a unit"},
	"interval-null":            {"ComponentVersion", "interval: null\n" + name + semver + url, "spec.interval"},
	"interval-overflow":        {"ComponentVersion", "interval: 99999999999999h\n" + name + semver + url, "spec.interval"},
	"retry-zero":               {"ComponentVersion", good + "retryInterval: 0s", "leave it out to retry after interval"},
	"timeout-negative":         {"ComponentVersion", good + "timeout: -5s", "leave it out for the default of 5m0s"},
	"suspend-text":             {"ComponentVersion", good + "suspend: 'yes'", "spec.suspend"},
	"no-component":             {"ComponentVersion", interval + semver + url, "spec.component: Required value"},
	"component-empty":          {"ComponentVersion", interval + "component: ''\n" + semver + url, "spec.component"},
	"component-list":           {"ComponentVersion", interval + "component: [acme.org/app]\n" + semver + url, "spec.component"},
	"no-version":               {"ComponentVersion", interval + name + url, "spec.version: Required value"},
	"version-text":             {"ComponentVersion", interval + name + "version: 1.0.0\n" + url, "spec.version"},
	"version-number":           {"ComponentVersion", interval + name + "version: {semver: 1.0}\n" + url, "spec.version.semver"},
	"version-empty":            {"ComponentVersion", interval + name + "version: {}\n" + url, `"*" takes any version`},
	"version-blank":            {"ComponentVersion", interval + name + "version: {semver: ' '}\n" + url, "version.semver is empty"},
	"version-misspelt":         {"ComponentVersion", interval + name + "version: {semVer: 1.0.0}\n" + url, `unknown field "spec.version.semVer"`},
	"no-repository":            {"ComponentVersion", interval + name + semver, "spec.repository: Required value"},
	"repository-text":          {"ComponentVersion", interval + name + semver + "repository: ghcr.io/acme", "spec.repository"},
	"repository-empty":         {"ComponentVersion", interval + name + semver + "repository: {}", "spec.repository.url: Required value"},
	"repository-url-empty":     {"ComponentVersion", interval + name + semver + "repository: {url: ''}", "spec.repository.url"},
	"secret-text":              {"ComponentVersion", interval + name + semver + "repository: {url: ghcr.io/acme, secretRef: login}", "spec.repository.secretRef"},
	"secret-unnamed":           {"ComponentVersion", interval + name + semver + "repository: {url: ghcr.io/acme, secretRef: {}}", "spec.repository.secretRef.name: Required value"},
	"destination-no-url":       {"ComponentVersion", good + "destination: {secretRef: {name: a}}", "spec.destination.url: Required value"},
	"verify-object":            {"ComponentVersion", good + "verify: {name: ops, publicKey: {value: YQ==}}", "spec.verify"},
	"verify-unnamed":           {"ComponentVersion", good + "verify: [{publicKey: {value: YQ==}}]", "spec.verify[0].name: Required value"},
	"verify-no-key":            {"ComponentVersion", good + "verify: [{name: ops}]", "is checked with a publicKey or with a certificate: set one of the two"},
	"verify-two-ways":          {"ComponentVersion", good + "verify: [{name: ops, publicKey: {value: YQ==}, certificate: {rootsSecretRef: {name: a}, subject: CN=a}}]", "is checked with a publicKey or with a certificate: set one of the two"},
	"verify-no-subject":        {"ComponentVersion", good + "verify: [{name: ops, certificate: {rootsSecretRef: {name: a}}}]", "spec.verify[0].certificate.subject: Required value"},
	"downgrade-policy":         {"ComponentVersion", interval + name + url + "version: {semver: 1.0.0, downgradePolicy: Never}\n", "spec.version.downgradePolicy: Unsupported value"},
	"verify-empty-key":         {"ComponentVersion", good + "verify: [{name: ops, publicKey: {value: ''}}]", "set secretRef.name to a Secret that holds the key"},
	"expand-text":              {"ComponentVersion", good + "references: {expand: all}", "spec.references.expand"},
	"references-list":          {"ComponentVersion", good + "references: [backend]", "spec.references"},
	"field-misspelt":           {"ComponentVersion", good + "serviceAccount: reader", `unknown field "spec.serviceAccount"`},
	"field-of-another-kind":    {"ComponentVersion", good + "sourceRef: {name: a}", `unknown field "spec.sourceRef"`},
	"resource-no-source":       {"Resource", interval, "spec.sourceRef: Required value"},
	"resource-source-empty":    {"Resource", interval + "sourceRef: {}", "spec.sourceRef"},
	"resource-no-ref":          {"Resource", interval + "sourceRef: {name: app}", "sourceRef.resourceRef is missing: name the resource"},
	"resource-ref-text":        {"Resource", interval + "sourceRef: {name: app, resourceRef: manifests}", "spec.sourceRef.resourceRef"},
	"resource-ref-unnamed":     {"Resource", interval + "sourceRef: {name: app, resourceRef: {}}", "spec.sourceRef.resourceRef.name: Required value"},
	"resource-ref-version":     {"Resource", interval + "sourceRef: {name: app, resourceRef: {name: a, version: 1}}", "spec.sourceRef.resourceRef.version"},
	"resource-path-text":       {"Resource", interval + "sourceRef: {name: app, resourceRef: {name: a, referencePath: backend}}", "spec.sourceRef.resourceRef.referencePath"},
	"resource-path-names":      {"Resource", interval + "sourceRef: {name: app, resourceRef: {name: a, referencePath: [backend]}}", "spec.sourceRef.resourceRef.referencePath[0]"},
	"resource-identity-number": {"Resource", interval + "sourceRef: {name: app, resourceRef: {name: a, extraIdentity: {bits: 64}}}", "spec.sourceRef.resourceRef.extraIdentity.bits"},
	"localization-no-source":   {"Localization", interval + rules, "spec.sourceRef: Required value"},
	"localization-no-kind":     {"Localization", interval + "sourceRef: {name: manifests}\n" + rules, "sourceRef.kind is missing: set it to Resource"},
	"localization-of-itself":   {"Localization", interval + "sourceRef: {kind: Localization, name: localization-of-itself}\n" + rules, "names the Localization itself: name the object that is to be changed"},
	"configuration-of-itself":  {"Configuration", interval + "sourceRef: {kind: Configuration, name: configuration-of-itself}\n" + rules, "names the Configuration itself"},
	"localization-nothing":     {"Localization", interval + manifests, "there is nothing to do: set configRef"},
	"config-no-kind":           {"Configuration", interval + manifests + "configRef: {name: app}", "configRef.kind is missing: set it to ComponentVersion"},
	"config-unnamed":           {"Configuration", interval + manifests + "configRef: {kind: ComponentVersion}", "spec.configRef.name: Required value"},
	"values-text":              {"Configuration", mutation + "values: 'message: hello'", "spec.values"},
	"values-list":              {"Configuration", mutation + "values: [hello]", "spec.values"},
	"values-twice":             {"Configuration", mutation + "values: {a: 1}\nvaluesFrom: " + fromMap, "exclude each other: keep one of them"},
	"values-thrice":            {"Configuration", mutation + "values: {a: 1}\nvaluesFrom: " + fromMap + "\nvaluesSources: [" + fromMap + "]", "exclude each other"},
	"values-from-list":         {"Configuration", mutation + "valuesFrom: [" + fromMap + "]", "spec.valuesFrom"},
	"values-from-nowhere":      {"Configuration", mutation + "valuesFrom: {}", "set one of fluxSource"},
	"values-sources-empty":     {"Configuration", mutation + "valuesSources: []", "spec.valuesSources"},
	"values-sources-nowhere":   {"Configuration", mutation + "valuesSources: [{}]", "set one of fluxSource"},
	"values-entry-of-two": {
		"Configuration", mutation + "valuesSources: [{configMapSource: {sourceRef: {name: a}, key: b}, secretSource: {sourceRef: {name: a}, key: b}}]",
		"give each its own entry",
	},
	"configmap-no-key":      {"Configuration", mutation + "valuesFrom: {configMapSource: {sourceRef: {name: site}}}", "spec.valuesFrom.configMapSource.key: Required value"},
	"configmap-unnamed":     {"Configuration", mutation + "valuesFrom: {configMapSource: {sourceRef: {}, key: a}}", "spec.valuesFrom.configMapSource.sourceRef.name: Required value"},
	"configmap-namespace":   {"Configuration", mutation + "valuesFrom: {configMapSource: {sourceRef: {name: a, namespace: b}, key: a}}", `unknown field "spec.valuesFrom.configMapSource.sourceRef.namespace"`},
	"secret-empty-key":      {"Configuration", mutation + "valuesFrom: {secretSource: {sourceRef: {name: site}, key: ''}}", "spec.valuesFrom.secretSource.key"},
	"flux-kustomization":    {"Configuration", mutation + "valuesFrom: {fluxSource: {sourceRef: {kind: Kustomization, name: a}, path: b}}", "must be one of GitRepository"},
	"flux-no-path":          {"Configuration", mutation + "valuesFrom: {fluxSource: {sourceRef: {kind: GitRepository, name: a}}}", "spec.valuesFrom.fluxSource.path: Required value"},
	"flux-no-kind":          {"Configuration", mutation + "valuesFrom: {fluxSource: {sourceRef: {name: a}, path: b}}", "spec.valuesFrom.fluxSource.sourceRef.kind: Required value"},
	"values-ref-no-kind":    {"Configuration", mutation + "valuesFrom: {sourceRef: {name: a}}", "sourceRef.kind is missing: set it to ComponentVersion"},
	"patch-no-target":       {"Configuration", mutation + "patchStrategicMerge: {source: {sourceRef: {kind: GitRepository, name: a}, path: b}}", "spec.patchStrategicMerge.target: Required value"},
	"patch-no-path":         {"Configuration", mutation + "patchStrategicMerge: {source: {sourceRef: {kind: GitRepository, name: a}}, target: {path: b}}", "spec.patchStrategicMerge.source.path: Required value"},
	"deployer-no-source":    {"FluxDeployer", interval, "spec.sourceRef: Required value"},
	"deployer-no-kind":      {"FluxDeployer", interval + "sourceRef: {name: a}", "sourceRef.kind is missing: set it to Resource, Localization or Configuration"},
	"deployer-both":         {"FluxDeployer", interval + manifests + "kustomizationTemplate: {}\nhelmReleaseTemplate: {}", "use a second FluxDeployer for the other"},
	"deployer-template":     {"FluxDeployer", interval + manifests + "kustomizationTemplate: ./", "spec.kustomizationTemplate"},
	"deployer-template-ls":  {"FluxDeployer", interval + manifests + "helmReleaseTemplate: [{}]", "spec.helmReleaseTemplate"},
	"deployer-wait":         {"FluxDeployer", interval + manifests + "waitForReady: 'true'", "spec.waitForReady"},
	"deployer-misspelt":     {"FluxDeployer", interval + manifests + "kustomisationTemplate: {}", `unknown field "spec.kustomisationTemplate"`},
	"snapshot-no-digest":    {"Snapshot", "identity: {}\ntag: a", "spec.digest: Required value"},
	"snapshot-identity":     {"Snapshot", "identity: [a]\ndigest: a\ntag: a", "spec.identity"},
	"descriptor-no-version": {"ComponentDescriptor", "resources: []", "spec.version: Required value"},
	"descriptor-no-access": {
		"ComponentDescriptor", "version: 1.0.0\nresources: [{name: a, version: 1.0.0, type: blob}]", "spec.resources[0].access: Required value",
	},
}

// TestRefused writes what nobody should, as kubectl does.
func TestRefused(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	kubectl := client.WithFieldValidation(e.Client, metav1.FieldValidationStrict)
	for name, tt := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var spec map[string]any
			if err := yaml.Unmarshal([]byte(tt.spec), &spec); err != nil {
				t.Fatal(err)
			}
			obj := &unstructured.Unstructured{Object: map[string]any{}}
			if spec != nil {
				obj.Object["spec"] = spec
			}
			obj.SetGroupVersionKind(e2etest.GVK(tt.kind))
			obj.SetNamespace(e.Namespace)
			obj.SetName(name)
			err := kubectl.Create(t.Context(), obj)
			if err == nil {
				t.Fatal("it was accepted")
			}
			t.Log(err)
			says(t, err.Error(), tt.message)
		})
	}
}
