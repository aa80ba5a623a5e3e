package abuse_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func TestMain(m *testing.M) {
	clustertest.Main(m, cluster.Options{ControllerManager: true, Flux: true})
}

const (
	fromApp   = "sourceRef: {kind: Resource, name: app}\n"
	byRules   = "configRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}\n"
	configure = fromApp + byRules
)

// mistakes are specs that the API server takes and the operator can't use, the reason of the condition, and what it says.
// ${REPOSITORY} is one that holds acme.org/app, ${HOST} its host, and ${NAMESPACE} that of the test.
var mistakes = map[string]struct {
	kind, spec, reason string
	message            []string
}{
	"component-no-path":     {"ComponentVersion", "component: app\n" + semver + "repository: {url: ${REPOSITORY}}", "InvalidSpec", []string{"spec.component", `"app"`}},
	"component-upper-case":  {"ComponentVersion", "component: Acme.org/App\n" + semver + "repository: {url: ${REPOSITORY}}", "InvalidSpec", []string{"spec.component", "Acme.org/App"}},
	"component-traversal":   {"ComponentVersion", "component: acme.org/../../secret\n" + semver + "repository: {url: ${REPOSITORY}}", "InvalidSpec", []string{"spec.component"}},
	"component-with-tag":    {"ComponentVersion", "component: acme.org/app:1.0.0\n" + semver + "repository: {url: ${REPOSITORY}}", "InvalidSpec", []string{"spec.component"}},
	"component-unknown":     {"ComponentVersion", "component: acme.org/unknown\n" + semver + "repository: {url: ${REPOSITORY}}", "CheckVersionFailed", []string{"acme.org/unknown", "${HOST}"}},
	"semver-words":          {"ComponentVersion", name + "version: {semver: newest}\nrepository: {url: ${REPOSITORY}}", "CheckVersionFailed", []string{`"newest"`}},
	"semver-operator":       {"ComponentVersion", name + "version: {semver: '>>1.0'}\nrepository: {url: ${REPOSITORY}}", "CheckVersionFailed", []string{">>1.0"}},
	"semver-nothing":        {"ComponentVersion", name + "version: {semver: '>=9'}\nrepository: {url: ${REPOSITORY}}", "CheckVersionFailed", []string{">=9", "1.0.0"}},
	"semver-exact":          {"ComponentVersion", name + "version: {semver: 1.0.1}\nrepository: {url: ${REPOSITORY}}", "CheckVersionFailed", []string{"1.0.1", "1.0.0"}},
	"url-ftp":               {"ComponentVersion", name + semver + "repository: {url: ftp://example.com/acme}", "InvalidSpec", []string{"repository URL", `"ftp"`, "use https, oci or http"}},
	"url-no-host":           {"ComponentVersion", name + semver + "repository: {url: 'http://'}", "InvalidSpec", []string{"repository URL", "write for example ghcr.io/acme"}},
	"url-password":          {"ComponentVersion", name + semver + "repository: {url: 'https://user:hidden@example.com/acme'}", "InvalidSpec", []string{"repository URL", "put them into a Secret"}},
	"url-query":             {"ComponentVersion", name + semver + "repository: {url: 'https://example.com/acme?tag=1'}", "InvalidSpec", []string{"acme?tag=1", "must not have a query"}},
	"url-space":             {"ComponentVersion", name + semver + "repository: {url: 'example.com/a b'}", "InvalidSpec", []string{`path "a b"`, "lower-case letters"}},
	"url-unreachable":       {"ComponentVersion", name + semver + "repository: {url: 'http://127.0.0.1:1/acme'}", "CheckVersionFailed", []string{"127.0.0.1:1", "connection refused", "spec.repository.url"}},
	"url-https":             {"ComponentVersion", name + semver + "repository: {url: 'https://${HOST}/acme'}", "CheckVersionFailed", []string{"${HOST}", "write http:// in front"}},
	"secret-missing":        {"ComponentVersion", name + semver + "repository: {url: ${REPOSITORY}, secretRef: {name: none}}", "AuthenticatedContextCreationFailed", []string{"Secret ${NAMESPACE}/none does not exist: create it"}},
	"secret-empty":          {"ComponentVersion", name + semver + "repository: {url: ${REPOSITORY}, secretRef: {name: empty}}", "AuthenticatedContextCreationFailed", []string{"Secret ${NAMESPACE}/empty", "username"}},
	"secret-broken":         {"ComponentVersion", name + semver + "repository: {url: ${REPOSITORY}, secretRef: {name: broken}}", "AuthenticatedContextCreationFailed", []string{"Secret ${NAMESPACE}/broken", ".dockerconfigjson"}},
	"account-missing":       {"ComponentVersion", good2 + "serviceAccountName: nobody", "AuthenticatedContextCreationFailed", []string{"ServiceAccount ${NAMESPACE}/nobody does not exist: create it"}},
	"resource-cv-missing":   {"Resource", "sourceRef: {name: none, resourceRef: {name: manifests}}", "ComponentVersionNotFound", []string{"ComponentVersion ${NAMESPACE}/none does not exist: create it, or correct spec.sourceRef"}},
	"resource-cv-elsewhere": {"Resource", "sourceRef: {name: app, namespace: elsewhere, resourceRef: {name: manifests}}", "ComponentVersionNotFound", []string{"ComponentVersion elsewhere/app does not exist"}},
	"resource-of-snapshot":  {"Resource", "sourceRef: {kind: Snapshot, name: app, resourceRef: {name: manifests}}", "InvalidSpec", []string{"spec.sourceRef.kind", "leave the kind out"}},
	"resource-unknown":      {"Resource", "sourceRef: {name: app, resourceRef: {name: manifest}}", "GetResourceFailed", []string{"manifest", "manifests", "config"}},
	"resource-version":      {"Resource", "sourceRef: {name: app, resourceRef: {name: manifests, version: 2.0.0}}", "GetResourceFailed", []string{"2.0.0", "1.0.0"}},
	"resource-identity":     {"Resource", "sourceRef: {name: app, resourceRef: {name: manifests, extraIdentity: {arch: arm64}}}", "GetResourceFailed", []string{"arch=arm64"}},
	"resource-path":         {"Resource", "sourceRef: {name: app, resourceRef: {name: manifests, referencePath: [{name: db}]}}", "ComponentDescriptorNotFound", []string{"name=db", "there are: none"}},
	"resource-path-empty":   {"Resource", "sourceRef: {name: app, resourceRef: {name: manifests, referencePath: [{}]}}", "ComponentDescriptorNotFound", []string{"element 1 of the reference path", "write the name of a reference"}},
	"resource-image":        {"Resource", "sourceRef: {name: app, resourceRef: {name: image}}", "GetResourceFailed", []string{"image"}},
	"source-missing":        {"Localization", "sourceRef: {kind: Resource, name: none}\n" + byRules, "SourceRefNotReady", []string{"Resource ${NAMESPACE}/none does not exist: create it"}},
	"source-deployment":     {"Localization", "sourceRef: {kind: Deployment, name: app}\n" + byRules, "InvalidSpec", []string{`"Deployment"`, "use Resource, Localization"}},
	"source-itself-by-ns":   {"Localization", "sourceRef: {kind: Localization, name: source-itself-by-ns, namespace: ${NAMESPACE}}\n" + byRules, "SourceRefNotReady", []string{"Localization ${NAMESPACE}/source-itself-by-ns"}},
	"source-no-resource":    {"Localization", "sourceRef: {kind: ComponentVersion, name: app}\n" + byRules, "InvalidSpec", []string{"ComponentVersion ${NAMESPACE}/app", "resourceRef"}},
	"source-no-archive":     {"Configuration", "sourceRef: {kind: ComponentVersion, name: app, resourceRef: {name: config}}\nvalues: {message: a}\n" + byRules, "SourceReasonNotATarArchive", []string{"source"}},
	"config-missing":        {"Configuration", fromApp + "configRef: {kind: ComponentVersion, name: none, resourceRef: {name: config}}", "ConfigRefNotReady", []string{"ComponentVersion ${NAMESPACE}/none does not exist: create it"}},
	"config-no-resource":    {"Configuration", fromApp + "configRef: {kind: ComponentVersion, name: app}", "InvalidSpec", []string{"resourceRef"}},
	"config-unknown":        {"Configuration", fromApp + "configRef: {kind: ComponentVersion, name: app, resourceRef: {name: rules}}", "GetResourceFailed", []string{"rules", "config"}},
	"config-is-archive":     {"Configuration", fromApp + "configRef: {kind: ComponentVersion, name: app, resourceRef: {name: manifests}}", "InvalidConfigData", []string{"app"}},
	"config-no-rules":       {"Localization", configure, "InvalidConfigData", []string{"localization"}},
	"no-config":             {"Configuration", fromApp + "values: {message: hello}", "InvalidSpec", []string{"spec.configRef is missing"}},
	"values-unknown":        {"Configuration", configure + "values: {mesage: hello}", "InvalidValues", []string{"mesage"}},
	"values-type":           {"Configuration", configure + "values: {message: [hello]}", "InvalidValues", []string{"/message", "string"}},
	"configmap-missing":     {"Configuration", configure + "valuesFrom: {configMapSource: {sourceRef: {name: none}, key: a}}", "ValuesNotReady", []string{"ConfigMap ${NAMESPACE}/none does not exist: create it"}},
	"configmap-no-key":      {"Configuration", configure + "valuesFrom: {configMapSource: {sourceRef: {name: site}, key: none}}", "InvalidValues", []string{"ConfigMap ${NAMESPACE}/site", `"none"`}},
	"configmap-no-yaml":     {"Configuration", configure + "valuesFrom: {configMapSource: {sourceRef: {name: site}, key: broken}}", "InvalidValues", []string{"ConfigMap ${NAMESPACE}/site"}},
	"configmap-no-map":      {"Configuration", configure + "valuesFrom: {configMapSource: {sourceRef: {name: site}, key: list}}", "InvalidValues", []string{"ConfigMap ${NAMESPACE}/site"}},
	"configmap-sub-path":    {"Configuration", configure + "valuesFrom: {configMapSource: {sourceRef: {name: site}, key: good, subPath: a.b}}", "InvalidValues", []string{"ConfigMap ${NAMESPACE}/site", "a.b"}},
	"flux-missing":          {"Configuration", configure + "valuesFrom: {fluxSource: {sourceRef: {kind: GitRepository, name: none}, path: values.yaml}}", "ValuesNotReady", []string{"GitRepository ${NAMESPACE}/none"}},
	"deployer-missing":      {"FluxDeployer", "sourceRef: {kind: Configuration, name: none}", "SourceRefNotReady", []string{"Configuration ${NAMESPACE}/none does not exist: create it, or correct spec.sourceRef"}},
	"deployer-component":    {"FluxDeployer", "sourceRef: {kind: ComponentVersion, name: app}", "InvalidSpec", []string{"refer to a Resource, a Localization or a Configuration"}},
	"deployer-kind":         {"FluxDeployer", "sourceRef: {kind: Snapshot, name: app}", "InvalidSpec", []string{`"Snapshot"`, "use Resource, Localization"}},
	"deployer-field":        {"FluxDeployer", fromApp + "kustomizationTemplate: {path: ./, prune: always}", "CreateOrUpdateKustomizationFailed", []string{"Kustomization ${NAMESPACE}/deployer-field", "prune"}},
	"deployer-release":      {"FluxDeployer", fromApp + "helmReleaseTemplate: {timeout: soon}", "CreateOrUpdateHelmFailed", []string{"${NAMESPACE}/app is no Helm chart", "use kustomizationTemplate"}},
}

