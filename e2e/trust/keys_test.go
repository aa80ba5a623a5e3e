package trust_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

const (
	podinfo = "phoban.io/podinfo"
	// again makes an object look again now; nothing else does within the ten minutes of its interval.
	again = "reconcile.fluxcd.io/requestedAt="
	// bySecret asks for the signature of operations, which is checked with a key of a Secret.
	bySecret = "verify: [{name: operations, publicKey: {secretRef: {name: signing-keys}}}]"
)

// release is a version whose only file tells what it is of, with signatures, each by the signer of its name.
func release(t *testing.T, version, says string, signers ...string) ocmtest.Component {
	t.Helper()
	file := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: podinfo\ndata:\n  says: " + says + "\n"
	archive, err := ocmtest.Tar(ocmtest.File{Name: "configmap.yaml", Content: []byte(file)})
	if err != nil {
		t.Fatal(err)
	}
	component := ocmtest.Component{Name: podinfo, Version: version, Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "directory", MediaType: "application/x-tar", Content: archive},
	}}
	for _, name := range signers {
		signer, _ := ocmtest.SignerOf(t, name)
		component.Signatures = append(component.Signatures, ocmtest.Signature{Name: name, Signer: signer})
	}
	return component
}

// publish publishes component versions.
func publish(t *testing.T, registry *ocmtest.Server, all ...ocmtest.Component) {
	t.Helper()
	for _, c := range all {
		if _, err := c.Publish(t.Context(), registry.URL+"/trust", ocm.Options{}); err != nil {
			t.Fatal(err)
		}
	}
}

// follow is the ComponentVersion podinfo.
func follow(registry *ocmtest.Server, version string, more ...string) string {
	return object("ComponentVersion", "podinfo", append([]string{
		"component: " + podinfo, "version: " + version, "repository: {url: " + registry.URL + "/trust}",
	}, more...)...)
}

// deployment is what takes the ComponentVersion into the cluster.
const deployment = `apiVersion: delivery.ocm.software/v1alpha1
kind: Resource
metadata: {name: podinfo}
spec: {interval: 10m0s, sourceRef: {name: podinfo, resourceRef: {name: manifests}}}
---
apiVersion: delivery.ocm.software/v1alpha1
kind: FluxDeployer
metadata: {name: podinfo}
spec:
  interval: 10m0s
  sourceRef: {kind: Resource, name: podinfo}
  kustomizationTemplate: {path: ./, prune: true, targetNamespace: "${NAMESPACE}"}
---
`

// keys is the Secret with the public key of a signer for the signature of operations.
func keys(t *testing.T, signer string) string {
	t.Helper()
	_, public := ocmtest.SignerOf(t, signer)
	return secret("signing-keys", "operations", string(public))
}

// says wants the file that was deployed to be that of a version.
func says(e *e2etest.Env, want string) {
	e.Wait("ConfigMap", "podinfo", e2etest.Field(want, "data", "says"))
}

// events wants kubectl to show events of the ComponentVersion, each given as type, reason and message.
func events(e *e2etest.Env, wanted ...string) {
	e.Eventually("events", func() error {
		shown := e.Kubectl("events", "--for", "ComponentVersion/podinfo")
		for _, want := range wanted {
			fields := strings.SplitN(want, " ", 3)
			line := fmt.Sprintf(`(?m) %s +%s +ComponentVersion/podinfo +%s$`, fields[0], fields[1], regexp.QuoteMeta(fields[2]))
			if !regexp.MustCompile(line).MatchString(strings.ReplaceAll(shown, "\r", "")) {
				return fmt.Errorf("no event %q in\n%s", want, shown)
			}
		}
		return nil
	})
}

// TestKeys takes a ComponentVersion through the life of its key: missing, right, wrong, and right again.
func TestKeys(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first", "operations"))
	e.Apply(follow(registry, `{semver: ">=6.3.x"}`, bySecret) + deployment)

	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("ComponentVerificationFailed",
		"failed to verify phoban.io/podinfo with constraint >=6.3.x", "Secret "+e.Namespace+"/signing-keys does not exist"),
		e2etest.Is("Reconciling", "True", "ProgressingWithRetry", "reconciliation in progress for component: phoban.io/podinfo"))
	events(e, "Normal Progressing Version check succeeded, found latest version: 6.3.6",
		"Warning ComponentVerificationFailed failed to get public key for verification: public key not found, retrying in 10m0s",
		"Warning ComponentVerificationFailed Reconciliation did not succeed, retrying in 10m0s")
	for _, kind := range []string{"Snapshot", "ComponentDescriptor", "OCIRepository"} {
		if found := list(t, e, kind); len(found) > 0 {
			t.Errorf("there are %d objects of kind %s", len(found), kind)
		}
	}

	e.Apply(keys(t, "operations"))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, e2etest.Field("6.3.6", "status", "reconciledVersion"))
	says(e, "first")
	e.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	events(e, "Normal Progressing Verified version 6.3.6 by signature operations")

	e.Apply(keys(t, "somebody"))
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("ComponentVerificationFailed", `6.3.6: signature "operations" does not hold: it was made with another key`))
	publish(t, registry, release(t, "6.4.0", "second", "operations"))
	e.Kubectl("annotate", "cv/podinfo", again+"1")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("ComponentVerificationFailed", "6.4.0, 6.3.6: signature"),
		e2etest.Field("1", "status", "lastHandledReconcileAt"))
	says(e, "first")
	if cv := componentVersion(t, e, "podinfo"); cv.Status.Verified || cv.Status.ReconciledVersion != "6.3.6" {
		t.Errorf("status is %+v", cv.Status)
	}
	for _, kind := range []string{"Snapshot", "ComponentDescriptor", "OCIRepository", "Kustomization"} {
		if found := list(t, e, kind); len(found) != 1 {
			t.Errorf("there are %d objects of kind %s, want what was deployed", len(found), kind)
		}
	}

	e.Apply(keys(t, "operations"))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, e2etest.Field("6.4.0", "status", "reconciledVersion"))
	says(e, "second")
}

// TestNewestVerified has a newer version that nobody signed.
func TestNewestVerified(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first", "operations"), release(t, "6.4.0", "unsigned"))
	e.Apply(keys(t, "operations") + follow(registry, `{semver: ">=6.3.x"}`, bySecret) + deployment)
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, e2etest.Field("6.3.6", "status", "reconciledVersion"))
	says(e, "first")
	events(e, `Warning ComponentVerificationFailed passed over 6.4.0: signature "operations" does not hold: the component version has no signatures; using 6.3.6`)
	if passed := componentVersion(t, e, "podinfo").Status.PassedOver; len(passed) != 1 || passed[0].Version != "6.4.0" {
		t.Errorf("passed over are %+v", passed)
	}
	publish(t, registry, release(t, "6.5.0", "signed", "operations"))
	e.Kubectl("annotate", "cv/podinfo", again+"1")
	says(e, "signed")
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, e2etest.Field("6.5.0", "status", "reconciledVersion"))
}
