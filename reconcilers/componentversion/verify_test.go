package componentversion_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func TestVerified(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	component := signed(t, "1.0.0", "operations", "security")
	component.Resources = append(component.Resources, ocmtest.Resource{Name: "notes", Content: []byte("notes"), Excluded: true})
	s.publishAll(component)
	s.store(t, "operations", "operations", "security", "security")
	cv := s.verified(">=1.0.0", stored("operations", "security")...)
	wantReady(t, cv, "1.0.0")
	status := cv.Status
	if !status.Verified || !strings.HasPrefix(status.Proof, "sha256:") || len(status.Signatures) != 2 {
		t.Fatalf("status is %+v", status)
	}
	for i, name := range []string{"operations", "security"} {
		got := status.Signatures[i]
		keys, err := signing.ParsePublicKeys(key(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if got.Name != name || got.Algorithm != signing.PKCS1 || got.KeyFingerprint != keys.Fingerprints()[0] ||
			!strings.HasPrefix(got.Digest, "SHA-256:") || !strings.HasSuffix(got.Digest, "[jsonNormalisation/v3]") || got.Time.IsZero() {
			t.Errorf("signature is %+v", got)
		}
	}
	want := []v1alpha1.UnprotectedResource{{Component: app, Version: "1.0.0", Name: "notes", ResourceVersion: "1.0.0", Reason: v1alpha1.UnprotectedExcluded}}
	if diff := cmp.Diff(want, status.UnprotectedResources); diff != "" || status.UnprotectedResourcesCount != 1 {
		t.Errorf("unprotected resources (-want +got):\n%s", diff)
	}
	events := []string{
		"Normal Progressing Version check succeeded, found latest version: 1.0.0",
		"Normal Progressing Verified version 1.0.0 by signature operations, security",
		"Normal Succeeded Reconciliation finished, next run in 10m0s",
	}
	s.wantEvents(t, events...)
}

// TestVerifiedVersionIsNotVerifiedAgain counts the requests of ten intervals, and of one after a restart.
func TestVerifiedVersionIsNotVerifiedAgain(t *testing.T) {
	t.Parallel()
	for constraint, want := range map[string]map[string]int{
		">=1.0.0": {"GET tags": 1, "HEAD manifests": 1},
		"1.0.0":   {"HEAD manifests": 1},
	} {
		t.Run(constraint, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			child := ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("lib")}}}
			root := signed(t, "1.0.0", "dev")
			root.References = []ocmtest.Reference{{Name: "lib", To: &child}}
			s.publishAll(child, root)
			s.store(t, "dev", "dev")
			cv := s.verified(constraint, stored("dev")...)
			wantReady(t, cv, "1.0.0")
			for i := range 12 {
				if i > 9 {
					s.restart(t)
				}
				s.forget()
				s.Reconcile(cv)
				s.wantQuiet(t)
				if diff := cmp.Diff(want, s.registry.Requests()); diff != "" {
					t.Fatalf("requests in interval %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

// TestNewestVerified has a newer version that isn't signed: what is verified is used, and a newer one as soon as it is there.
func TestNewestVerified(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	unsigned := s.publishAll(signed(t, "1.1.0"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	wantReady(t, cv, "1.0.0")
	if got := cv.Status.PassedOver; len(got) != 1 || got[0].Version != "1.1.0" || got[0].ManifestDigest != unsigned.String() || !strings.Contains(got[0].Message, "signature") {
		t.Errorf("passed over are %+v", got)
	}
	events := s.Events()
	want := "Warning ComponentVerificationFailed passed over 1.1.0: "
	if len(events) != 4 || events[0] != "Normal Progressing Version check succeeded, found latest version: 1.1.0" || !strings.HasPrefix(events[1], want) || !strings.HasSuffix(events[1], "; using 1.0.0") {
		t.Errorf("events are %q, want one that begins with %q and says what is used", events, want)
	}
	for i := range 11 {
		s.forget()
		if i == 10 {
			s.restart(t)
		}
		s.Reconcile(cv)
		s.wantQuiet(t)
		if i < 10 {
			if diff := cmp.Diff(map[string]int{"GET tags": 1, "HEAD manifests": 2}, s.registry.Requests()); diff != "" {
				t.Fatalf("requests in interval %d, want one more for the tag of what was passed over (-want +got):\n%s", i, diff)
			}
		}
	}
	s.publishAll(signed(t, "1.1.1"))
	s.Reconcile(cv)
	if events := s.Events(); len(events) != 2 || !strings.HasSuffix(events[0], "found latest version: 1.1.1") || !strings.Contains(events[1], "passed over 1.1.1: ") {
		t.Errorf("events are %q, want that another one is there, and that it is passed over", events)
	}
	s.publishAll(signed(t, "1.2.0", "dev"))
	s.Reconcile(cv)
	wantReady(t, cv, "1.2.0")
	if len(cv.Status.PassedOver) > 0 || !cv.Status.Verified {
		t.Errorf("passed over are %+v, want none above the version in use", cv.Status.PassedOver)
	}
}

// TestManyRefusedVersions has more newer versions that are refused than are looked at: the one in use is looked at nevertheless.
func TestManyRefusedVersions(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	for i := range 13 {
		s.publishAll(signed(t, fmt.Sprintf("1.1.%d", i)))
	}
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if got := cv.Status.PassedOver; len(got) != 10 || got[0].Version != "1.1.12" {
		t.Errorf("passed over are %+v, want the ten newest", got)
	}
}

// TestPassingErrorsAreNoVerdict has a newer version whose content can't be read for a while. That is no reason to use another.
func TestPassingErrorsAreNoVerdict(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	newer := s.publishAll(signed(t, "1.1.0", "dev"))
	blob := ocmtest.Blobs{}
	if _, blobs, err := signed(t, "1.1.0", "dev").Build(); err == nil {
		blob = blobs
	}
	s.registry.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		for d := range blob {
			if strings.HasSuffix(request.URL.Path, d.String()) {
				http.Error(w, "away", http.StatusBadGateway)
				return true
			}
		}
		return false
	})
	s.Reconcile(cv)
	if got := reconcilertest.Conditions(cv); got["Ready"] != "True Succeeded" || got["Reconciling"] != "True ProgressingWithRetry" {
		t.Errorf("conditions are %v, want that what was delivered stands", got)
	}
	if got := reconcilertest.Message(cv, "Reconciling"); !strings.HasPrefix(got, "failed to verify acme.org/app with constraint >=1.0.0: 1.1.0: ") {
		t.Errorf("message is %q", got)
	}
	if cv.Status.ReconciledVersion != "1.0.0" || len(cv.Status.PassedOver) > 0 {
		t.Errorf("status is %+v", cv.Status)
	}
	s.registry.Heal()
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	if cv.Status.ManifestDigest != newer.String() {
		t.Errorf("manifest is %s", cv.Status.ManifestDigest)
	}
}

// TestPassingErrorOfTheFirstTry: an older version is not used because the newest can't be read.
func TestPassingErrorOfTheFirstTry(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	newest := s.publishAll(signed(t, "1.1.0", "dev"))
	s.store(t, "dev", "dev")
	s.registry.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Method != http.MethodGet || !strings.HasSuffix(request.URL.Path, "/manifests/1.1.0") && !strings.HasSuffix(request.URL.Path, newest.String()) {
			return false
		}
		http.Error(w, "away", http.StatusBadRequest)
		return true
	})
	cv := s.verified(">=1.0.0", stored("dev")...)
	if got := reconcilertest.Conditions(cv)["Ready"]; !strings.HasPrefix(got, "False") || cv.Status.ReconciledVersion != "" {
		t.Errorf("Ready is %q with version %q", got, cv.Status.ReconciledVersion)
	}
	s.registry.Heal()
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
}

// TestMissingKey shows the conditions and events of the documents, line by line.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	const podinfo = "phoban.io/podinfo"
	component := signed(t, "6.3.6", "operations")
	component.Name = podinfo
	s.publishAll(component)
	cv := reconcilertest.ComponentVersion("podinfo", s.url, podinfo, ">=6.3.x")
	cv.Spec.Verify = stored("operations")
	s.Create(cv)
	s.Reconcile(cv)
	want := map[string]string{"Ready": "False ComponentVerificationFailed", "Reconciling": "True ProgressingWithRetry"}
	if diff := cmp.Diff(want, reconcilertest.Conditions(cv)); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	message := reconcilertest.Message(cv, "Ready")
	if !strings.HasPrefix(message, "failed to verify phoban.io/podinfo with constraint >=6.3.x") || !strings.Contains(message, "Secret default/signing-keys does not exist") {
		t.Errorf("message is %q", message)
	}
	events := []string{
		"Normal Progressing Version check succeeded, found latest version: 6.3.6",
		"Warning ComponentVerificationFailed failed to get public key for verification: public key not found, retrying in 10m0s",
		"Warning ComponentVerificationFailed Reconciliation did not succeed, retrying in 10m0s",
	}
	s.wantEvents(t, events...)
	s.forget()
	s.Reconcile(cv)
	s.wantQuiet(t)
	s.store(t, "security", "operations")
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, `public key not found: Secret default/signing-keys has nothing under the key "operations"`)
	s.store(t, "operations", "operations")
	s.Reconcile(cv)
	wantReady(t, cv, "6.3.6")
}

// TestWrongKeyKeepsWhatIsThere replaces the key by a wrong one and brings it back.
func TestWrongKeyKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	wantReady(t, cv, "1.0.0")
	before := cv.Status
	s.store(t, "dev", "somebody")
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "failed to verify acme.org/app with constraint >=1.0.0: 1.0.0: ")
	if found := s.descriptors(t); len(found) != 1 || cv.Status.ReconciledVersion != "1.0.0" || cv.Status.Verified {
		t.Errorf("descriptors %v, version %q, verified %t", found, cv.Status.ReconciledVersion, cv.Status.Verified)
	}
	s.forget()
	s.Reconcile(cv)
	s.wantQuiet(t)
	s.store(t, "dev", "dev")
	s.registry.ResetRequests()
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if !cv.Status.Verified || cv.Status.Proof != before.Proof {
		t.Errorf("status is %+v", cv.Status)
	}
	if diff := cmp.Diff(map[string]int{"GET tags": 1, "HEAD manifests": 1}, s.registry.Requests()); diff != "" {
		t.Errorf("requests, want none for what was proven with this key before (-want +got):\n%s", diff)
	}
}

