package componentversion_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

func digestOf(text string) string { return digest.FromString(text).String() }

// other is a version with another content than the usual one.
func other(version, content string) ocmtest.Component {
	return ocmtest.Component{Name: app, Version: version, Resources: []ocmtest.Resource{{Name: "data", Content: []byte(content)}}}
}

// wantMutated checks that the change of a version is refused, and that the message says how to accept it.
func wantMutated(t *testing.T, cv *v1alpha1.ComponentVersion, was, is digest.Digest) {
	t.Helper()
	proved := "nothing proves it: spec.verify is not set"
	if len(cv.Spec.Verify) > 0 {
		proved = "its signatures hold"
	}
	wantNotReady(t, cv, v1alpha1.MutatedVersionReason, fmt.Sprintf("its manifest is %s now (%s), and was %s", is, proved, was))
	wantNotReady(t, cv, v1alpha1.MutatedVersionReason,
		"kubectl annotate --overwrite -n default componentversion/app delivery.ocm.software/accept-digest="+is.String())
	if cv.Status.ManifestDigest != was.String() {
		t.Errorf("manifest is %s", cv.Status.ManifestDigest)
	}
}

// TestMutatedVersion has a version that is published again with another content.
func TestMutatedVersion(t *testing.T) {
	t.Parallel()
	for _, constraint := range []string{">=1.0.0", "1.0.0"} {
		t.Run(constraint, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			was := s.publishAll(other("1.0.0", "first"))
			cv := s.follow(constraint)
			is := s.publishAll(other("1.0.0", "second"))
			s.Reconcile(cv)
			wantMutated(t, cv, was, is)
			if events := s.Events(); !strings.HasSuffix(events[len(events)-2], was.String()+" when it was used first, retrying in 10m0s") {
				t.Errorf("events are %q, want one without the command", events)
			}
			s.forget()
			s.Reconcile(cv)
			s.wantQuiet(t)
			s.Change(cv, func() { cv.Annotations = map[string]string{v1alpha1.AcceptDigestAnnotation: was.String()} })
			s.Reconcile(cv)
			wantMutated(t, cv, was, is)
			s.Change(cv, func() { cv.Annotations[v1alpha1.AcceptDigestAnnotation] = is.String() })
			s.Reconcile(cv)
			wantReady(t, cv, "1.0.0")
			if got := cv.Status.AcceptedVersions; cv.Status.ManifestDigest != is.String() || len(got) != 1 || got[0].ManifestDigest != is.String() {
				t.Errorf("accepted are %+v", got)
			}
			third := s.publishAll(other("1.0.0", "third"))
			s.Reconcile(cv)
			wantMutated(t, cv, is, third)
			s.publishAll(other("1.0.0", "second"))
			s.Reconcile(cv)
			wantReady(t, cv, "1.0.0")
		})
	}
}

// TestMutatedVersionThatWasUsedBefore goes back to a version that has changed since.
func TestMutatedVersionThatWasUsedBefore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	was := s.publishAll(other("1.0.0", "first"))
	cv := s.follow(">=1.0.0")
	s.release("1.1.0")
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	newer := cv.Status.ManifestDigest
	is := s.publishAll(other("1.0.0", "second"))
	s.Change(cv, func() { cv.Spec.Version.Semver = "1.0.0" })
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.MutatedVersionReason, fmt.Sprintf("its manifest is %s now (nothing proves it: spec.verify is not set), and was %s", is, was))
	if cv.Status.ManifestDigest != newer || cv.Status.ReconciledVersion != "1.1.0" {
		t.Errorf("version in use is %s@%s", cv.Status.ReconciledVersion, cv.Status.ManifestDigest)
	}
}

