package subscription_test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// slowly keeps those waiting who ask the destination whether it has a version, until it is let go. Then they get the answer, if it is
// not zero. It counts who asked.
func (s *stage) slowly(version string, answer int) (asked *atomic.Int32, release func()) {
	asked = &atomic.Int32{}
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	s.t.Cleanup(release)
	s.to.Inject(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodHead || !strings.HasSuffix(manifestURL(s.destination, version), req.URL.Path) {
			return false
		}
		asked.Add(1)
		select {
		case <-gate:
			return false
		default:
		}
		select {
		case <-gate:
		case <-req.Context().Done():
		}
		if answer != 0 {
			w.WriteHeader(answer)
		}
		return answer != 0
	})
	return asked, release
}

// goes reconciles an object until something goes on for it, and returns the key of that.
func (s *stage) goes(sub *v1alpha1.ComponentSubscription) string {
	s.t.Helper()
	s.eventually("something that goes on", func() bool {
		s.Reconcile(sub)
		return isBusy(sub)
	})
	return s.key(sub)
}

// key names what the pool does for an object.
func (s *stage) key(sub *v1alpha1.ComponentSubscription) string {
	key, _, _ := s.Transfers().Look(ownerOf(sub))
	return key
}

// TestSlowCheck has a destination that takes long to say what it has: the pool asks it, the reconciliation doesn't wait, and takes what
// came of that.
func TestSlowCheck(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mode   string
		lost   bool
		answer int
		ready  string
		result string
	}{
		"all is there":       {"", false, 0, "True Succeeded", v1alpha1.ReplicationSucceeded},
		"lost, and repaired": {"", true, 0, "True Succeeded", v1alpha1.ReplicationRepaired},
		"lost, and reported": {v1alpha1.DriftWarn, true, 0, "False " + v1alpha1.DestinationDriftedReason, v1alpha1.ReplicationSucceeded},
		"nobody knows":       {"", false, http.StatusForbidden, "False " + v1alpha1.AuthenticationFailedReason, v1alpha1.ReplicationSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0", "1.2.0")
			sub := s.subscribe(all(3), drift(tc.mode))
			wantReady(t, sub, "1.2.0")
			s.settle(sub)
			asked, release := s.slowly("1.1.0", tc.answer)
			s.goes(sub)
			if got := reconcilertest.Message(sub, meta.ReconcilingCondition); !strings.Contains(got, "checking version 1.1.0 at "+s.destination) || condition(sub) != "True Succeeded" {
				t.Errorf("conditions are %v, %q, want that it is ready and what goes on", reconcilertest.Conditions(sub), got)
			}

			other := subscriptionOf(s)
			other.Name, other.Spec.Destination.URL = "other", s.to.URL+"/other"
			s.Create(other)
			s.settle(other) // while the check goes on
			wantReady(t, other, "1.2.0")
			if s.Reconcile(sub); !isBusy(sub) {
				t.Errorf("conditions are %v before there is an answer", reconcilertest.Conditions(sub))
			}

			if tc.lost {
				s.lose("1.1.0")
			}
			before := asked.Load()
			release()
			s.settle(sub)
			if got := condition(sub); got != tc.ready {
				t.Errorf("Ready is %q, %q, want %q", got, reconcilertest.Message(sub, meta.ReadyCondition), tc.ready)
			}
			if got := sub.Status.History[0].Result; got != tc.result {
				t.Errorf("history begins with %+v, want %s", sub.Status.History[0], tc.result)
			}
			if got := asked.Load() - before; got > 1 && tc.result != v1alpha1.ReplicationRepaired { // which asks for itself
				t.Errorf("it was asked %d times more after the answer, want that the outcome is used", got)
			}
		})
	}
}

// TestSlowCheckIsFollowed has more versions to check when one has taken long: the pool makes those checks, too, until the next interval.
func TestSlowCheckIsFollowed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0", "1.2.0")
	sub := s.subscribe(all(3))
	s.settle(sub)
	_, release := s.slowly("1.1.0", 0)
	s.goes(sub)
	release()
	s.await(sub)
	s.Reconcile(sub)
	if key := s.key(sub); !isBusy(sub) || !strings.HasPrefix(key, "check ") || !strings.Contains(key, " 1.0.0@") {
		t.Errorf("%q goes on, want the check of the next version", key)
	}
	s.settle(sub)
	wantReady(t, sub, "1.2.0")
	if s.Reconcile(sub); isBusy(sub) {
		t.Errorf("%q goes on, want that a destination that is quick is asked at once", s.key(sub))
	}
}

// TestSlowCheckIsStopped changes what a check depends on while it goes on.
func TestSlowCheckIsStopped(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(s *stage, sub *v1alpha1.ComponentSubscription)
		// ends tells that nothing takes its place.
		ends bool
	}{
		"other destination": {func(s *stage, sub *v1alpha1.ComponentSubscription) {
			s.Change(sub, func() { sub.Spec.Destination.URL = s.to.URL + "/other" })
		}, false},
		"no destination": {func(s *stage, sub *v1alpha1.ComponentSubscription) {
			s.Change(sub, func() { onlyFollowed(sub) })
		}, true},
		"no detection": {func(s *stage, sub *v1alpha1.ComponentSubscription) {
			s.Change(sub, func() { drift(v1alpha1.DriftDisabled)(sub) })
		}, true},
		"suspended": {func(s *stage, sub *v1alpha1.ComponentSubscription) {
			s.Change(sub, func() { sub.Spec.Suspend = true })
		}, true},
		"deleted": {func(s *stage, sub *v1alpha1.ComponentSubscription) { s.Delete(sub) }, true},
		"other keys": {func(s *stage, _ *v1alpha1.ComponentSubscription) {
			secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("keys")}
			s.Change(secret, func() { secret.Data["dev"] = secretOf(s, "other") })
		}, true},
		"other credentials": {func(s *stage, _ *v1alpha1.ComponentSubscription) {
			secret := login("writer", "writer", "")
			s.Change(secret, func() { secret.Data["password"] = []byte("another") })
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.keys("dev")
			s.publish(s.signed("1.0.0", "dev"))
			s.Create(login("writer", "writer", "one"))
			sub := s.subscribe(verify("dev"), func(sub *v1alpha1.ComponentSubscription) {
				sub.Spec.Destination.SecretRef = &meta.LocalObjectReference{Name: "writer"}
			})
			wantReady(t, sub, "1.0.0")
			s.slowly("1.0.0", 0)
			key := s.goes(sub)
			if !strings.HasPrefix(key, "check ") {
				t.Fatalf("%q goes on, want a check", key)
			}
			tc.change(s, sub)
			s.Reconcile(sub)
			if s.key(sub) == key {
				t.Error("the check goes on that nobody wants any more")
			}
			if tc.ends {
				s.gone(sub)
			}
		})
	}
}
