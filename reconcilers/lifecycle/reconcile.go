package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/jitter"
)

// apiTimeout bounds the lifecycle's own requests to the API server.
const apiTimeout = 30 * time.Second

// Reconcile implements reconcile.Reconciler. It never returns an error that says something about the object: that is
// reported once, as a condition, an event and a log line, and retried by the lifecycle's own backoff.
func (r *Reconciler[T, R]) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	start := time.Now()
	obj, err := r.get(ctx, req)
	if err != nil {
		if apierrors.IsNotFound(err) {
			obj = r.kind.New()
			obj.SetNamespace(req.Namespace)
			obj.SetName(req.Name)
			r.kind.Halt(obj)
			r.forget(req)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !obj.GetDeletionTimestamp().IsZero() {
		return r.end(ctx, req, obj)
	}
	if err := r.keep(ctx, obj); err != nil {
		return r.meets(ctx, err)
	}
	if obj.GetSchedule().Suspend {
		r.waiting.forget(req.NamespacedName)
		r.opts.Metrics.forget(r.kind.Name, req.NamespacedName)
		ctrl.LoggerFrom(ctx).V(1).Info("Suspended, nothing to do")
		before := clone(obj)
		r.kind.Halt(obj)
		return ctrl.Result{}, r.patch(ctx, obj, before)
	}
	defer r.observe(req, start)
	return r.run(ctx, req, obj)
}

// get reads the object from the cache, or past it when the cache has not seen our own last write yet. Deciding on the old
// status would report the same change twice.
func (r *Reconciler[T, R]) get(ctx context.Context, req ctrl.Request) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	obj := r.kind.New()
	if err := r.opts.Client.Get(ctx, req.NamespacedName, obj); err != nil {
		return obj, err
	}
	if !r.written.behind(obj) {
		return obj, nil
	}
	obj = r.kind.New()
	err := r.opts.Live.Get(ctx, req.NamespacedName, obj)
	return obj, err
}

// run runs the steps and writes what came of them.
func (r *Reconciler[T, R]) run(ctx context.Context, req ctrl.Request, obj T) (ctrl.Result, error) {
	before := clone(obj)
	progress, err := r.begin(ctx, obj, before)
	if err != nil {
		return ctrl.Result{}, err
	}
	w := r.work(ctx, obj)
	verdict := w.do(ctx)
	defer func() { w.leave() }()
	base, shown := progress.end(obj)
	if ctx.Err() != nil {
		return ctrl.Result{}, nil // shutting down: the next leader starts over
	}
	if verdict != nil && isNoise(verdict.Err) {
		return r.meets(ctx, verdict.Err)
	}
	out := r.summarise(obj, before, w.run, verdict)
	if left := r.holdBack(req, obj, base, out); left > 0 && !shown {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	if err := r.patch(ctx, obj, base); err != nil {
		return ctrl.Result{}, err
	}
	r.report(ctx, obj, before, out)
	return r.requeue(req, obj, out), nil
}

// begin marks, once for every new generation, that work is in progress, so that kstatus doesn't take the object for done.
func (r *Reconciler[T, R]) begin(ctx context.Context, obj, before T) (*notice[T], error) {
	if r.kind.Instant || slices.ContainsFunc(obj.GetConditions(), concerns(obj)) {
		return &notice[T]{base: before}, nil
	}
	message := r.kind.Progress(obj)
	conditions.Delete(obj, meta.StalledCondition)
	conditions.MarkReconciling(obj, meta.ProgressingReason, "%s", message)
	conditions.MarkUnknown(obj, meta.ReadyCondition, meta.ProgressingReason, "%s", message)
	if r.opts.Patience > 0 {
		return r.announce(ctx, obj, before), nil
	}
	if err := r.patch(ctx, obj, before); err != nil {
		return nil, err
	}
	return &notice[T]{base: clone(obj)}, nil
}

// patch writes the status if it changed.
func (r *Reconciler[T, R]) patch(ctx context.Context, obj, before T) error {
	if equality.Semantic.DeepEqual(obj, before) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	err := r.write(ctx, obj, before)
	if apierrors.IsNotFound(err) {
		return nil // deleted meanwhile
	}
	if err != nil {
		return fmt.Errorf("write the status of %s %s: %w", r.kind.Name, client.ObjectKeyFromObject(obj), err)
	}
	r.written.note(obj)
	return nil
}

// maxWrites bounds how often a status is written anew because others write the object at the same time.
const maxWrites = 5

// write writes the status of this very object. Another one that was made under its name meanwhile is not touched: its first
// generation would seem to be done. The server compares no identities when a status is written, but versions it does; what
// others write beside the status, which nobody else writes, is no reason to do the work again. The error matches
// apierrors.IsNotFound when the object is gone.
func (r *Reconciler[T, R]) write(ctx context.Context, obj, before T) error {
	base := before
	for try := 1; ; try++ {
		err := r.opts.Client.Status().Patch(ctx, obj, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		if !apierrors.IsConflict(err) || try == maxWrites {
			return err
		}
		current := r.kind.New()
		if err := r.opts.Live.Get(ctx, client.ObjectKeyFromObject(obj), current); err != nil {
			return err
		}
		if current.GetUID() != obj.GetUID() {
			return apierrors.NewNotFound(schema.GroupResource{Resource: r.kind.Name}, obj.GetName())
		}
		base = clone(before)
		base.SetResourceVersion(current.GetResourceVersion())
	}
}

// keep sets the finalizer of the kind, before there is anything to undo for the object, and takes those that nobody needs: who deletes the
// object after an uninstallation would wait for ever.
func (r *Reconciler[T, R]) keep(ctx context.Context, obj T) error {
	has := func(finalizer string) bool { return controllerutil.ContainsFinalizer(obj, finalizer) }
	if (r.kind.Finalizer == "" || has(r.kind.Finalizer)) && !slices.ContainsFunc(r.kind.LegacyFinalizers, has) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	before := clone(obj)
	if r.kind.Finalizer != "" {
		controllerutil.AddFinalizer(obj, r.kind.Finalizer)
	}
	for _, finalizer := range r.kind.LegacyFinalizers {
		controllerutil.RemoveFinalizer(obj, finalizer)
	}
	// The list of finalizers is written as a whole, so nobody else may have changed it meanwhile.
	err := r.opts.Client.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return fmt.Errorf("change the finalizers of %s %s: %w", r.kind.Name, client.ObjectKeyFromObject(before), err)
	}
	r.written.note(obj)
	return nil
}

// end undoes what lies outside the cluster for a deleted object, and lets it go.
func (r *Reconciler[T, R]) end(ctx context.Context, req ctrl.Request, obj T) (ctrl.Result, error) {
	r.kind.Halt(obj)
	if r.kind.Undo != nil && controllerutil.ContainsFinalizer(obj, r.kind.Finalizer) {
		if err := r.kind.Undo(ctx, obj); err != nil {
			ctrl.LoggerFrom(ctx).Info("The deletion goes on later", "cause", err.Error())
			if verdict, ok := errors.AsType[*Verdict](err); ok && verdict.After > 0 {
				return ctrl.Result{RequeueAfter: verdict.After}, nil
			}
			return ctrl.Result{RequeueAfter: r.backoff.When(req)}, nil
		}
	}
	r.forget(req)
	if err := r.release(ctx, obj); err != nil {
		return r.meets(ctx, err)
	}
	return ctrl.Result{}, nil
}

// meets answers the error of a write. One that met a newer version of what it writes, or
// nothing any more, says nothing about the object.
func (r *Reconciler[T, R]) meets(ctx context.Context, err error) (ctrl.Result, error) {
	if !isNoise(err) && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, err
	}
	ctrl.LoggerFrom(ctx).V(1).Info("Met a newer version, trying again", "cause", err.Error())
	return ctrl.Result{RequeueAfter: r.opts.MinRetryDelay}, nil
}

