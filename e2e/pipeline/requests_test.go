package pipeline_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestRequestBringsTheNewVersion asks for a reconciliation as "flux reconcile" does; the interval is long.
func TestRequestBringsTheNewVersion(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.5")
	e.Apply(pipeline, "${REPOSITORY}", repository(registry), "${VALUES}", "values: {message: hello}")
	arrives(e, imageRegistry+"/podinfo:6.3.5", "hello")
	publish(t, registry, "6.3.6")
	e.Kubectl("annotate", "cv", "podinfo", "reconcile.fluxcd.io/requestedAt=now")
	e.Wait("ComponentVersion", "podinfo", e2etest.Field("now", "status", "lastHandledReconcileAt"), e2etest.Field("6.3.6", "status", "reconciledVersion"))
	arrives(e, imageRegistry+"/podinfo:6.3.6", "hello")
}

// TestSuspensionHoldsTheVersion suspends a ComponentVersion and lets it go on.
func TestSuspensionHoldsTheVersion(t *testing.T) {
	e := e2etest.Shared(t)
	t.Parallel()
	registry := ocmtest.Start(t)
	publish(t, registry, "6.3.5")
	e.Apply(componentVersion+resource, "${REPOSITORY}", repository(registry))
	e.Wait("Resource", "manifests", e2etest.Ready)
	suspend := func(suspended string) {
		e.Kubectl("patch", "cv", "podinfo", "--type=merge", "-p", `{"spec":{"interval":"1s","suspend":`+suspended+`}}`)
	}
	suspend("true")
	publish(t, registry, "6.3.6")
	e.Kubectl("annotate", "cv", "podinfo", "reconcile.fluxcd.io/requestedAt=now")
	// Another object of the namespace sees the new version, so the operator is not merely slow.
	e.Apply(source, "${NAME}", "awake", "${COMPONENT}", "phoban.io/podinfo", "${URL}", repository(registry), "${SECRET}", "", "${SEMVER}", ">=6.0.0")
	e.Wait("ComponentVersion", "awake", e2etest.Field("6.3.6", "status", "reconciledVersion"))
	e.Wait("ComponentVersion", "podinfo", e2etest.Field("6.3.5", "status", "reconciledVersion"), e2etest.Field("", "status", "lastHandledReconcileAt"))
	suspend("false")
	e.Wait("ComponentVersion", "podinfo", e2etest.Field("6.3.6", "status", "reconciledVersion"), e2etest.Ready)
	e.Wait("Resource", "manifests", e2etest.Field("6.3.6", "status", "lastAppliedComponentVersion"))
}

// TestComponentOfAnotherNamespace uses a ComponentVersion of another namespace, with the credentials that lie there.
func TestComponentOfAnotherNamespace(t *testing.T) {
	platform, team := e2etest.Shared(t), e2etest.Shared(t)
	t.Parallel()
	private := ocmtest.Start(t)
	private.RequireLogin("user", "right")
	component := ocmtest.Component{Name: "phoban.io/podinfo", Version: "6.3.6", Resources: []ocmtest.Resource{
		{Name: "manifests", Type: "PlainText", Content: []byte("content")},
	}}
	if _, err := component.Publish(t.Context(), repository(private), ocm.Options{Credentials: credentials.FromBasic(private.URL, "user", "right")}); err != nil {
		t.Fatal(err)
	}
	platform.Kubectl("create", "secret", "generic", "login", "--from-literal=username=user", "--from-literal=password=right")
	platform.Apply(source, "${NAME}", "podinfo", "${COMPONENT}", "phoban.io/podinfo", "${URL}", repository(private),
		"${SECRET}", "secretRef: {name: login}", "${SEMVER}", ">=6.3.x")
	team.Apply(resource, "namespace: ${NAMESPACE}", "namespace: "+platform.Namespace)
	team.Wait("Resource", "manifests", e2etest.Ready)
	expectSnapshotNames(t, team, "manifests")
	expectSnapshotNames(t, platform)
}
