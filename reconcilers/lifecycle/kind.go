package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/metrics"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// Object is what the lifecycle needs of a custom resource.
type Object interface {
	client.Object
	conditions.Setter
	// GetSchedule returns when the object wants to be reconciled, and whether at all.
	GetSchedule() v1alpha1.Schedule
	// GetStatus returns the part of the status that the lifecycle writes, inside the object.
	GetStatus() *v1alpha1.CommonStatus
}

// Step is one named piece of a kind's work.
type Step[R any] struct {
	// Name is the verb that logs and metrics show.
	Name string
	// Run does the work on the run struct of this reconciliation. See the package comment for what its error means.
	Run func(ctx context.Context, run R) error
	// Light steps come first and look at nothing but what is cached. They need no turn; after waiting for one they are done
	// again, because what they have seen may be old by then.
	Light bool
}

// Kind is what one kind adds to the lifecycle. R is its run struct: the object and what the steps hand to each other.
type Kind[T Object, R any] struct {
	// Name of the kind, as in `kubectl get <name>`.
	Name string
	// New returns an empty object.
	New func() T
	// Begin makes the run struct of one reconciliation. The events are those of the kind, for steps that report a change.
	Begin func(obj T, events Events) R
	// Steps are run in order until one returns an error.
	Steps []Step[R]
	// Ready returns the message of the condition Ready after the last step.
	Ready func(run R) string
	// Delivered returns what notifications can say about a finished reconciliation, as the annotations of its event; nil says
	// nothing.
	Delivered func(obj T) map[string]string
	// Progress returns the message of the condition Reconciling; a default names the kind.
	Progress func(obj T) string
	// Instant kinds take no time worth showing: no object of theirs is marked as in progress first.
	Instant bool
	// Every is the interval of kinds whose objects have none of their own; zero leaves them to their watches.
	Every time.Duration
	// Until returns when something that the status says ceases to hold; the object is looked at again by then, and not only when
	// its interval is over. A time that is zero or past says nothing; so does nil.
	Until func(obj T) time.Time
	// Halt ends what goes on beside the steps for an object that is suspended, deleted or gone; one that is gone has nothing but its
	// name. What it changes in the status of a suspended object is written. It may be nil.
	Halt func(obj T)
	// Finalizer keeps deleted objects until Undo returns nil. It is for what lies outside the cluster, and is found by nothing but
	// the object; both are empty for all other kinds, so that no deletion of theirs ever waits.
	Finalizer string
	// Undo takes away what lies outside the cluster for a deleted object. After an error it is asked again, for a *Verdict with a
	// time by then; how long it goes on like that is bounded by Undo itself.
	Undo func(ctx context.Context, obj T) error
	// LegacyFinalizers are what others have set, and nobody needs. They are removed from all objects.
	LegacyFinalizers []string
}

// Options are the lifecycle's dependencies, the same for all kinds.
type Options struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads past the cache.
	Live client.Reader
	// Recorder writes events.
	Recorder record.EventRecorder
	// Metrics are the reconcile durations and failures; may be nil.
	Metrics *Metrics
	// Durations is Flux's recorder of gotk_reconcile_duration_seconds; may be nil.
	Durations *metrics.Recorder
	// Gate lets the work in by turns; nil lets everything in.
	Gate *Gate
	// Patience is how long an object may be worked on, or wait for others, before its status says so; zero says it at once.
	Patience time.Duration
	// MinRetryDelay and MaxRetryDelay bound the backoff after passing faults.
	MinRetryDelay, MaxRetryDelay time.Duration
}

// Reconciler runs one kind.
type Reconciler[T Object, R any] struct {
	kind    Kind[T, R]
	opts    Options
	backoff workqueue.TypedRateLimiter[reconcile.Request]
	written *freshness
	waiting *waiting
	// interrupted are the faults that were reported before work began beside the steps.
	interrupted *interrupted
}

// New returns the reconciler of a kind. A missing dependency is an error here rather than a panic later.
func New[T Object, R any](kind Kind[T, R], o Options) (*Reconciler[T, R], error) {
	switch {
	case kind.Name == "" || kind.New == nil || kind.Begin == nil || kind.Ready == nil || len(kind.Steps) == 0:
		return nil, fmt.Errorf("kind %q is incomplete: Name, New, Begin, Steps and Ready are required", kind.Name)
	case (kind.Finalizer == "") != (kind.Undo == nil):
		return nil, fmt.Errorf("kind %q is incomplete: Finalizer and Undo are for each other", kind.Name)
	case o.Client == nil || o.Live == nil || o.Recorder == nil:
		return nil, fmt.Errorf("options of kind %q are incomplete: Client, Live and Recorder are required", kind.Name)
	}
	if o.MinRetryDelay <= 0 {
		o.MinRetryDelay = 750 * time.Millisecond
	}
	if o.MaxRetryDelay < o.MinRetryDelay {
		o.MaxRetryDelay = max(15*time.Minute, o.MinRetryDelay)
	}
	if kind.Delivered == nil {
		kind.Delivered = func(T) map[string]string { return nil }
	}
	if kind.Until == nil {
		kind.Until = func(T) time.Time { return time.Time{} }
	}
	if kind.Halt == nil {
		kind.Halt = func(T) {}
	}
	if kind.Progress == nil {
		kind.Progress = func(obj T) string {
			return fmt.Sprintf("reconciliation in progress for %s", client.ObjectKeyFromObject(obj))
		}
	}
	return &Reconciler[T, R]{
		kind:    kind,
		opts:    o,
		backoff: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](o.MinRetryDelay, o.MaxRetryDelay),
		written: newFreshness(),
		waiting: newWaiting(),

		interrupted: newInterrupted(),
	}, nil
}

var _ reconcile.Reconciler = (*Reconciler[Object, struct{}])(nil)

// events returns the events of the object whose reconciliation the context is for.
func (r *Reconciler[T, R]) events(ctx context.Context) Events {
	return Events{recorder: r.opts.Recorder, log: ctrl.LoggerFrom(ctx)}
}

// ControllerOptions are the options that every controller of the operator has, with the number of objects that it
// reconciles at once. The log lines of a reconciliation name the object; what controllers say of themselves is a detail.
func ControllerOptions(mgr ctrl.Manager, kind string, concurrent int) controller.Options {
	log := mgr.GetLogger().WithName(kind)
	return controller.Options{
		MaxConcurrentReconciles: max(concurrent, 1),
		LogConstructor: func(req *reconcile.Request) logr.Logger {
			if req == nil {
				return log.V(1)
			}
			return log.WithValues("name", req.Name, "namespace", req.Namespace, "reconciler kind", kind)
		},
	}
}
