package fluxdeployer_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestAccessStaysWithWhatIsDeployed names another source that isn't ready. What is deployed is that of the one before still,
// and Flux may have to pull it again.
func TestAccessStaysWithWhatIsDeployed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	d := s.deploy(kustomize)
	s.Create(reconcilertest.Resource("next", "component", "manifests"))
	s.Change(d, func() { d.Spec.SourceRef = reconcilertest.From(v1alpha1.ResourceKind, "next") })
	s.Reconcile(d)
	config := string(s.secret("app-registry-pull").Data[".dockerconfigjson"])
	if !strings.Contains(config, reconcilertest.Namespace+"/"+snapshotName) {
		t.Errorf("credential is %s, want one for what the OCIRepository points to", config)
	}
}
