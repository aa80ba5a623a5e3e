package trust_test

import (
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// accept is the command in a message that accepts what a version is now.
var accept = regexp.MustCompile(`kubectl (annotate --overwrite .* delivery\.ocm\.software/accept-digest=sha256:[0-9a-f]{64})`)

// TestMutatedVersion publishes a version again, with another content. What was deployed stays, until the command in the
// message is run.
func TestMutatedVersion(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first"))
	e.Apply(follow(registry, `{semver: ">=6.3.x"}`) + deployment)
	says(e, "first")
	e.Wait("FluxDeployer", "podinfo", e2etest.Ready)
	was := componentVersion(t, e, "podinfo").Status.ManifestDigest

	publish(t, registry, release(t, "6.3.6", "second"))
	e.Kubectl("annotate", "cv/podinfo", again+"1")
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("MutatedVersion", "version 6.3.6 of phoban.io/podinfo has changed", "and was "+was),
		e2etest.Field(was, "status", "manifestDigest"))
	e.Kubectl("annotate", "fd/podinfo", again+"1")
	says(e, "first")

	message := ready(e)
	command := accept.FindStringSubmatch(message)
	if command == nil {
		t.Fatalf("there is no command in %q", message)
	}
	e.Kubectl(strings.Fields(command[1])...)
	says(e, "second")
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
}

// ready is the message of the condition Ready of the ComponentVersion.
func ready(e *e2etest.Env) string {
	condition, err := e2etest.Condition(e.Get("ComponentVersion", "podinfo"), "Ready")
	if err != nil {
		return err.Error()
	}
	return condition.Message
}

// TestDowngrade goes back to an older version: never, and then when the constraint says so.
func TestDowngrade(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first"), release(t, "6.4.0", "second"))
	e.Apply(follow(registry, `{semver: ">=6.3.x", downgradePolicy: EnforceNever}`) + deployment)
	says(e, "second")
	e.Apply(follow(registry, `{semver: "6.3.6", downgradePolicy: EnforceNever}`))
	e.Wait("ComponentVersion", "podinfo", e2etest.NotReady("DowngradeDenied", "6.3.6, which is lower than 6.4.0"),
		e2etest.Field("6.4.0", "status", "reconciledVersion"))
	says(e, "second")
	e.Apply(follow(registry, `{semver: "6.3.6"}`))
	says(e, "first")
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready, e2etest.Field("6.4.0", "status", "highestVersion"))
}

// TestSuspension stops a ComponentVersion: what refers to it goes on, until the spec asks for something that nobody checks.
func TestSuspension(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, release(t, "6.3.6", "first", "operations"))
	e.Apply(keys(t, "operations") + follow(registry, `{semver: ">=6.3.x"}`, bySecret))
	e.Wait("ComponentVersion", "podinfo", e2etest.Ready)
	publish(t, registry, release(t, "6.4.0", "second", "operations"))
	e.Apply(follow(registry, `{semver: ">=6.3.x"}`, bySecret, "suspend: true"))
	e.Apply(deployment)
	says(e, "first")

	security := "verify: [{name: security, publicKey: {secretRef: {name: signing-keys}}}]"
	e.Apply(follow(registry, `{semver: ">=6.3.x"}`, security, "suspend: true"))
	// What is suspended says nothing; who refers to it has seen the change.
	e.Wait("Resource", "podinfo", e2etest.Is("Reconciling", metav1.ConditionTrue, "ComponentVersionNotReady"))
	e.Apply(object("Resource", "later", "sourceRef: {name: podinfo, resourceRef: {name: manifests}}"))
	e.Wait("Resource", "later", e2etest.NotReady("ComponentVersionNotReady", "is not ready yet"))

	e.Apply(follow(registry, `{semver: ">=6.3.x"}`, bySecret))
	says(e, "second")
	e.Wait("Resource", "later", e2etest.Ready, e2etest.Field("6.4.0", "status", "lastAppliedComponentVersion"))
}
