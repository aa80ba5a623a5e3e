package manager

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/watch"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/ocm-operator/ocm-operator/reconcilers/options"
	"github.com/ocm-operator/ocm-operator/registry/replica"
)

// leaderAgent is how requests about the lease are known to the API server.
const leaderAgent = "leader-election"

// leadership knows which replica leads, and where it is reached: the address is part of the name that the holder of the lease
// has written into it, so one can't be known without the other.
type leadership struct {
	leases   coordinationclient.LeasesGetter
	lock     *resourcelock.LeaseLock
	duration time.Duration
	now      func() time.Time

	mu sync.Mutex
	// renewed is when this replica last began to write the lease with success; zero when it does not hold it.
	renewed time.Time
	// holder is who holds it otherwise, and transitions how often it has changed hands by then.
	holder      string
	transitions int
	// lease is which one that is: one that was deleted and made again counts from zero.
	lease types.UID
}

// +kubebuilder:rbac:roleName=leader-election,namespace=own,groups=coordination.k8s.io,resources=leases,verbs=create
// +kubebuilder:rbac:roleName=leader-election,namespace=own,groups=coordination.k8s.io,resources=leases,resourceNames=--leader-election-id,verbs=get;list;watch;update

// newLeadership makes the lock by which the leader is elected. Others reach this replica at the address.
func newLeadership(config *rest.Config, o *options.Options, address string) (*leadership, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("find a name for the leader election: %w", err)
	}
	config = rest.AddUserAgent(rest.CopyConfig(config), leaderAgent)
	// One request that hangs must not cost the lease.
	config.Timeout = max(o.Leader.RenewDeadline/2, time.Second)
	leases, err := coordinationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the leader election: %w", err)
	}
	l := &leadership{leases: leases, duration: o.Leader.LeaseDuration, now: time.Now}
	l.lock = &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: o.LeaseName},
		Client:     observed{l},
		LockConfig: resourcelock.ResourceLockConfig{Identity: name + "_" + string(uuid.NewUUID()) + "@" + address},
	}
	return l, nil
}

// Leader returns who leads now. A replica that could not renew the lease for so long that another one may hold it does not
// lead any more, though its process may not have noticed.
func (l *leadership) Leader() replica.Leader {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.renewed.IsZero() {
		// A lease has whole seconds: others wait no longer.
		return replica.Leader{Self: l.now().Sub(l.renewed) < l.duration.Truncate(time.Second)}
	}
	if l.holder == l.lock.Identity() {
		// Somebody gave the lease back to a name that knows nothing of it.
		return replica.Leader{}
	}
	// Versions without an address in their name are asked by nobody.
	_, address, _ := strings.Cut(l.holder, "@")
	return replica.Leader{Address: address}
}

// observed is the client of the lock with leadership looking on: the lock itself does not tell which lease it has seen.
type observed struct{ leadership *leadership }

// Leases implements coordinationclient.LeasesGetter.
func (o observed) Leases(namespace string) coordinationclient.LeaseInterface {
	return observedLeases{LeaseInterface: o.leadership.leases.Leases(namespace), leadership: o.leadership}
}

type observedLeases struct {
	coordinationclient.LeaseInterface

	leadership *leadership
}

// Get notes who holds the lease, or that there is none.
func (o observedLeases) Get(ctx context.Context, name string, opts metav1.GetOptions) (*coordinationv1.Lease, error) {
	lease, err := o.LeaseInterface.Get(ctx, name, opts)
	switch {
	case err == nil:
		o.leadership.saw(lease)
	case apierrors.IsNotFound(err):
		o.leadership.gone("")
	}
	return lease, err
}

// Create notes that this replica holds the lease, if it was made.
func (o observedLeases) Create(ctx context.Context, lease *coordinationv1.Lease, opts metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return o.leadership.write(func() (*coordinationv1.Lease, error) { return o.LeaseInterface.Create(ctx, lease, opts) })
}

// Update notes who holds the lease now, if it was written.
func (o observedLeases) Update(ctx context.Context, lease *coordinationv1.Lease, opts metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	return o.leadership.write(func() (*coordinationv1.Lease, error) { return o.LeaseInterface.Update(ctx, lease, opts) })
}

// write notes when a write began that succeeded: others count from when they see it, which is later.
func (l *leadership) write(write func() (*coordinationv1.Lease, error)) (*coordinationv1.Lease, error) {
	begin := l.now()
	lease, err := write()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.note(lease)
	if l.holder == l.lock.Identity() {
		l.renewed = begin
	}
	return lease, nil
}

// note takes over what a lease says. The caller holds mu.
func (l *leadership) note(lease *coordinationv1.Lease) {
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	l.renewed, l.holder, l.transitions, l.lease = time.Time{}, record.HolderIdentity, record.LeaderTransitions, lease.UID
}

// saw notes who holds the lease. What was overtaken by a later holder is ignored, unless it is another lease.
func (l *leadership) saw(lease *coordinationv1.Lease) {
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	l.mu.Lock()
	defer l.mu.Unlock()
	holder, transitions := record.HolderIdentity, record.LeaderTransitions
	same := lease.UID == l.lease
	if holder == l.lock.Identity() || same && (transitions < l.transitions || !l.renewed.IsZero() && transitions == l.transitions) {
		return
	}
	l.note(lease)
}

// gone notes that there is no lease. The news that one has gone says nothing about the one that was made since; it is empty
// when there is none at all.
func (l *leadership) gone(lease types.UID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease == "" || lease == l.lease {
		l.renewed, l.holder, l.transitions, l.lease = time.Time{}, "", 0, ""
	}
}

// Start watches the lease: candidates look at it only every few seconds. It implements manager.Runnable.
func (l *leadership) Start(ctx context.Context) error {
	one := fields.OneTermEqualSelector(metav1.ObjectNameField, l.lock.LeaseMeta.Name).String()
	leases := l.leases.Leases(l.lock.LeaseMeta.Namespace)
	_, informer := toolscache.NewInformerWithOptions(toolscache.InformerOptions{
		ListerWatcher: &toolscache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				o.FieldSelector = one
				return leases.List(ctx, o)
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				o.FieldSelector = one
				return leases.Watch(ctx, o)
			},
		},
		ObjectType: &coordinationv1.Lease{},
		Handler: toolscache.ResourceEventHandlerFuncs{
			AddFunc:    l.notice,
			UpdateFunc: func(_, obj any) { l.notice(obj) },
			DeleteFunc: l.lost,
		},
	})
	informer.RunWithContext(ctx)
	return nil
}

func (l *leadership) notice(obj any) {
	if lease, ok := obj.(*coordinationv1.Lease); ok {
		l.saw(lease)
	}
}

func (l *leadership) lost(obj any) {
	if unknown, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = unknown.Obj
	}
	if lease, ok := obj.(*coordinationv1.Lease); ok {
		l.gone(lease.UID)
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*leadership) NeedLeaderElection() bool { return false }
