package manager

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	k8stesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/clustertest"
	"github.com/ocm-operator/ocm-operator/registry/replica"
)

// candidate is one replica of several in a cluster.
func candidate(t *testing.T, cluster *fake.Clientset, name string, now func() time.Time) (*leadership, observed) {
	t.Helper()
	l := &leadership{
		leases: cluster.CoordinationV1(), duration: 10 * time.Second, now: now,
		lock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: "ocm-system", Name: leaseName}, Client: cluster.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name + "_1@" + name + ":5000"},
		},
	}
	return l, observed{LeaseLock: l.lock, leadership: l}
}

func record(lock observed, transitions int) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: lock.Identity(), LeaderTransitions: transitions, LeaseDurationSeconds: 10}
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
	look := func(locks ...observed) {
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
	two.saw(oneLock.Identity(), 0)
	two.saw(oneLock.Identity(), 1)
	wants("news of before", replica.Leader{Address: "two:5000"}, replica.Leader{Self: true})

	if err := twoLock.Update(t.Context(), resourcelock.LeaderElectionRecord{LeaderTransitions: 1, LeaseDurationSeconds: 1}); err != nil {
		t.Fatal(err)
	}
	look(oneLock)
	wants("released", replica.Leader{}, replica.Leader{})
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