const good2 = name + semver + "repository: {url: ${REPOSITORY}}\n"

// TestMistakes shows that each mistake ends in a condition, and that it says which object is at fault and what to do.
func TestMistakes(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry)
	fill := strings.NewReplacer("${REPOSITORY}", registry.URL+"/acme", "${HOST}", registry.Host, "${NAMESPACE}", e.Namespace)
	e.Apply(`{apiVersion: v1, kind: Secret, metadata: {name: empty}}
---
{apiVersion: v1, kind: Secret, metadata: {name: broken}, stringData: {.dockerconfigjson: 'no json'}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: site}, data: {broken: '{', list: '[a]', good: 'message: hello'}}
---
` + object("ComponentVersion", "app", fill.Replace(good2)) + object("Resource", "app", "sourceRef: {name: app, resourceRef: {name: manifests}}"))
	e.Wait("Resource", "app", e2etest.Ready)
	for name, tt := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := e.ForTest(t)
			e.Apply(object(tt.kind, name, fill.Replace(tt.spec)))
			obj := e.Wait(tt.kind, name, e2etest.Is("Ready", "False", tt.reason))
			ready, err := e2etest.Condition(obj, "Ready")
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s: %s", ready.Reason, ready.Message)
			for _, part := range tt.message {
				says(t, ready.Message, fill.Replace(part))
			}
			if strings.Contains(ready.Message, "hidden") {
				t.Error("a password is shown")
			}
		})
	}
}

