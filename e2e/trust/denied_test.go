package trust_test

import (
	"testing"

	"github.com/ocm-operator/ocm-operator/e2e/cluster"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestUnprotectedIsDenied has a component with a resource that its publisher has excluded from signing. It is verified, the
// status says what nothing protects, and an operator that is told to deny that does so.
func TestUnprotectedIsDenied(t *testing.T) {
	t.Parallel()
	e := e2etest.Own(t, cluster.Options{ControllerManager: true}, "--deny-unprotected-resources")
	registry := ocmtest.Start(t)
	component := release(t, "1.0.0", good, "operations")
	component.Resources = append(component.Resources, ocmtest.Resource{Name: "notes", Content: []byte("not signed"), Excluded: true})
	publish(t, registry, component)
	e.Apply(keys(t, "operations") + follow(registry, "{semver: 1.0.0}", bySecret) +
		object("Resource", "notes", "sourceRef: {name: podinfo, resourceRef: {name: notes}}") +
		object("Resource", "manifests", "sourceRef: {name: podinfo, resourceRef: {name: manifests}}"))
	e.Wait("Resource", "manifests", e2etest.Ready)
	e.Wait("Resource", "notes", e2etest.NotReady("UnprotectedResource", "resource notes:1.0.0 of "+podinfo+":1.0.0", "--deny-unprotected-resources"))
	if found := list(t, e, "Snapshot"); len(found) != 1 {
		t.Errorf("there are %d Snapshots, want that of the manifests", len(found))
	}
	if unprotected := componentVersion(t, e, "podinfo").Status.UnprotectedResources; len(unprotected) != 1 || unprotected[0].Name != "notes" {
		t.Errorf("unprotected resources are %v, want the notes", unprotected)
	}
}
