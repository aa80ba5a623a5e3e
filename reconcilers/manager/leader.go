package manager

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
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
}

// newLeadership makes the lock by which the leader is elected.
func newLeadership(config *rest.Config, o *options.Options) (*leadership, error) {
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
	return &leadership{
		leases: leases,
		lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: leaseName},
			Client:     leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: name + "_" + string(uuid.NewUUID()) + "@" + o.Registry.Advertise},
		},
		duration: o.Leader.LeaseDuration,
		now:      time.Now,
	}, nil
}

// Leader returns who leads now. A replica that could not renew the lease for so long that another one may hold it does not
// lead any more, though its process may not have noticed.
func (l *leadership) Leader() replica.Leader {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.renewed.IsZero() {
		return replica.Leader{Self: l.now().Sub(l.renewed) < l.duration}
	}
	if l.holder == l.lock.Identity() {
		// Somebody gave the lease back to a name that knows nothing of it.
		return replica.Leader{}
	}
	// Versions without an address in their name are asked by nobody.
	_, address, _ := strings.Cut(l.holder, "@")
	return replica.Leader{Address: address}
}

// observed is the lock with leadership looking on.
type observed struct {
	*resourcelock.LeaseLock
	leadership *leadership
}

// Get implements resourcelock.Interface.
func (o observed) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := o.LeaseLock.Get(ctx)
	if err == nil {
		o.leadership.saw(record.HolderIdentity, record.LeaderTransitions)
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (o observed) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return o.leadership.write(record, func() error { return o.LeaseLock.Create(ctx, record) })
}

// Update implements resourcelock.Interface.
func (o observed) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return o.leadership.write(record, func() error { return o.LeaseLock.Update(ctx, record) })
}

// write notes when a write began that succeeded: others count from when they see it, which is later.
func (l *leadership) write(record resourcelock.LeaderElectionRecord, write func() error) error {
	begin := l.now()
	if err := write(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed, l.holder, l.transitions = time.Time{}, record.HolderIdentity, record.LeaderTransitions
	if record.HolderIdentity == l.lock.Identity() {
		l.renewed = begin
	}
	return nil
}

// saw notes who holds the lease. What was overtaken by a later holder is ignored.
func (l *leadership) saw(holder string, transitions int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if holder == l.lock.Identity() || transitions < l.transitions || !l.renewed.IsZero() && transitions == l.transitions {
		return
	}
	l.renewed, l.holder, l.transitions = time.Time{}, holder, transitions
}

// gone notes that there is no lease.
func (l *leadership) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed, l.holder, l.transitions = time.Time{}, "", 0
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
			DeleteFunc: func(any) { l.gone() },
		},
	})
	informer.RunWithContext(ctx)
	return nil
}

func (l *leadership) notice(obj any) {
	if lease, ok := obj.(*coordinationv1.Lease); ok {
		record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
		l.saw(record.HolderIdentity, record.LeaderTransitions)
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (*leadership) NeedLeaderElection() bool { return false }
