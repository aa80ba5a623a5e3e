package subscription_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	corev1 "k8s.io/api/core/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// changed returns another content of a version.
func changed(version string) ocmtest.Component {
	c := component(version)
	c.Resources[0].Content = []byte("something else")
	return c
}

// series returns versions, the oldest first.
func series(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("1.%d.0", i))
	}
	return all
}

// sum returns how many requests were counted.
func sum(requests map[string]int) int {
	n := 0
	for _, count := range requests {
		n += count
	}
	return n
}

// TestConflictIsNoWayBack publishes another content of the version in use, where an older one is wanted, too.
func TestConflictIsNoWayBack(t *testing.T) {
	t.Parallel()
	for _, p := range []string{v1alpha1.DowngradeDeny, v1alpha1.DowngradeNever, v1alpha1.DowngradeAllow} {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0")
			sub := s.subscribe(all(2), policy(p))
			wantReady(t, sub, "1.1.0")
			before := sub.Status.ReplicatedDigest
			s.publish(changed("1.1.0"))
			s.settle(sub)
			wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.1.0")
			if sub.Status.ReplicatedVersion != "1.1.0" || sub.Status.ReplicatedDigest != before {
				t.Errorf("%s %s is in use, want 1.1.0, which the destination has still", sub.Status.ReplicatedVersion, sub.Status.ReplicatedDigest)
			}
		})
	}
}

// TestDriftOfTheVersionInUse loses a version that is in use because a newer one can't be replicated.
func TestDriftOfTheVersionInUse(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string][]string{v1alpha1.DriftEnabled: {"1.0.0", "1.1.0"}, v1alpha1.DriftWarn: {"1.1.0"}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.keys("dev")
			s.publish(s.signed("1.0.0", "dev"))
			sub := s.subscribe(drift(mode), verify("dev"))
			wantReady(t, sub, "1.0.0")
			s.Publish(s.destination, changed("1.1.0"))
			s.publish(s.signed("1.1.0", "dev"))
			s.settle(sub)
			wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.1.0")
			s.lose("1.0.0")
			s.forget()
			s.settle(sub)
			wantFailed(t, sub, v1alpha1.TransferConflictReason, "1.1.0")
			if diff := cmp.Diff(want, s.at(s.destination)); diff != "" {
				t.Errorf("at the destination (-want +got):\n%s", diff)
			}
			repaired := strings.Contains(strings.Join(s.Events(), "\n"), "Repaired version 1.0.0")
			told := strings.Contains(reconcilertest.Message(sub, meta.ReadyCondition), "no longer has what was copied: version 1.0.0")
			if enabled := mode == v1alpha1.DriftEnabled; repaired != enabled || told == enabled {
				t.Errorf("repaired is %t, told is %t: %q", repaired, told, reconcilertest.Message(sub, meta.ReadyCondition))
			}
			if sub.Status.ReplicatedVersion != "1.0.0" || !sub.Status.Verified || len(sub.Status.Signatures) != 1 {
				t.Errorf("status is %+v, want the version in use with its proof", sub.Status)
			}
		})
	}
}

// TestDriftOfReplacedContent loses the version in use, of which the source has another content now.
func TestDriftOfReplacedContent(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	sub := s.subscribe()
	s.publish(changed("1.0.0"))
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.TransferConflictReason)
	s.ask(http.MethodDelete, blobURL(s.destination, "data of 1.0.0"), nil)
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.TransferConflictReason, "no longer has what was copied: version 1.0.0")
}