// publish publishes the component that the mistakes are made with.
func publish(t *testing.T, registry *ocmtest.Server) {
	t.Helper()
	archive, err := ocmtest.Tar(ocmtest.File{Name: "configmap.yaml", Content: []byte("kind: ConfigMap\ndata: {message: old}\n")})
	if err != nil {
		t.Fatal(err)
	}
	rules := `apiVersion: config.ocm.software/v1alpha1
kind: ConfigData
configuration:
  schema: {type: object, additionalProperties: false, properties: {message: {type: string}}}
  rules: [{value: (( message )), file: configmap.yaml, path: data.message}]
`
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{
		{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: []byte("one")},
		{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: []byte("two")},
	}}
	if _, err := image.Publish(t.Context(), registry.URL+"/images/app:1", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	component := ocmtest.Component{Name: "acme.org/app", Version: "1.0.0", Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: archive},
		{Name: "config", Type: "PlainText", Content: []byte(rules)},
		{Name: "image", Image: registry.URL + "/images/app:1"},
	}}
	if _, err := component.Publish(t.Context(), registry.URL+"/acme", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
}

func object(kind, name, spec string) string {
	return "apiVersion: delivery.ocm.software/v1alpha1\nkind: " + kind + "\nmetadata: {name: " + name + "}\nspec:\n  interval: 10m0s\n  " +
		strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n---\n"
}

func says(t *testing.T, message, part string) {
	t.Helper()
	if !strings.Contains(message, part) {
		t.Errorf("it says\n%s\nand not %q", message, part)
	}
}