// TestAddedSignatureIsNoMutation signs a version once more: what was signed stays what it is.
func TestAddedSignatureIsNoMutation(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.store(t, "dev", "dev")
	was := s.publishAll(signed(t, "1.0.0", "dev"))
	cv := s.verified(">=1.0.0", stored("dev")...)
	is := s.publishAll(signed(t, "1.0.0", "dev", "security"))
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if cv.Status.ManifestDigest != is.String() || is == was || !cv.Status.Verified {
		t.Errorf("status is %+v", cv.Status)
	}
	changed := signed(t, "1.0.0", "dev")
	changed.Resources[0].Content = []byte("changed")
	again := s.publishAll(changed)
	s.Reconcile(cv)
	wantMutated(t, cv, is, again)
	s.Change(cv, func() { cv.Spec.Verify = nil })
	resigned := s.publishAll(signed(t, "1.0.0", "dev"))
	s.Reconcile(cv)
	wantMutated(t, cv, is, resigned) // nobody has checked that it is the same
}

// TestContentThatNoSignatureCoversIsExchanged, in the version itself or in one that it refers to. What is signed stays the same.
func TestContentThatNoSignatureCoversIsExchanged(t *testing.T) {
	t.Parallel()
	for name, below := range map[string]bool{"root": false, "nested": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			publish := func(notes string, signers ...string) digest.Digest {
				open := ocmtest.Resource{Name: "notes", Content: []byte(notes), Excluded: true}
				child := ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte("lib")}}}
				root := signed(t, "1.0.0", signers...)
				if below {
					child.Resources = append(child.Resources, open)
				} else {
					root.Resources = append(root.Resources, open)
				}
				root.References = []ocmtest.Reference{{Name: "lib", To: &child}}
				return s.publishAll(child, root)
			}
			s.store(t, "dev", "dev")
			was := publish("first", "dev")
			cv := s.verified(">=1.0.0", stored("dev")...)
			wantReady(t, cv, "1.0.0")
			before := cv.Status.AcceptedVersions[0].ComponentDigest
			is := publish("second", "dev", "security") // the second signature changes the manifest of the root in any case
			s.Reconcile(cv)
			wantMutated(t, cv, was, is)
			owner := map[bool]string{false: app, true: "acme.org/lib"}[below]
			wantNotReady(t, cv, v1alpha1.MutatedVersionReason, "what is signed is the same, but no signature covers notes of "+owner+" 1.0.0")
			if !cv.Status.Verified {
				t.Error("what is in use is not verified any more")
			}
			s.Change(cv, func() { cv.Annotations = map[string]string{v1alpha1.AcceptDigestAnnotation: is.String()} })
			s.Reconcile(cv)
			wantReady(t, cv, "1.0.0")
			if got := cv.Status.AcceptedVersions; len(got) != 1 || got[0].ManifestDigest != is.String() || got[0].ComponentDigest != before {
				t.Errorf("accepted are %+v", got)
			}
		})
	}
}

// TestNothingIsUsedInsteadOfWhatIsPassedOver: the guard has the last word, so nothing says that a version is used before.
func TestNothingIsUsedInsteadOfWhatIsPassedOver(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.store(t, "dev", "dev")
	was := s.publishAll(signed(t, "1.0.0", "dev"))
	cv := s.verified(">=1.0.0", stored("dev")...)
	changed := signed(t, "1.0.0", "dev")
	changed.Resources[0].Content = []byte("changed")
	is := s.publishAll(signed(t, "1.1.0"), changed)
	s.forget()
	s.Reconcile(cv)
	wantMutated(t, cv, was, is)
	for _, event := range s.Events() {
		if strings.Contains(event, "passed over") {
			t.Errorf("event %q, and nothing is used", event)
		}
	}
	if cv.Status.PassedOver != nil {
		t.Errorf("passed over are %+v", cv.Status.PassedOver)
	}
}