// TestFullList has a status that is full of versions that nobody wants any more.
func TestFullList(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0", "9.0.0")
	sub := s.subscribe(semver(">=9"))
	wantReady(t, sub, "9.0.0")
	const most = 2000
	for i := range most - 1 {
		entry := sub.Status.ReplicatedVersions[0]
		entry.Version = fmt.Sprintf("8.0.%d", most-i)
		sub.Status.ReplicatedVersions = append(sub.Status.ReplicatedVersions, entry)
	}
	if err := s.Client.Status().Update(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	s.change(sub, func() { sub.Spec.Semver = "1.x" })
	wantReady(t, sub, "1.0.0")
	known := sub.Status.ReplicatedVersions
	if len(known) != most || known[most-1].Version != "1.0.0" || known[0].Version != "9.0.0" || known[most-2].Version != "8.0.3" {
		t.Errorf("the status has %d versions, from %s to %s, want the oldest one gone that nobody wants", len(known), known[0].Version, known[len(known)-1].Version)
	}
}

// TestSideEndsTheRound has a destination that answers nothing well: the other versions would meet the same.
func TestSideEndsTheRound(t *testing.T) {
	t.Parallel()
	const few, tries = 10, 4
	for name, tc := range map[string]struct {
		fault  ocmtest.Fault
		reason string
		most   int
	}{
		"denies":                        {answerAll(http.StatusUnauthorized), v1alpha1.AuthenticationFailedReason, few},
		"full":                          {refuseWrites(http.StatusInsufficientStorage), v1alpha1.DestinationFullReason, few},
		"read-only":                     {refuseWrites(http.StatusMethodNotAllowed), v1alpha1.TransferFailedReason, few},
		"down":                          {answerAll(http.StatusServiceUnavailable), v1alpha1.TransferFailedReason, few * tries},
		"behind a proxy, takes nothing": {refuseWrites(http.StatusBadGateway), v1alpha1.TransferFailedReason, few * tries},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release(series(20)...)
			var well atomic.Bool
			s.to.Inject(func(w http.ResponseWriter, req *http.Request) bool { return !well.Load() && tc.fault(w, req) })
			sub := s.subscribe(all(20))
			wantFailed(t, sub, tc.reason)
			for range 2 {
				s.forget()
				s.settle(sub)
				wantFailed(t, sub, tc.reason)
				s.wantShortRound(tc.most)
			}
			if len(sub.Status.History) != 1 || sub.Status.History[0].Version != "1.19.0" {
				t.Errorf("history is %+v, want the newest version alone", sub.Status.History)
			}
			well.Store(true)
			s.settle(sub)
			wantReady(t, sub, "1.19.0")
		})
	}
}

// wantShortRound checks that nothing was asked for but one version, and that the status was not written for others.
func (s *stage) wantShortRound(most int) {
	s.t.Helper()
	if got := s.to.Requests(); sum(got) > most {
		s.t.Errorf("requests at the destination are %v, want those of one version, %d", got, most)
	}
	if got := s.from.Requests()["GET tags"]; got != 1 {
		s.t.Errorf("%d listings, want one", got)
	}
	if writes := s.Writes(); len(writes) > 2 {
		s.t.Errorf("writes %q, want that it goes on, and how it ended", writes)
	}
}

// TestSourceOfOneVersion can't give what one version has: the others are replicated.
func TestSourceOfOneVersion(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]ocmtest.Fault{
		"denies": answerAll(http.StatusUnauthorized), "away": answerAll(http.StatusBadGateway), "cuts off": cutOff,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.release("1.0.0", "1.1.0", "1.2.0")
			s.from.Inject(func(w http.ResponseWriter, req *http.Request) bool {
				return strings.HasSuffix(req.URL.Path, digest.FromString("data of 1.2.0").String()) && fault(w, req)
			})
			sub := s.subscribe(all(3))
			if diff := cmp.Diff([]string{"1.0.0", "1.1.0"}, s.at(s.destination)); diff != "" {
				t.Errorf("at the destination (-want +got):\n%s", diff)
			}
			if got := condition(sub); !strings.HasPrefix(got, "False ") || sub.Status.ReplicatedVersion != "1.1.0" {
				t.Errorf("Ready is %q with version %s in use, want the failure of 1.2.0 and the newest version that is there", got, sub.Status.ReplicatedVersion)
			}
			s.from.Heal()
			s.settle(sub)
			wantReady(t, sub, "1.2.0")
		})
	}
}

// cutOff closes a connection without an answer.
func cutOff(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

// TestRoundOfManyVersions replicates many versions: the source is listed once, and the status is not written for each of them.
func TestRoundOfManyVersions(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*v1alpha1.ComponentSubscription){"replicated": func(*v1alpha1.ComponentSubscription) {}, "followed": onlyFollowed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			const many = 30
			s.release(series(many)...)
			s.forget()
			sub := s.subscribe(all(many), adjust)
			wantReady(t, sub, "1.29.0")
			if got := s.from.Requests()["GET tags"]; got != 1 {
				t.Errorf("%d listings, want one", got)
			}
			const few = 6
			if events := s.Events(); len(events) > few || !slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, "versions, 1.2") && strings.Contains(e, " to 1.0.0,") }) {
				t.Errorf("events are %q, want one for many versions", events)
			}
			if writes := s.Writes(); len(writes) > few {
				t.Errorf("%d writes, want a few", len(writes))
			}
			if got := len(sub.Status.ReplicatedVersions); got != many {
				t.Errorf("the status has %d versions, want %d", got, many)
			}
			s.rests(sub)
		})
	}
}

