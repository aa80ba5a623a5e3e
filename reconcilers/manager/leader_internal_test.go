package manager

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	k8stesting "k8s.io/client-go/testing"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/registry/replica"
)

// leaseName is the lease of these tests.
const leaseName = "ocm-operator-leader"

// candidate is one replica of several in a cluster.
func candidate(t *testing.T, cluster *fake.Clientset, name string, now func() time.Time) (*leadership, *resourcelock.LeaseLock) {
	t.Helper()
	l := &leadership{leases: cluster.CoordinationV1(), duration: 10 * time.Second, now: now}
	l.lock = &resourcelock.LeaseLock{
		LeaseMeta: metav1.ObjectMeta{Namespace: "ocm-system", Name: leaseName}, Client: observed{l},
		LockConfig: resourcelock.ResourceLockConfig{Identity: name + "_1@" + name + ":5000"},
	}
	return l, l.lock
}

func record(lock *resourcelock.LeaseLock, transitions int) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: lock.Identity(), LeaderTransitions: transitions, LeaseDurationSeconds: 10}
}

// held is a lease as it is read.
func held(lock *resourcelock.LeaseLock, transitions int, uid types.UID) *coordinationv1.Lease {
	r := record(lock, transitions)
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: leaseName, UID: uid}, Spec: resourcelock.LeaderElectionRecordToLeaseSpec(&r)}
}

// TestLeadershipMoves from one replica to another, as both of them see it.
func TestLeadershipMoves(t *testing.T) {
	t.Parallel()
	cluster, clock := fake.NewClientset(), time.Now()
	now := func() time.Time { return clock }
	one, oneLock := candidate(t, cluster, "one", now)
	two, twoLock := candidate(t, cluster, "two", now)
	wants := func(when string, first, second replica.Leader) {
		t.Helper()
		if one.Leader() != first || two.Leader() != second {
			t.Errorf("%s: the first sees %+v, want %+v; the second %+v, want %+v", when, one.Leader(), first, two.Leader(), second)
		}
	}
	look := func(locks ...*resourcelock.LeaseLock) {
		t.Helper()
		for _, lock := range locks {
			if _, _, err := lock.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	wants("at the begin", replica.Leader{}, replica.Leader{})
	if err := oneLock.Create(t.Context(), record(oneLock, 0)); err != nil {
		t.Fatal(err)
	}
	look(twoLock)
	wants("elected", replica.Leader{Self: true}, replica.Leader{Address: "one:5000"})

	clock = clock.Add(9 * time.Second)
	if err := oneLock.Update(t.Context(), record(oneLock, 0)); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(9 * time.Second)
	wants("renewed", replica.Leader{Self: true}, replica.Leader{Address: "one:5000"})
	clock = clock.Add(time.Second)
	wants("not renewed for the time of a lease", replica.Leader{}, replica.Leader{Address: "one:5000"})

	look(twoLock)
	if err := twoLock.Update(t.Context(), record(twoLock, 1)); err != nil {
		t.Fatal(err)
	}
	look(oneLock)
	wants("taken over", replica.Leader{Address: "two:5000"}, replica.Leader{Self: true})
	two.saw(held(oneLock, 0, ""))
	two.saw(held(oneLock, 1, ""))
	wants("news of before", replica.Leader{Address: "two:5000"}, replica.Leader{Self: true})

	if err := twoLock.Update(t.Context(), resourcelock.LeaderElectionRecord{LeaderTransitions: 1, LeaseDurationSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	look(oneLock)
	wants("released", replica.Leader{}, replica.Leader{})
}

// TestLeaseMadeAnew: one that was deleted and made again counts from zero, and what is known of the first one is worth nothing.
func TestLeaseMadeAnew(t *testing.T) {
	t.Parallel()
	cluster := fake.NewClientset()
	_, oneLock := candidate(t, cluster, "one", time.Now)
	two, twoLock := candidate(t, cluster, "two", time.Now)
	three, threeLock := candidate(t, cluster, "three", time.Now)
	wants := func(when, address string) {
		t.Helper()
		if got := three.Leader(); got != (replica.Leader{Address: address}) {
			t.Errorf("%s: it sees %+v, want %q", when, got, address)
		}
	}
	three.saw(held(oneLock, 5, "a"))
	wants("at the begin", "one:5000")
	three.saw(held(twoLock, 0, "b"))
	wants("seen as another one", "two:5000")
	three.lost(held(oneLock, 5, "a"))
	wants("news of the end of the first one", "two:5000")
	three.lost(toolscache.DeletedFinalStateUnknown{Obj: held(twoLock, 0, "b")})
	wants("the end of the second one", "")
	three.saw(held(oneLock, 5, "c"))
	if _, _, err := threeLock.Get(t.Context()); !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	wants("nothing was found", "")

	if err := twoLock.Create(t.Context(), record(twoLock, 0)); err != nil || !two.Leader().Self {
		t.Fatalf("it sees %+v, error %v", two.Leader(), err)
	}
	two.saw(held(oneLock, 0, "d"))
	if got := two.Leader(); got != (replica.Leader{Address: "one:5000"}) {
		t.Errorf("somebody else holds another lease, and it sees %+v", got)
	}
}

// TestLeaseHasWholeSeconds: those who wait for its end know nothing of the rest.
func TestLeaseHasWholeSeconds(t *testing.T) {
	t.Parallel()
	clock := time.Now()
	l, lock := candidate(t, fake.NewClientset(), "one", func() time.Time { return clock })
	l.duration = 1900 * time.Millisecond
	if err := lock.Create(t.Context(), record(lock, 0)); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(999 * time.Millisecond)
	if !l.Leader().Self {
		t.Error("it does not lead within the lease")
	}
	clock = clock.Add(time.Millisecond)
	if l.Leader().Self {
		t.Error("others may hold the lease, and it leads")
	}
}

// TestLeadershipNeedsTheWrite: who could not write the lease does not lead.
func TestLeadershipNeedsTheWrite(t *testing.T) {
	t.Parallel()
	cluster := fake.NewClientset()
	cluster.PrependReactor("create", "leases", func(k8stesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no") })
	l, lock := candidate(t, cluster, "one", time.Now)
	if err := lock.Create(t.Context(), record(lock, 0)); err == nil || l.Leader().Self {
		t.Errorf("error %v, and it sees %+v", err, l.Leader())
	}
}

// TestLeadershipIsWatched: a change is seen without a look at the lease, and so is its end.
func TestLeadershipIsWatched(t *testing.T) {
	t.Parallel()
	access := clustertest.APIServer(t)
	cluster, err := coordinationclient.NewForConfig(access)
	if err != nil {
		t.Fatal(err)
	}
	namespace := clustertest.Namespace(t, access)
	l, _ := candidate(t, fake.NewClientset(), "one", time.Now)
	l.leases, l.lock.LeaseMeta.Namespace = cluster, namespace
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	seen := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); l.Leader().Address != want; {
			if time.Now().After(deadline) {
				t.Fatalf("it sees %+v, want %q", l.Leader(), want)
			}
			<-time.After(time.Millisecond)
		}
	}
	holder, transitions := "two_1@two:5000", int32(3)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: leaseName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &transitions},
	}
	leases := cluster.Leases(namespace)
	if lease, err = leases.Create(t.Context(), lease, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	seen("two:5000")
	holder, transitions = strings.ReplaceAll(holder, "two", "three"), 4
	lease.Spec.HolderIdentity, lease.Spec.LeaseTransitions = &holder, &transitions
	if _, err := leases.Update(t.Context(), lease, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	seen("three:5000")
	if err := leases.Delete(t.Context(), leaseName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seen("")
}
