package componentversion_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// fault makes a registry fail for now where the path of a request has an end.
func (s *stage) fault(status int, ends ...string) {
	s.registry.Inject(func(w http.ResponseWriter, request *http.Request) bool {
		for _, end := range ends {
			if strings.HasSuffix(request.URL.Path, end) {
				http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, status) // in the form of a registry, so that it counts
				return true
			}
		}
		return false
	})
}

// TestNoProofByOldKeys: who can make a registry fail can't keep a key in use that was taken away.
func TestNoProofByOldKeys(t *testing.T) {
	t.Parallel()
	const lists, older, used, newer = "/tags/list", "/manifests/1.0.0", "/manifests/1.1.0", "/manifests/1.2.0"
	missing := func(s *stage) { s.store(t) }
	replaced := func(s *stage) { s.store(t, "dev", "somebody") }
	added := func(s *stage) { s.store(t, "dev", "dev", "other", "somebody") }
	both := func(s *stage) {
		secret := s.store(t, "dev", "dev")
		s.Change(secret, func() { secret.Data["dev"] = append(key(t, "somebody"), key(t, "dev")...) })
	}
	for name, tc := range map[string]struct {
		keys   func(*stage)
		policy string
		fault  string
		stands bool
		says   string
	}{
		"missing, listing":      {missing, "", lists, false, "has nothing under the key"},
		"missing, tag":          {missing, "", used, false, "has nothing under the key"},
		"replaced, listing":     {replaced, "", lists, false, `1.1.0: signature "dev" does not hold`},
		"replaced, tag":         {replaced, "", used, false, `1.1.0: signature "dev" does not hold`},
		"replaced, newer":       {replaced, "", newer, false, `1.1.0: signature "dev" does not hold`},
		"replaced, lower":       {replaced, v1alpha1.DowngradeAllow, older, false, `1.1.0: signature "dev" does not hold`},
		"same, listing":         {added, "", lists, true, ""},
		"holds by two, listing": {both, "", lists, true, ""},
		"holds by two, newer":   {both, "", newer, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publishAll(signed(t, "1.0.0", "dev"), signed(t, "1.1.0", "dev"))
			s.store(t, "dev", "dev")
			cv := reconcilertest.ComponentVersion("app", s.url, app, ">=1.0.0")
			cv.Spec.Verify, cv.Spec.Version.DowngradePolicy = stored("dev"), tc.policy
			s.Create(cv)
			s.Reconcile(cv)
			wantReady(t, cv, "1.1.0")
			proof := cv.Status.Proof
			if tc.fault == newer {
				s.publishAll(signed(t, "1.2.0"))
			}
			tc.keys(s)
			s.fault(http.StatusBadRequest, tc.fault)
			s.forget()
			s.Reconcile(cv)
			if tc.stands {
				if got := reconcilertest.Conditions(cv); got["Ready"] != "True Succeeded" || !cv.Status.Verified {
					t.Errorf("conditions are %v, verified is %t, want that what is proven stands", got, cv.Status.Verified)
				}
				if strings.HasPrefix(name, "holds") == (cv.Status.Proof == proof) {
					t.Errorf("the proof is %s, and was %s", cv.Status.Proof, proof)
				}
			} else {
				wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, tc.says)
				if cv.Status.Verified || cv.Status.Proof != "" || cv.Status.Signatures != nil || cv.Status.ReconciledVersion != "1.1.0" {
					t.Errorf("status is %+v", cv.Status)
				}
			}
			s.registry.Heal()
			s.store(t, "dev", "dev")
			s.Reconcile(cv)
			wantReady(t, cv, "1.1.0")
			if !cv.Status.Verified || cv.Status.Proof != proof {
				t.Errorf("status is %+v, want the old proof with the old key", cv.Status)
			}
			s.forget()
			s.Reconcile(cv)
			s.wantQuiet(t)
		})
	}
}

// TestNewVersionCanNotBeFetched: it is proven, but not in use, while what is in use isn't proven any more.
func TestNewVersionCanNotBeFetched(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.publishAll(signed(t, "1.0.0", "dev"))
	s.store(t, "dev", "dev")
	cv := s.verified(">=1.0.0", stored("dev")...)
	wantReady(t, cv, "1.0.0")
	next := signed(t, "1.1.0")
	next.Signatures = []ocmtest.Signature{signature(t, "dev", "somebody")}
	s.publishAll(next)
	s.store(t, "dev", "somebody")
	s.Refuse("create ComponentDescriptor", errors.New("quota exceeded"))
	s.Reconcile(cv)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, `1.0.0: signature "dev" does not hold: it was made with another key`)
	wantNotReady(t, cv, v1alpha1.ComponentVerificationFailedReason, "quota exceeded")
	if cv.Status.Verified || cv.Status.ReconciledVersion != "1.0.0" {
		t.Errorf("status is %+v", cv.Status)
	}
	s.Refuse("create ComponentDescriptor", nil)
	s.Reconcile(cv)
	wantReady(t, cv, "1.1.0")
}

// TestContentThatMustNotBeReadIsNoVerdict: a newer version can't be looked at, which is no fault of the one in use.
func TestContentThatMustNotBeReadIsNoVerdict(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.publishAll(signed(t, "1.0.0", "dev"))
			s.store(t, "dev", "dev")
			cv := s.verified(">=1.0.0", stored("dev")...)
			s.publishAll(signed(t, "1.1.0", "dev"))
			s.fault(status, digestOf("data of 1.1.0"))
			s.Reconcile(cv)
			if got := reconcilertest.Conditions(cv); got["Ready"] != "True Succeeded" || got["Reconciling"] != "True ProgressingWithRetry" || !cv.Status.Verified {
				t.Errorf("conditions are %v, want that what is in use stands", got)
			}
			s.registry.Heal()
			s.Reconcile(cv)
			wantReady(t, cv, "1.1.0")
			first := reconcilertest.ComponentVersion("first", s.url, app, ">=1.1.0")
			first.Spec.Verify = stored("dev")
			s.restart(t)
			s.fault(status, digestOf("data of 1.1.0"))
			s.Create(first)
			s.Reconcile(first)
			wantNotReady(t, first, v1alpha1.ComponentVerificationFailedReason, "1.1.0: resource data:1.1.0")
		})
	}
}