// TestRestartWithinARound loses what the status did not say yet: it is found at the destination.
func TestRestartWithinARound(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release(series(5)...)
	sub := subscriptionOf(s)
	all(5)(sub)
	s.Create(sub)
	s.eventually("three versions at the destination", func() bool {
		s.Reconcile(sub)
		return len(s.at(s.destination)) == 3
	})
	if got := len(sub.Status.ReplicatedVersions); got >= 3 {
		t.Errorf("the status has %d versions, want some held back", got)
	}
	s.install()
	s.settle(sub)
	wantReady(t, sub, "1.4.0")
	if got := len(sub.Status.ReplicatedVersions); got != 5 {
		t.Errorf("the status has %d versions, want all", got)
	}
}

// TestSuspensionKeepsWhatWasDone suspends within a round.
func TestSuspensionKeepsWhatWasDone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release(series(5)...)
	sub := subscriptionOf(s)
	all(5)(sub)
	s.Create(sub)
	s.eventually("three versions at the destination", func() bool {
		s.Reconcile(sub)
		return len(s.at(s.destination)) == 3
	})
	s.Change(sub, func() { sub.Spec.Suspend = true })
	s.Reconcile(sub)
	if got := len(sub.Status.ReplicatedVersions); got < 2 {
		t.Errorf("the status has %d versions, want what was done before", got)
	}
}

// TestRevoked revokes a key, or changes what is logged in with, while a copy goes on.
func TestRevoked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keys("dev")
	s.publish(s.signed("1.0.0", "dev"))
	sub := s.subscribe(verify("dev"))
	wantReady(t, sub, "1.0.0")
	release := s.hold()
	s.publish(s.signed("1.1.0", "dev"))
	s.Reconcile(sub)
	if !isBusy(sub) {
		t.Fatalf("conditions are %v, want a copy that goes on", sub.Status.Conditions)
	}
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("keys")}
	s.Change(secret, func() { secret.Data["dev"] = secretOf(s, "other") })
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.ComponentVerificationFailedReason)
	if sub.Status.Verified {
		t.Error("the status says that it is verified, by a key that was revoked")
	}
	s.gone(sub)
	release()
	if diff := cmp.Diff([]string{"1.0.0"}, s.at(s.destination)); diff != "" {
		t.Errorf("at the destination (-want +got):\n%s", diff)
	}
}

// TestFailuresThatStand has several versions that can't be replicated: nothing is new about them.
func TestFailuresThatStand(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*v1alpha1.ComponentSubscription){"replicated": func(*v1alpha1.ComponentSubscription) {}, "followed": onlyFollowed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			const many = 12 // more than the history has
			s.release(series(many)...)
			sub := s.subscribe(all(many), adjust)
			wantReady(t, sub, "1.11.0")
			for _, version := range series(many)[many-6:] {
				s.publish(changed(version))
			}
			s.settle(sub)
			s.settle(sub)
			if got := condition(sub); got != "False "+v1alpha1.TransferConflictReason && got != "False "+v1alpha1.MutatedVersionReason {
				t.Fatalf("Ready is %q", got)
			}
			for range 3 {
				s.rests(sub)
			}
		})
	}
}

// TestSignedAgainWhereTheOldManifestIsGone signs a version once more at a source that keeps no manifest without a tag.
func TestSignedAgainWhereTheOldManifestIsGone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keys("dev")
	s.publish(s.signed("1.0.0", "dev"))
	sub := s.subscribe(verify("dev"), onlyFollowed)
	wantReady(t, sub, "1.0.0")
	before := sub.Status.ReplicatedDigest
	s.publish(s.signed("1.0.0", "dev", "ops"))
	s.ask(http.MethodDelete, manifestURL(s.source, before), nil)
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
	if sub.Status.ReplicatedDigest == before {
		t.Error("replicatedDigest is what it was, want the version with both signatures")
	}
}

// TestAnotherComponentHasNoLatestVersion changes the component to one that is not there.
func TestAnotherComponentHasNoLatestVersion(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	sub := s.subscribe()
	wantReady(t, sub, "1.0.0")
	s.change(sub, func() { sub.Spec.Component = "acme.org/other" })
	wantFailed(t, sub, v1alpha1.PullingLatestVersionFailedReason)
	if sub.Status.LatestVersion != "" {
		t.Errorf("latestVersion is %s, want nothing of another component", sub.Status.LatestVersion)
	}
}
