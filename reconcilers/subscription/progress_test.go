package subscription_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
)

// hold keeps requests that store something waiting until it is let go.
func (s *stage) hold() (release func()) {
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	s.t.Cleanup(release)
	s.to.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			select {
			case <-gate:
			case <-req.Context().Done():
			}
		}
		return false
	})
	return release
}

// holdContent keeps those waiting who ask the source for a content, until it is let go.
func (s *stage) holdContent(content string) (release func()) {
	gate := make(chan struct{})
	release = sync.OnceFunc(func() { close(gate) })
	s.t.Cleanup(release)
	s.from.Inject(func(_ http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, digest.FromString(content).String()) {
			select {
			case <-gate:
			case <-req.Context().Done():
			}
		}
		return false
	})
	return release
}

// begin creates a subscription whose replication goes on.
func (s *stage) begin() *v1alpha1.ComponentSubscription {
	s.t.Helper()
	sub := subscriptionOf(s)
	s.Create(sub)
	s.eventually("a replication that goes on", func() bool {
		s.Reconcile(sub)
		return isBusy(sub) && sub.Status.Progress != nil
	})
	return sub
}

func TestProgress(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	release := s.hold()
	sub := s.begin()
	if !conditions.IsUnknown(sub, meta.ReadyCondition) || !strings.Contains(reconcilertest.Message(sub, meta.ReconcilingCondition), "replicating version 1.0.0 to "+s.destination) {
		t.Errorf("conditions are %v, %q", reconcilertest.Conditions(sub), reconcilertest.Message(sub, meta.ReconcilingCondition))
	}
	if got := sub.Status.Progress; got.Version != "1.0.0" || got.Phase == "" || sub.Status.LastAttemptedVersion != "1.0.0" || sub.Status.ReplicatedVersion != "" {
		t.Errorf("progress is %+v in %+v", got, sub.Status)
	}
	s.forget()
	for range 5 {
		s.Reconcile(sub)
	}
	s.quiet() // it is written every ten seconds at most
	if requests := s.from.Requests(); requests["GET tags"] > 0 {
		t.Errorf("requests %v while a replication goes on, want no listing", requests)
	}
	release()
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
}

func TestSuspendStopsAReplication(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	release := s.hold()
	sub := s.begin()
	s.Change(sub, func() { sub.Spec.Suspend = true })
	s.Reconcile(sub)
	if sub.Status.Progress != nil || condition(sub) != "False Suspended" || conditions.Has(sub, meta.ReconcilingCondition) {
		t.Errorf("conditions are %v, progress %+v, want that nothing goes on", reconcilertest.Conditions(sub), sub.Status.Progress)
	}
	s.gone(sub)
	release()
	if got := s.at(s.destination); len(got) > 0 {
		t.Errorf("the destination has %v, want nothing: it was stopped", got)
	}
	s.forget()
	s.Reconcile(sub)
	s.quiet()
	s.change(sub, func() { sub.Spec.Suspend = false })
	wantReady(t, sub, "1.0.0")
}

func TestDeletionStopsAReplicationAndLeavesTheDestination(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	sub := s.subscribe()
	wantReady(t, sub, "1.0.0")
	s.release("1.1.0")
	s.hold()
	s.eventually("a replication that goes on", func() bool {
		s.Reconcile(sub)
		return isBusy(sub)
	})
	if len(sub.Finalizers) > 0 {
		t.Errorf("finalizers are %v, want none: nothing has to be undone", sub.Finalizers)
	}
	s.Delete(sub)
	s.Reconcile(sub)
	s.gone(sub)
	if got := s.at(s.destination); len(got) != 1 || got[0] != "1.0.0" {
		t.Errorf("the destination has %v, want what was replicated, and nothing of the rest", got)
	}
}

// TestChangeStopsAReplication wants another destination while a replication goes on.
func TestChangeStopsAReplication(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	release := s.hold()
	sub := s.begin()
	s.Change(sub, func() { sub.Spec.Destination = nil })
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
	s.gone(sub)
	release()
	if got := s.at(s.destination); len(got) > 0 {
		t.Errorf("the destination has %v, want nothing", got)
	}
}