// TestObjectsOfBefore have no notes of what was used: the version in use counts.
func TestObjectsOfBefore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	was := s.publishAll(other("1.0.0", "first"))
	cv := s.follow(">=1.0.0")
	noted := cv.Status.DeepCopy()
	s.SetStatus(cv, func() { cv.Status.AcceptedVersions, cv.Status.HighestVersion, cv.Status.SpecDigest = nil, "", "" })
	s.restart(t)
	s.forget()
	s.Reconcile(cv)
	if got := s.registry.Requests(); len(s.Writes()) != 1 || len(s.Events()) > 0 || got["GET manifests"] > 0 {
		t.Errorf("requests are %v, want one write, of the notes, and that nothing is read for it", got)
	}
	noted.AcceptedVersions[0].ComponentDigest = "" // which would have to be read
	if diff := cmp.Diff(noted.AcceptedVersions, cv.Status.AcceptedVersions); diff != "" || cv.Status.HighestVersion != "1.0.0" || cv.Status.SpecDigest != noted.SpecDigest {
		t.Errorf("status is %+v, accepted (-want +got):\n%s", cv.Status, diff)
	}
	s.Reconcile(cv)
	s.wantQuiet(t)
	is := s.publishAll(other("1.0.0", "second"))
	s.Reconcile(cv)
	wantMutated(t, cv, was, is)
	s.publishAll(other("1.1.0", "next"))
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
	if got := cv.Status.AcceptedVersions; len(got) != 2 || got[0].Version != "1.0.0" || got[0].ManifestDigest != was.String() || cv.Status.HighestVersion != "1.1.0" {
		t.Errorf("accepted are %+v, highest is %q", got, cv.Status.HighestVersion)
	}
}

// TestAcceptedVersionsBelongToARepository: another repository may have others.
func TestAcceptedVersionsBelongToARepository(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(other("1.0.0", "first"), other("1.1.0", "next"))
	cv := s.follow("1.1.0")
	mirror := ocmtest.Start(t)
	s.Publish(mirror.URL+"/mirror", other("1.0.0", "mirrored"))
	s.Change(cv, func() { cv.Spec.Repository.URL, cv.Spec.Version.Semver = mirror.URL+"/mirror", ">=1.0.0" })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	if got := cv.Status.AcceptedVersions; len(got) != 1 || got[0].Version != "1.0.0" || cv.Status.HighestVersion != "1.1.0" {
		t.Errorf("accepted are %+v, highest is %q, want that of the component", got, cv.Status.HighestVersion)
	}
}

// TestDowngradePolicy has three versions of which the middle one was in use, and takes it away in one way or another.
func TestDowngradePolicy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy, constraint string
		withdrawn          bool
		want, reason, says string
	}{
		"deny by default":           {"", ">=1.0.0", true, "1.1.0", "", ""},
		"deny, rejected":            {v1alpha1.DowngradeDeny, "<1.1.0", false, "1.0.0", "", ""},
		"allow, withdrawn":          {v1alpha1.DowngradeAllow, ">=1.0.0", true, "1.0.0", "", ""},
		"allow, withdrawn, no more": {v1alpha1.DowngradeAllow, ">=1.1.0", true, "1.1.0", "", ""},
		"allow, rejected":           {v1alpha1.DowngradeAllow, "<1.1.0", false, "1.0.0", "", ""},
		"never, rejected":           {v1alpha1.DowngradeNever, "<1.1.0", false, "", v1alpha1.DowngradeDeniedReason, "1.0.0, which is lower than 1.1.0"},
		"never, exact":              {v1alpha1.DowngradeNever, "1.0.0", false, "", v1alpha1.DowngradeDeniedReason, "1.0.0, which is lower than 1.1.0"},
		"never, withdrawn":          {v1alpha1.DowngradeNever, ">=1.0.0", true, "1.1.0", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0")
			cv := s.follow(">=1.0.0")
			wantReady(t, cv, "1.1.0")
			if tc.withdrawn {
				s.unpublish(t, "1.1.0")
			}
			s.Change(cv, func() { cv.Spec.Version = v1alpha1.Version{Semver: tc.constraint, DowngradePolicy: tc.policy} })
			s.Reconcile(cv)
			if tc.want != "" {
				wantReady(t, cv, tc.want)
			} else {
				wantNotReady(t, cv, tc.reason, tc.says)
			}
			if cv.Status.HighestVersion != "1.1.0" {
				t.Errorf("highest version is %q", cv.Status.HighestVersion)
			}
		})
	}
}