// release lets a deleted object go.
func (r *Reconciler[T, R]) release(ctx context.Context, obj T) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	before := clone(obj)
	released := false
	for _, finalizer := range append([]string{r.kind.Finalizer}, r.kind.LegacyFinalizers...) {
		released = controllerutil.RemoveFinalizer(obj, finalizer) || released
	}
	if !released {
		return nil
	}
	// Somebody else's finalizer that came meanwhile would be lost with the list.
	err := r.opts.Client.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("take the finalizer from %s %s: %w", r.kind.Name, client.ObjectKeyFromObject(before), err)
	}
	return nil
}

// requeue says when to look at the object again.
func (r *Reconciler[T, R]) requeue(req ctrl.Request, obj T, out outcome) ctrl.Result {
	after := r.delay(req, obj, out)
	if left := time.Until(r.kind.Until(obj)); left > 0 && (after == 0 || left < after) {
		after = left
	}
	return ctrl.Result{RequeueAfter: after}
}

// delay is for how long nobody needs to look at the object, as far as the outcome of its reconciliation goes; zero is for ever.
func (r *Reconciler[T, R]) delay(req ctrl.Request, obj T, out outcome) time.Duration {
	if out.verdict == nil || !out.verdict.backsOff() && out.verdict.kind != busy {
		r.backoff.Forget(req)
	}
	schedule := obj.GetSchedule()
	interval := cmp.Or(schedule.Interval.Duration, r.kind.Every)
	switch {
	case out.verdict == nil, out.verdict.kind == stall:
	case out.verdict.After > 0:
		return out.verdict.After
	case out.verdict.backsOff():
		return r.backoff.When(req)
	case out.verdict.kind == fail:
		interval = cmp.Or(schedule.GetRetryInterval(), r.kind.Every)
	}
	return jitter.JitteredIntervalDuration(interval)
}

func (r *Reconciler[T, R]) forget(req ctrl.Request) {
	r.backoff.Forget(req)
	r.written.forget(req.NamespacedName)
	r.waiting.forget(req.NamespacedName)
	r.interrupted.forget(req.NamespacedName)
	r.opts.Metrics.forget(r.kind.Name, req.NamespacedName)
	if r.opts.Durations != nil {
		r.opts.Durations.DeleteDuration(reference(r.kind.Name, req))
	}
}

func (r *Reconciler[T, R]) observe(req ctrl.Request, start time.Time) {
	if r.opts.Durations != nil {
		r.opts.Durations.RecordDuration(reference(r.kind.Name, req), start)
	}
}

// clone returns a deep copy of an object.
func clone[T Object](obj T) T {
	copied, ok := obj.DeepCopyObject().(T)
	if !ok {
		panic(fmt.Sprintf("deep copy of %T is something else", obj)) // generated code can't do that
	}
	return copied
}