// TestSlowProof has a source that takes long to be verified: the pool does that, and the reconciliation doesn't wait.
func TestSlowProof(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.keys("dev")
	s.publish(s.signed("1.0.0", "dev"))
	release := s.holdContent("data of 1.0.0")
	sub := subscriptionOf(s)
	verify("dev")(sub)
	s.Create(sub)
	s.eventually("a verification that goes on", func() bool {
		s.Reconcile(sub)
		return isBusy(sub)
	})
	if got := reconcilertest.Message(sub, meta.ReconcilingCondition); !strings.Contains(got, "verifying version 1.0.0 at "+s.source) {
		t.Errorf("conditions are %v, %q", reconcilertest.Conditions(sub), got)
	}
	release()
	s.settle(sub)
	wantReady(t, sub, "1.0.0")
	if !sub.Status.Verified {
		t.Error("it was not verified")
	}
}

// TestOneWritesToAnArchive has two subscriptions with one archive: the second waits for its turn, and not in a worker.
func TestOneWritesToAnArchive(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	repositories, err := access.New(access.Options{
		Live: s.Client, Transport: http.DefaultTransport, AllowedHosts: []string{"127.0.0.1"}, Archives: access.ArchiveOptions{Dir: t.TempDir()},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Repositories = repositories
	s.install()
	s.release("1.0.0", "1.1.0")
	release := s.holdContent("data of 1.0.0")
	first, second := subscriptionOf(s), subscriptionOf(s)
	first.Spec.Semver, second.Spec.Semver, second.Name = "1.0.0", "1.1.0", "second"
	first.Spec.Destination.URL, second.Spec.Destination.URL = "ctf::all.tgz", "ctf::all.tgz"
	for i, sub := range []*v1alpha1.ComponentSubscription{first, second} {
		s.Create(sub)
		s.Reconcile(sub)
		if _, state, _ := s.Transfers().Look(ownerOf(sub)); state.Running != (i == 0) || state.Queued != i {
			t.Errorf("state of %s is %+v, want that one runs and the other waits", sub.Name, state)
		}
	}
	release()
	for _, sub := range []*v1alpha1.ComponentSubscription{first, second} {
		s.settle(sub)
		wantReady(t, sub, sub.Spec.Semver)
	}
}

// TestChangedWithoutDestination publishes another content under a version that was accepted.
func TestChangedWithoutDestination(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.release("1.0.0")
	sub := s.subscribe(onlyFollowed)
	wantReady(t, sub, "1.0.0")
	before := sub.Status.ReplicatedDigest
	changed := component("1.0.0")
	changed.Resources[0].Content = []byte("something else")
	s.publish(changed)
	s.settle(sub)
	wantFailed(t, sub, v1alpha1.MutatedVersionReason, before, "overwritePolicy")
	if sub.Status.ReplicatedDigest != before {
		t.Errorf("replicatedDigest is %s, want what was accepted", sub.Status.ReplicatedDigest)
	}
	s.change(sub, func() { sub.Spec.OverwritePolicy = v1alpha1.OverwriteAllow })
	wantReady(t, sub, "1.0.0")
	if sub.Status.ReplicatedDigest == before {
		t.Error("replicatedDigest is what it was, want what the source has now")
	}
}

// TestAnotherSignatureIsNoConflict signs a version once more that was replicated.
func TestAnotherSignatureIsNoConflict(t *testing.T) {
	t.Parallel()
	for name, adjust := range map[string]func(*v1alpha1.ComponentSubscription){"replicated": func(*v1alpha1.ComponentSubscription) {}, "followed": onlyFollowed} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.keys("dev")
			s.publish(s.signed("1.0.0", "dev"))
			sub := s.subscribe(verify("dev"), adjust)
			wantReady(t, sub, "1.0.0")
			before := sub.Status.ReplicatedDigest
			s.publish(s.signed("1.0.0", "dev", "ops"))
			s.settle(sub)
			wantReady(t, sub, "1.0.0")
			if sub.Status.ReplicatedDigest == before {
				t.Error("replicatedDigest is what it was, want the version with both signatures")
			}
		})
	}
}