// TestKeyRotation replaces a key in the Secret in the usual way: both keys for a while, and then the new one.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "old"))
	secret := s.store(t, "old", "old")
	cv := s.verified(">=1.0.0", stored("old")...)
	wantReady(t, cv, "1.0.0")
	proof, signatures := cv.Status.Proof, cv.Status.Signatures
	s.SetStatus(cv, func() { cv.Status.Signatures[0].Time = metav1.NewTime(time.Now().Add(-time.Hour)).Rfc3339Copy() })
	since := cv.Status.Signatures[0].Time
	s.Change(secret, func() { secret.Data["old"] = append(key(t, "new"), key(t, "old")...) })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if cv.Status.Proof == proof || !cv.Status.Verified {
		t.Errorf("the proof is %s still, though the keys are others", proof)
	}
	if got := cv.Status.Signatures[0]; got.KeyFingerprint != signatures[0].KeyFingerprint || !got.Time.Equal(&since) {
		t.Errorf("signature is %+v, want that it holds since %s by the same key", got, since)
	}
	next := signed(t, "1.1.0")
	next.Signatures = []ocmtest.Signature{signature(t, "old", "new")}
	s.publishAll(next)
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	s.Change(secret, func() { secret.Data["old"] = key(t, "new") })
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	s.forget()
	s.Reconcile(cv)
	s.wantQuiet(t)
}

