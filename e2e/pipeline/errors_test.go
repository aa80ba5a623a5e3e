package pipeline_test

import (
	"cmp"
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// source is a ComponentVersion of a user who makes mistakes.
const source = `
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: ${NAME}
spec:
  interval: 10m0s
  component: ${COMPONENT}
  repository:
    url: ${URL}
    ${SECRET}
  version:
    semver: "${SEMVER}"
`

// TestMistakesInComponentVersions shows each mistake's reason and the part of its message that says what to do.
func TestMistakesInComponentVersions(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry, private := ocmtest.Start(t), ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	private.RequireLogin("user", "right")
	e.Apply(`{apiVersion: v1, kind: Secret, metadata: {name: wrong}, stringData: {username: user, password: wrong}}`)
	for name, mistake := range map[string]struct {
		url, component, semver, secret string
		reason                         string
		message                        []string
	}{
		"wrong-host":     {url: "http://127.0.0.1:1/phoban01", reason: "CheckVersionFailed", message: []string{"127.0.0.1:1", "connection refused"}},
		"https-for-http": {url: "https://" + registry.Host + "/phoban01", reason: "CheckVersionFailed", message: []string{registry.Host, "http://"}},
		"no-scheme":      {url: registry.Host + "/phoban01", reason: "CheckVersionFailed", message: []string{registry.Host, "http://"}},
		"wrong-path":     {url: registry.URL + "/elsewhere", reason: "CheckVersionFailed", message: []string{registry.Host + "/elsewhere", "phoban.io/podinfo"}},
		"no-login":       {url: repository(private), reason: "CheckVersionFailed", message: []string{private.Host, "secretRef"}},
		"wrong-login":    {url: repository(private), secret: "wrong", reason: "CheckVersionFailed", message: []string{private.Host, "401"}},
		"missing-secret": {
			url: repository(private), secret: "missing", reason: "AuthenticatedContextCreationFailed",
			message: []string{"Secret " + e.Namespace + "/missing does not exist: create it"},
		},
		"nothing-matches":   {semver: ">=7.0.0", reason: "CheckVersionFailed", message: []string{`constraint ">=7.0.0"`, "6.3.6"}},
		"no-constraint":     {semver: "six", reason: "CheckVersionFailed", message: []string{`"six"`}},
		"unknown-component": {component: "phoban.io/unknown", reason: "CheckVersionFailed", message: []string{"phoban.io/unknown"}},
		"no-component-name": {component: "podinfo", reason: "InvalidSpec", message: []string{"spec.component"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := e.ForTest(t)
			secret := ""
			if mistake.secret != "" {
				secret = "secretRef: {name: " + mistake.secret + "}"
			}
			e.Apply(source, "${NAME}", name, "${COMPONENT}", cmp.Or(mistake.component, "phoban.io/podinfo"),
				"${URL}", cmp.Or(mistake.url, repository(registry)), "${SECRET}", secret, "${SEMVER}", cmp.Or(mistake.semver, ">=6.0.0"))
			report(t, e.Wait("ComponentVersion", name, e2etest.NotReady(mistake.reason, mistake.message...)))
		})
	}
}

// TestMissingSecretIsAwaited shows that nobody waits for an interval after the Secret was created, or corrected.
func TestMissingSecretIsAwaited(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	private := ocmtest.Start(t)
	private.RequireLogin("user", "right")
	component := ocmtest.Component{Name: "phoban.io/podinfo", Version: "6.3.6"}
	access := ocm.Options{Credentials: credentials.FromBasic(private.URL, "user", "right")}
	if _, err := component.Publish(t.Context(), repository(private), access); err != nil {
		t.Fatal(err)
	}
	e.Apply(source, "${NAME}", "podinfo", "${COMPONENT}", "phoban.io/podinfo", "${URL}", repository(private),
		"${SECRET}", "secretRef: {name: login}", "${SEMVER}", ">=6.3.x")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("AuthenticatedContextCreationFailed", "login does not exist: create it"))
	e.Kubectl("create", "secret", "generic", "login", "--from-literal=username=user", "--from-literal=password=wrong")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("CheckVersionFailed", private.Host))
	e.Apply(`{apiVersion: v1, kind: Secret, metadata: {name: login}, stringData: {password: right}}`)
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
}

