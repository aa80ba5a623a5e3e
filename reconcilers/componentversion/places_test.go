package componentversion

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	there  = "registry.example.com"
	mirror = "mirror.example.com"
)

var (
	atSource, atMirror = digest.FromString("source"), digest.FromString("mirror")
	policy             = &access.Policy{Fingerprint: "keys"}
)

// used is an object with a verified version in use, be it transferred or not.
func used(transferred bool) *v1alpha1.ComponentVersion {
	cv := &v1alpha1.ComponentVersion{}
	cv.Spec.Component, cv.Spec.Repository.URL = "acme.org/app", there
	status := &cv.Status
	status.ComponentDescriptor, status.ReconciledVersion = &v1alpha1.Reference{Name: "acme.org/app"}, "1.0.0"
	status.ReplicatedRepositoryURL, status.ManifestDigest = there, atSource.String()
	if transferred {
		cv.Spec.Destination = &v1alpha1.Repository{URL: mirror}
		status.ReplicatedRepositoryURL, status.ManifestDigest = mirror, atMirror.String()
		status.SourceRepositoryURL, status.SourceManifestDigest = there, atSource.String()
	}
	status.Verified, status.Proof = true, policy.Proof(digest.Digest(status.ManifestDigest))
	return cv
}

// TestWhereAVersionIsFoundAndRead: what was accepted goes by the place and the digest that it was found with, what is pinned and
// proven by those that it is read with.
func TestWhereAVersionIsFoundAndRead(t *testing.T) {
	t.Parallel()
	type change = func(*v1alpha1.ComponentVersion)
	unchanged := func(*v1alpha1.ComponentVersion) {}
	remove := func(cv *v1alpha1.ComponentVersion) { cv.Spec.Destination = nil }
	move := func(cv *v1alpha1.ComponentVersion) {
		cv.Spec.Destination = &v1alpha1.Repository{URL: "other.example.com"}
	}
	for name, tc := range map[string]struct {
		transferred bool
		change      change
		// inUse and accepted are by the digest at the source; held is by that it is read with; proven is whether it needs no other proof.
		inUse, held digest.Digest
		proven      bool
		reason      string
	}{
		"not transferred":       {false, unchanged, atSource, atSource, true, "both places are the same"},
		"transferred":           {true, unchanged, atSource, atMirror, true, "each place has its digest"},
		"destination added":     {false, move, atSource, "", false, "it is the same version, which is not there yet"},
		"destination changed":   {true, move, atSource, "", false, "it is the same version, which is not there yet"},
		"destination removed":   {true, remove, atSource, "", false, "it is the same version, and nothing was proven of the source"},
		"repository changed":    {true, func(cv *v1alpha1.ComponentVersion) { cv.Spec.Repository.URL = "other.example.com" }, "", "", false, "nothing was accepted from there"},
		"repository, no copy":   {false, func(cv *v1alpha1.ComponentVersion) { cv.Spec.Repository.URL = "other.example.com" }, "", "", false, "nothing was accepted from there"},
		"component changed":     {true, func(cv *v1alpha1.ComponentVersion) { cv.Spec.Component = "acme.org/web" }, "", "", false, "it is another component"},
		"places are exchanged":  {true, func(cv *v1alpha1.ComponentVersion) { cv.Spec.Repository.URL, cv.Spec.Destination.URL = mirror, there }, "", "", false, "what was read is no source"},
		"source is what's read": {true, func(cv *v1alpha1.ComponentVersion) { remove(cv); cv.Spec.Repository.URL = mirror }, "", "", false, "nothing was found there"},
		"never reconciled":      {false, func(cv *v1alpha1.ComponentVersion) { cv.Status = v1alpha1.ComponentVersionStatus{} }, "", "", false, "nothing is in use"},
		"other keys":            {true, func(cv *v1alpha1.ComponentVersion) { cv.Status.Proof = "sha256:0" }, atSource, atMirror, false, "the proof is by others"},
		"proof of the source": {
			true, func(cv *v1alpha1.ComponentVersion) { cv.Status.Proof = policy.Proof(atSource) }, atSource, atMirror, false, "nothing is proven of what is read",
		},
	} {
		cv := used(tc.transferred)
		tc.change(cv)
		r := &run{obj: cv, policy: policy}
		found := candidate{"1.0.0", atSource}
		if got := r.isInUse(found); got != (tc.inUse != "") || got && r.inUse().manifest != tc.inUse {
			t.Errorf("%s: in use is %v: %s", name, r.inUse(), tc.reason)
		}
		if got := r.held(); got.manifest != tc.held || r.isHeld(candidate{"1.0.0", atMirror}) != (tc.held == atMirror) || r.isHeld(candidate{"1.0.0", atSource}) != (tc.held == atSource) {
			t.Errorf("%s: held is %v, want %s: %s", name, got, tc.held, tc.reason)
		}
		if got := r.proven(found, time.Now()); got != tc.proven {
			t.Errorf("%s: proven is %t: %s", name, got, tc.reason)
		}
		if r.isInUse(candidate{"1.0.0", atMirror}) || r.proven(candidate{"1.0.0", atMirror}, time.Now()) {
			t.Errorf("%s: what is read counts as what was found", name)
		}
		accepted, ok := r.accepted("1.0.0")
		if ok != (tc.inUse != "") || ok && accepted.ManifestDigest != tc.inUse.String() {
			t.Errorf("%s: accepted is %v, want the digest at the source", name, accepted)
		}
	}
}

// TestProofStandsForWhatIsInUse: another place to read from says nothing about what is in use until it is read from there.
func TestProofStandsForWhatIsInUse(t *testing.T) {
	t.Parallel()
	cv := used(true)
	r := &run{obj: cv, policy: policy}
	cv.Spec.Destination.URL = "other.example.com"
	if !r.stands(time.Now()) {
		t.Error("the version in use was proven, and still is what it was")
	}
	r.policy = &access.Policy{Fingerprint: "others"}
	if r.stands(time.Now()) {
		t.Error("the proof is by other keys")
	}
}

// TestUnlessLate lets the version in use be proven in the pool for as long as a reconciliation may take.
func TestUnlessLate(t *testing.T) {
	t.Parallel()
	goesOn := lifecycle.Busy(meta.ProgressingReason, errors.New("verifying"))
	for name, tc := range map[string]struct {
		proving digest.Digest
		since   time.Duration
		stays   bool
	}{
		"begun":           {atMirror, 0, true},
		"too late":        {atMirror, v1alpha1.DefaultTimeout, false},
		"another version": {atSource, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cv := used(true)
			cv.Spec.Verify, cv.Status.Verified = []v1alpha1.Signature{{Name: "dev"}}, false
			conditions.MarkTrue(cv, meta.ReadyCondition, meta.SucceededReason, "ready")
			r := &run{obj: cv, policy: policy, proving: candidate{"1.0.0", tc.proving}, provingSince: time.Now().Add(-tc.since)}
			err := (&controller{}).honest(func(context.Context, *run) error { return goesOn })(t.Context(), r)
			if v, ok := errors.AsType[*lifecycle.Verdict](err); !ok || v.Final() == tc.stays {
				t.Errorf("verdict is %v, want that it stays ready: %t", err, tc.stays)
			}
		})
	}
}
