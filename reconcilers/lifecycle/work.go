package lifecycle

import (
	"context"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/ocm/panics"
)

// work is one run of the steps of a kind over an object.
type work[T Object, R any] struct {
	reconciler *Reconciler[T, R]
	obj        T
	run        R
	// leave ends the turn, if there was one.
	leave func()
}

// work makes ready for the steps.
func (r *Reconciler[T, R]) work(ctx context.Context, obj T) *work[T, R] {
	return &work[T, R]{reconciler: r, obj: obj, run: r.kind.Begin(obj, r.events(ctx)), leave: func() {}}
}

// do runs the steps: the light ones, and then, when it is the object's turn, the others.
func (w *work[T, R]) do(ctx context.Context) *Verdict {
	steps := w.reconciler.kind.Steps
	light := 0
	for light < len(steps) && steps[light].Light {
		light++
	}
	if verdict := w.steps(ctx, steps[:light]); verdict != nil || light == len(steps) {
		return verdict
	}
	asked := time.Now()
	leave, err := w.reconciler.opts.Gate.Enter(ctx, w.reconciler.kind.Name)
	if err != nil {
		return verdictOf(ctx, steps[light].Name, err)
	}
	w.leave = leave
	if time.Since(asked) > longAgo {
		w.run = w.reconciler.kind.Begin(w.obj, w.reconciler.events(ctx))
		light = 0
	}
	return w.steps(ctx, steps[light:])
}

// longAgo is the time after which what was read from the cache is read again.
const longAgo = 10 * time.Millisecond

// steps runs steps within the object's timeout.
func (w *work[T, R]) steps(ctx context.Context, steps []Step[R]) *Verdict {
	ctx, cancel := context.WithTimeout(ctx, w.obj.GetSchedule().GetTimeout())
	defer cancel()
	for _, step := range steps {
		start := time.Now()
		err := step.Run(ctx, w.run)
		w.reconciler.opts.Metrics.step(w.reconciler.kind.Name, step.Name, time.Since(start))
		if err == nil {
			continue
		}
		if stack := panics.Stack(err); stack != "" {
			// The message of the condition says that there was one, and nobody could find it by that alone.
			ctrl.LoggerFrom(ctx).Error(err, "A panic was recovered", "step", step.Name, "stack", stack)
		}
		return verdictOf(ctx, step.Name, err)
	}
	return nil
}