// TestOlderBuildsAreLower: a signed build is mutated, so that it doesn't verify any more. The build before it is no way out.
func TestOlderBuildsAreLower(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{
		"": "1.0.0+2", v1alpha1.DowngradeDeny: "1.0.0+2", v1alpha1.DowngradeNever: "1.0.0+2", v1alpha1.DowngradeAllow: "1.0.0+1",
	} {
		t.Run("policy "+policy, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.store(t, "dev", "dev")
			s.publishAll(signed(t, "1.0.0+1", "dev"), signed(t, "1.0.0+2", "dev"))
			cv := reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
			cv.Spec.Verify, cv.Spec.Version.DowngradePolicy = stored("dev"), policy
			s.Create(cv)
			s.Reconcile(cv)
			wantReady(t, cv, "1.0.0+2")
			s.publishAll(signed(t, "1.0.0+2"))
			s.Reconcile(cv)
			if cv.Status.ReconciledVersion != want || cv.Status.HighestVersion != "1.0.0+2" {
				t.Errorf("version is %s, highest is %s", cv.Status.ReconciledVersion, cv.Status.HighestVersion)
			}
			if policy != v1alpha1.DowngradeAllow {
				wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "lower versions are not used")
			}
			if policy != v1alpha1.DowngradeNever {
				return
			}
			s.Change(cv, func() { cv.Spec.Version.Semver = "1.0.0+1" })
			s.Reconcile(cv)
			wantNotReady(t, cv, v1alpha1.DowngradeDeniedReason, "1.0.0+1, which is lower than 1.0.0+2")
		})
	}
}

// TestNeverIsForever goes back, and then forbids to stay there.
func TestNeverIsForever(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	cv := s.follow(">=1.0.0")
	s.Change(cv, func() { cv.Spec.Version.Semver = "1.0.0" })
	s.Reconcile(cv)
	wantReady(t, cv, "1.0.0")
	s.Change(cv, func() { cv.Spec.Version.DowngradePolicy = v1alpha1.DowngradeNever })
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.DowngradeDeniedReason, "change spec.version.semver, or set spec.version.downgradePolicy to Deny or Allow")
	s.release("1.2.0")
	s.Change(cv, func() { cv.Spec.Version.Semver = ">=1.0.0" })
	s.Reconcile(cv)
	wantReady(t, cv, "1.2.0")
}

// TestNoFallBackBelowTheVersionInUse has a new key that only an older version was signed with.
func TestNoFallBackBelowTheVersionInUse(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{"": "", v1alpha1.DowngradeDeny: "", v1alpha1.DowngradeNever: "", v1alpha1.DowngradeAllow: "1.0.0"} {
		t.Run("policy "+policy, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publishAll(signed(t, "1.0.0", "dev", "security"), signed(t, "1.1.0", "dev"))
			s.store(t, "dev", "dev", "security", "security")
			cv := s.verified(">=1.0.0", stored("dev")...)
			wantReady(t, cv, "1.1.0")
			s.forget()
			s.Change(cv, func() { cv.Spec.Verify, cv.Spec.Version.DowngradePolicy = stored("security"), policy })
			s.Reconcile(cv)
			if want != "" {
				wantReady(t, cv, want)
				if got := cv.Status.PassedOver; len(got) != 1 || got[0].Version != "1.1.0" {
					t.Errorf("passed over are %+v", got)
				}
				return
			}
			wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, `1.1.0: signature "security" does not hold: the component version has none of this name`)
			wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "lower versions are not used, as spec.version.downgradePolicy says")
			if cv.Status.ReconciledVersion != "1.1.0" || len(s.descriptors(t)) != 1 || cv.Status.PassedOver != nil {
				t.Errorf("status is %+v", cv.Status)
			}
			if diff := cmp.Diff("False ComponentVerificationFailed", reconcilertest.Conditions(cv)["Ready"]); diff != "" {
				t.Error(diff)
			}
			if events := s.Events(); len(events) != 3 || !strings.Contains(events[1], "retrying in 10m0s") {
				t.Errorf("events are %q", events)
			}
		})
	}
}