// TestUnverifiedVersionsAreNotUsed shows that nothing comes of a version whose signature should have been checked.
func TestUnverifiedVersionsAreNotUsed(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	e.Apply(`
apiVersion: v1
kind: Secret
metadata:
  name: signing-keys
stringData:
  security: of no use here
---
apiVersion: delivery.ocm.software/v1alpha1
kind: ComponentVersion
metadata:
  name: podinfo
spec:
  interval: 10m0s
  component: phoban.io/podinfo
  repository:
    url: ${REPOSITORY}
  version:
    semver: ">=6.3.x"
  verify:
  - name: operations
    publicKey:
      secretRef:
        name: signing-keys
---
`+resource+localization+configuration+fluxDeployer, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: hello}")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("ComponentVerificationFailed", "failed to verify phoban.io/podinfo with constraint >=6.3.x"))
	e.Wait("Resource", "manifests", e2etest.NotReady("ComponentVersionNotReady", "podinfo"))
	e.Wait("Localization", "manifests", e2etest.NotReady("SourceRefNotReady", "manifests"))
	e.Wait("Configuration", "configuration", e2etest.NotReady("SourceRefNotReady", "manifests"))
	e.Wait("FluxDeployer", "podinfo", e2etest.NotReady("SourceRefNotReady", "configuration"))
	for _, kind := range []string{"snapshots", "componentdescriptors", "ocirepositories", "kustomizations", "deployments"} {
		if out := e.Kubectl("get", kind, "-oname"); out != "" {
			t.Errorf("there are %s of a version that was not verified: %s", kind, out)
		}
	}
	cv := e.Wait("ComponentVersion", "podinfo", e2etest.Is("Reconciling", metav1.ConditionTrue, "ProgressingWithRetry", "phoban.io/podinfo"))
	if fields, _ := cv.Object["status"].(map[string]any); fields["reconciledVersion"] != nil || fields["componentDescriptor"] != nil {
		t.Errorf("the status has a version: %v", fields)
	}
	// As documented, a failure has an event with its cause and one with what comes next, and both are in the log.
	failed := `Warning +ComponentVerificationFailed +`
	e.Eventually("events", func() error {
		if err := lines(e.Kubectl("describe", "componentversion", "podinfo"),
			`  Normal +Progressing +\d+s +ocm-controller +Version check succeeded, found latest version: 6\.3\.6`,
			`  `+failed+`\d+s +ocm-controller +failed to get public key for verification: public key not found, retrying in 10m0s`,
			`  `+failed+`\d+s +ocm-controller +Reconciliation did not succeed, retrying in 10m0s`); err != nil {
			return err
		}
		return lines(e.Kubectl("events", "--for", "ComponentVersion/podinfo"),
			`\d+s +`+failed+`ComponentVersion/podinfo +failed to get public key for verification: public key not found, retrying in 10m0s`,
			`\d+s +`+failed+`ComponentVersion/podinfo +Reconciliation did not succeed, retrying in 10m0s`)
	})
	expectLines(t, e.Log(), `.*ERROR.*Reconciliation did not succeed, retrying in 10m0s.*"name": "podinfo", "namespace": "`+
		regexp.QuoteMeta(e.Namespace)+`".*"reconciler kind": "ComponentVersion".*"error": "ComponentVerificationFailed".*`)
}

