package fluxdeployer_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestOriginsOfWhatIsDeployed: a FluxDeployer says which component versions its content came from, and whether they were
// verified. The same content that was verified since is not handed over again.
func TestOriginsOfWhatIsDeployed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	from := func(version string, verified bool) []v1alpha1.Origin {
		return []v1alpha1.Origin{{Namespace: "default", Name: "component", Version: version, ManifestDigest: "sha256:" + version, Verified: verified}}
	}
	s.SetStatus(s.resource, func() { s.resource.Status.Origins = from("1.0.0", false) })
	d := s.deploy(kustomize)
	want := func(reason string, origins []v1alpha1.Origin) {
		t.Helper()
		if diff := cmp.Diff(origins, d.Status.Origins); diff != "" {
			t.Errorf("%s: origins (-want +got):\n%s", reason, diff)
		}
	}
	want("deployed", from("1.0.0", false))

	s.SetStatus(s.resource, func() { s.resource.Status.Origins = from("1.0.0", true) })
	s.Writes()
	s.Reconcile(d)
	want("verified", from("1.0.0", true))
	if diff := cmp.Diff([]string{"status FluxDeployer default/app"}, s.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	s.Reconcile(d)
	if writes := s.Writes(); len(writes) > 0 {
		t.Errorf("writes %v though nothing changed", writes)
	}

	s.SetStatus(s.resource, func() {
		s.resource.Status.Origins = from("1.1.0", true)
		s.resource.Status.LatestManifestDigest, s.resource.Status.LatestSourceVersion = second, "1.1.0"
	})
	s.Reconcile(d)
	want("not deployed yet: the Snapshot doesn't hold it", from("1.0.0", true))
	s.deliver("1.1.0", second)
	s.Reconcile(d)
	want("upgraded", from("1.1.0", true))
	if got := reconcilertest.Conditions(d)["Ready"]; got != "True Succeeded" {
		t.Errorf("Ready is %q", got)
	}
}
