package componentversion_test

import (
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// TestStatusOfOlderController takes over an object from the controller that came before, whose status has versions and no
// digests: nothing says that the content has changed, the version is pinned now, and it isn't left for a lower one.
func TestStatusOfOlderController(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	manifest := s.publishAll(other("1.0.0", "data"))
	cv := s.follow(">=1.0.0")
	older := func(version string) {
		s.SetStatus(cv, func() {
			cv.Status = v1alpha1.ComponentVersionStatus{
				CommonStatus: cv.Status.CommonStatus, ReconciledVersion: version, ReplicatedRepositoryURL: cv.Spec.Repository.URL,
				ComponentDescriptor: &v1alpha1.Reference{Name: app, Version: version},
			}
		})
	}
	older("1.0.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if cv.Status.ManifestDigest != manifest.String() {
		t.Errorf("manifest is %q, want %s", cv.Status.ManifestDigest, manifest)
	}
	older("2.0.0")
	s.Reconcile(cv)
	if got := reconcilertest.Conditions(cv)["Ready"]; cv.Status.ReconciledVersion != "2.0.0" || !strings.HasPrefix(got, "False") {
		t.Errorf("version is %s, Ready is %s: what can't be found is no reason to go back", cv.Status.ReconciledVersion, got)
	}
	s.release("3.0.0")
	s.Reconcile(cv)
	wantReady(t, cv, "3.0.0")
	for _, accepted := range cv.Status.AcceptedVersions {
		if accepted.ManifestDigest == "" {
			t.Errorf("accepted are %+v: a version without a digest would refuse its own", cv.Status.AcceptedVersions)
		}
	}
}
