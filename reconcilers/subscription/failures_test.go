package subscription_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

// TestConflict publishes another content under a version that was replicated: nothing is overwritten, which is said once.
func TestConflict(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0")
	sub := s.subscribe()
	wantReady(t, sub, "1.1.0")
	there := s.manifest(s.destination, "1.1.0")
	changed := component("1.1.0")
	changed.Resources[0].Content = []byte("something else")
	s.publish(changed)
	s.forget()
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.1.0", "overwritePolicy")
	if got := s.manifest(s.destination, "1.1.0"); got != there {
		t.Errorf("the destination has %s, want what it had, %s", got, there)
	}
	if sub.Status.ReplicatedVersion != "1.1.0" || sub.Status.ReplicatedDigest != there {
		t.Errorf("status is %+v, want what is at the destination", sub.Status)
	}
	failure := sub.Status.LastFailure
	if failure == nil || failure.Reason != v1alpha1.TransferConflictReason || failure.Version != "1.1.0" || sub.Status.History[0].Result != v1alpha1.ReplicationFailed {
		t.Errorf("last failure is %+v, history %+v", failure, sub.Status.History)
	}
	if events := s.Events(); len(events) == 0 || !strings.HasPrefix(events[len(events)-1], "Warning TransferConflict") {
		t.Errorf("events are %q, want the conflict", events)
	}
	for range 3 {
		s.forget()
		s.settle(sub)
		if events := s.Events(); len(events) > 0 {
			t.Errorf("events are %q, want none: it is the same conflict", events)
		}
		wantFailed(t, sub, v1alpha1.TransferConflictReason)
		if got := len(sub.Status.History); got != 2 {
			t.Errorf("the history has %d entries, want 2: the same failure is one", got)
		}
	}
	s.change(sub, func() { sub.Spec.OverwritePolicy = v1alpha1.OverwriteAllow })
	wantReady(t, sub, "1.1.0")
	if got := s.manifest(s.destination, "1.1.0"); got == there || got != sub.Status.ReplicatedDigest {
		t.Errorf("the destination has %s, want what the source has now", got)
	}
	if sub.Status.LastFailure == nil {
		t.Error("the last failure is gone, want it to stay after a success")
	}
}

// TestConflictBelow has another content at the destination of what the component refers to. As long as both sides have what they had, it
// is known without a copy, and nothing is written.
func TestConflictBelow(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	lib := func(content string) ocmtest.Component {
		return ocmtest.Component{Name: "acme.org/lib", Version: "1.0.0", Resources: []ocmtest.Resource{{Name: "data", Content: []byte(content)}}}
	}
	theirs, ours := lib("theirs"), lib("ours")
	root := component("1.0.0")
	root.References = []ocmtest.Reference{{Name: "lib", To: &ours}}
	s.Publish(s.destination, theirs)
	s.publish(ours)
	s.publish(root)
	sub := s.subscribe()
	wantFailed(t, sub, v1alpha1.TransferConflictReason, "acme.org/lib", "overwritePolicy")
	for range 3 {
		s.rests(sub)
		wantFailed(t, sub, v1alpha1.TransferConflictReason, "acme.org/lib", "overwritePolicy")
		if got := s.to.Requests(); cmp.Diff(map[string]int{"HEAD manifests": 1}, got) != "" {
			t.Errorf("requests at the destination are %v, want a look at what is in the way", got)
		}
	}
	s.Publish(s.destination, ours)
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
}

// TestOneFailureKeepsNoOther has a newest version that can't be replicated.
func TestOneFailureKeepsNoOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "1.1.0", "1.2.0", "1.3.0")
	other := component("1.3.0")
	other.Resources[0].Content = []byte("something else")
	s.Publish(s.destination, other)
	sub := s.subscribe(all(3))
	wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.3.0")
	if diff := cmp.Diff([]string{"1.1.0", "1.2.0", "1.3.0"}, s.at(s.destination)); diff != "" {
		t.Errorf("versions at the destination (-want +got):\n%s", diff)
	}
	if sub.Status.ReplicatedVersion != "1.2.0" || sub.Status.LatestVersion != "1.3.0" || len(sub.Status.ReplicatedVersions) != 2 {
		t.Errorf("status is %+v", sub.Status)
	}
	s.forget()
	s.settle(sub)
	if events := s.Events(); len(events) > 0 {
		t.Errorf("events are %q, want none", events)
	}
	s.release("1.4.0")
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.3.0")
	if sub.Status.ReplicatedVersion != "1.4.0" {
		t.Errorf("replicatedVersion is %s, want the new version in spite of the conflict", sub.Status.ReplicatedVersion)
	}
}

// TestSides has registries that answer badly.
func TestSides(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]side{
		"source down": {
			func(s *stage) { s.from.Inject(answerAll(http.StatusBadGateway)) },
			v1alpha1.PullingLatestVersionFailedReason, "True Succeeded",
			[]string{"list the versions of " + app},
		},
		"source denies": {
			func(s *stage) { s.from.RequireLogin("user", "password") },
			v1alpha1.AuthenticationFailedReason, "False " + v1alpha1.AuthenticationFailedReason,
			[]string{"spec.source"},
		},
		"destination denies": {
			func(s *stage) { s.to.RequireLogin("user", "password") },
			v1alpha1.AuthenticationFailedReason, "False " + v1alpha1.AuthenticationFailedReason,
			[]string{"spec.destination"},
		},
		"destination is down": {
			func(s *stage) { s.to.Inject(answerAll(http.StatusBadGateway)) },
			v1alpha1.TransferFailedReason, "True Succeeded", nil,
		},
		"destination is full": {
			func(s *stage) {
				s.to.Inject(refuseWrites(http.StatusInsufficientStorage))
			},
			v1alpha1.DestinationFullReason, "True Succeeded",
			[]string{"no room"},
		},
		"destination is read-only": {
			func(s *stage) { s.to.Inject(refuseWrites(http.StatusMethodNotAllowed)) },
			v1alpha1.TransferFailedReason, "True Succeeded",
			[]string{"read-only"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.check(t)
		})
	}
}

// side is a registry that answers badly.
type side struct {
	fault func(s *stage)
	// first is the reason of one that was never ready, and later what one comes to that was.
	first, later string
	message      []string
}

// check meets it with a subscription that was never ready, and with one that was.
func (tc side) check(t *testing.T) {
	t.Helper()
	s := newStage(t)
	s.release("1.0.0")
	tc.fault(s)
	sub := s.subscribe()
	wantFailed(t, sub, tc.first, tc.message...)

	s = newStage(t)
	s.release("1.0.0")
	sub = s.subscribe()
	wantReady(t, sub, "1.0.0")
	tc.fault(s)
	s.settle(sub)
	if got := condition(sub); got != tc.later {
		t.Errorf("Ready is %q after it was ready, want %q", got, tc.later)
	}
	if sub.Status.ReplicatedVersion != "1.0.0" || len(sub.Status.ReplicatedVersions) != 1 {
		t.Errorf("status is %+v, want nothing of it lost", sub.Status)
	}
}

// answerAll answers everything with a status.
func answerAll(status int) ocmtest.Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		return true
	}
}

// refuseWrites answers every attempt to store something with a status.
func refuseWrites(status int) ocmtest.Fault {
	return func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet || req.Method == http.MethodHead {
			return false
		}
		w.WriteHeader(status)
		return true
	}
}