// TestRemovedVerifyClearsTheProof: what is not asked for is not claimed.
func TestRemovedVerifyClearsTheProof(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.publishAll(signed(t, "1.1.0"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	wantReady(t, cv, "1.0.0")
	s.Change(cv, func() { cv.Spec.Verify = nil })
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	status := cv.Status
	if status.Verified || status.Proof != "" || status.Signatures != nil || status.UnprotectedResources != nil || status.PassedOver != nil {
		t.Errorf("status is %+v", status)
	}
	s.Change(cv, func() { cv.Spec.Verify = stored("dev") })
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "1.1.0: ")
}

// TestExpiredProofIsMadeAgain has a certificate that was valid when the version was verified.
func TestExpiredProofIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.store(t, "dev", "dev")
	cv := s.verified("1.0.0", stored("dev")...)
	past := metav1.NewTime(time.Now().Add(-time.Minute)).Rfc3339Copy()
	s.SetStatus(cv, func() { cv.Status.Signatures[0].Expires = &past })
	s.restart(t)
	s.forget()
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if got := s.registry.Requests(); got["GET blobs"] == 0 || cv.Status.Signatures[0].Expires != nil {
		t.Errorf("requests %v and signatures %+v, want that it was verified again", got, cv.Status.Signatures)
	}
}