// TestMistakesInThePipeline shows the mistakes that are made with a component that was found.
func TestMistakesInThePipeline(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.6")
	manifests, err := ocmtest.Tar(ocmtest.File{Name: "configmap.yaml", Content: []byte(configYAML)})
	if err != nil {
		t.Fatal(err)
	}
	text := func(name, content string) ocmtest.Resource {
		return ocmtest.Resource{Name: name, Type: "PlainText", Content: []byte("apiVersion: config.ocm.software/v1alpha1\nkind: ConfigData\n" + content)}
	}
	image := ocmtest.Artifact{Layers: []ocmtest.Layer{
		{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: []byte("one")},
		{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Content: []byte("two")},
	}}
	if _, err := image.Publish(t.Context(), registry.URL+"/images/podinfo:1", ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	component := ocmtest.Component{Name: "phoban.io/podinfo", Version: "6.3.7", Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "Directory", MediaType: "application/x-tar", Content: manifests},
		{Name: "image", Image: registry.URL + "/images/podinfo:1"},
		text("no-file", `configuration: {rules: [{value: 1, file: absent.yaml, path: data.a}]}`),
		text("no-image", `localization: [{resource: {name: absent}, file: configmap.yaml, image: data.image}]`),
		text("no-value", `configuration: {rules: [{value: (( absent )), file: configmap.yaml, path: data.a}]}`),
		text("strict", `configuration: {schema: {type: object, additionalProperties: false, properties: {message: {type: string}}}, rules: []}`),
		text("typo", `configuration: {rule: []}`),
	}}
	if _, err := component.Publish(t.Context(), repository(registry), ocm.Options{}); err != nil {
		t.Fatal(err)
	}
	e.Apply(componentVersion+resource, "${REPOSITORY}", repository(registry))
	e.Wait("Resource", "manifests", e2etest.Ready)

	resourceNamed := func(name string) string { return "sourceRef: {name: podinfo, resourceRef: {name: " + name + "}}" }
	rules := func(name, more string) string {
		return "sourceRef: {kind: Resource, name: manifests}\n  configRef: {kind: ComponentVersion, name: podinfo, resourceRef: {name: " + name + "}}\n  " + more
	}
	for name, mistake := range map[string]struct {
		kind, spec string
		reason     string
		message    []string
	}{
		"unknown-component-version": {
			"Resource", "sourceRef: {name: absent, resourceRef: {name: manifests}}", "ComponentVersionNotFound",
			[]string{"ComponentVersion " + e.Namespace + "/absent", "does not exist"},
		},
		"unknown-resource":  {"Resource", resourceNamed("manifest"), "GetResourceFailed", []string{`manifest`, "manifests", "no-file"}},
		"image-as-content":  {"Resource", resourceNamed("image"), "GetResourceFailed", []string{"image", "ocalization"}},
		"unknown-reference": {"Resource", "sourceRef: {name: podinfo, resourceRef: {name: manifests, referencePath: [{name: backend}]}}", "ComponentDescriptorNotFound", []string{"backend"}},
		"missing-file":      {"Configuration", rules("no-file", "values: {}"), "ReconcileMutationObjectFailed", []string{"rule", "absent.yaml"}},
		"missing-image":     {"Localization", rules("no-image", ""), "ReconcileMutationObjectFailed", []string{"rule", "absent", "manifests"}},
		"unresolved":        {"Configuration", rules("no-value", "values: {present: 1}"), "ReconcileMutationObjectFailed", []string{"rule", "absent"}},
		"schema":            {"Configuration", rules("strict", "values: {mesage: hello}"), "InvalidValues", []string{"mesage"}},
		"wrong-type":        {"Configuration", rules("strict", "values: {message: 1}"), "InvalidValues", []string{"message", "string"}},
		"unknown-field":     {"Configuration", rules("typo", "values: {}"), "InvalidConfigData", []string{`"rule"`, "line"}},
		"no-config-data":    {"Localization", rules("manifests", ""), "InvalidConfigData", []string{"podinfo"}},
		"missing-values": {
			"Configuration", rules("strict", "valuesFrom: {configMapSource: {sourceRef: {name: absent}, key: values.yaml}}"), "ValuesNotReady",
			[]string{"ConfigMap " + e.Namespace + "/absent"},
		},
		"not-in-flux": {
			"Configuration", rules("strict", "valuesFrom: {fluxSource: {sourceRef: {kind: GitRepository, name: absent}, path: values.yaml}}"), "ValuesNotReady",
			[]string{"GitRepository " + e.Namespace + "/absent"},
		},
		"deploy-nothing": {"FluxDeployer", "sourceRef: {kind: Configuration, name: absent}", "SourceRefNotReady", []string{"Configuration " + e.Namespace + "/absent"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := e.ForTest(t)
			e.Apply("apiVersion: delivery.ocm.software/v1alpha1\nkind: " + mistake.kind + "\nmetadata:\n  name: " + name +
				"\nspec:\n  interval: 10m0s\n  " + mistake.spec)
			report(t, e.Wait(mistake.kind, name, e2etest.NotReady(mistake.reason, mistake.message...)))
		})
	}
}

// report writes a condition to the test's log, to be read as a user would.
func report(t *testing.T, obj *unstructured.Unstructured) {
	t.Helper()
	if ready, err := e2etest.Condition(obj, "Ready"); err == nil {
		t.Logf("%s: %s", ready.Reason, ready.Message)
	}
}
