package lifecycle

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// busyPatience is how long objects wait without saying so while there is more to do than can be done at once.
const busyPatience = 20 * time.Second

// notice tells, in the status of an object, that work on it is in progress: after a while, so that work which is soon done
// costs one write and not two. Until then, the generation that the status has observed tells that it is about an older one.
type notice[T Object] struct {
	// base is what the server has, as far as we know.
	base T

	timer *time.Timer
	// done is closed when the write came to an end; shown is set if it went well, with the version that it made.
	done    chan struct{}
	shown   T
	version string
	written bool
}

// announce makes a notice of the object, which is marked as in progress already.
func (r *Reconciler[T, R]) announce(ctx context.Context, obj, before T) *notice[T] {
	n := &notice[T]{base: before, shown: clone(obj), done: make(chan struct{})}
	sent := clone(obj)
	n.timer = time.AfterFunc(r.opts.Patience, func() {
		defer close(n.done)
		if err := r.patch(ctx, sent, before); err != nil {
			ctrl.LoggerFrom(ctx).V(1).Info("Progress could not be shown", "cause", err.Error())
			return
		}
		n.version, n.written = sent.GetResourceVersion(), true
	})
	return n
}

// end returns what the server has when the work is done, and whether the notice was written.
func (n *notice[T]) end(obj T) (base T, written bool) {
	if n.timer == nil || n.timer.Stop() {
		return n.base, false
	}
	<-n.done
	if !n.written {
		return n.base, false
	}
	n.shown.SetResourceVersion(n.version)
	obj.SetResourceVersion(n.version)
	return n.shown, true
}

// waiting remembers since when objects wait for others without having said so.
type waiting struct {
	mu    sync.Mutex
	since map[types.NamespacedName]time.Time
}

func newWaiting() *waiting {
	return &waiting{since: map[types.NamespacedName]time.Time{}}
}

// remaining returns for how long an object may go on to say nothing; zero means that it has waited long enough.
func (w *waiting) remaining(key types.NamespacedName, patience time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	since, ok := w.since[key]
	if !ok {
		w.since[key] = time.Now()
		return patience
	}
	return max(0, patience-time.Since(since))
}

func (w *waiting) forget(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.since, key)
}

// holdBack tells for how long the status need not say that the object waits for another: most sources are ready in a moment,
// and a chain that is created at once would otherwise write every object twice. Anything but conditions is written at once.
func (r *Reconciler[T, R]) holdBack(req ctrl.Request, obj, base T, out outcome) time.Duration {
	if r.opts.Patience <= 0 || out.verdict == nil || out.verdict.kind != wait && out.verdict.kind != busy || !onlyConditions(obj, base) {
		r.waiting.forget(req.NamespacedName)
		return 0
	}
	left := r.waiting.remaining(req.NamespacedName, r.opts.Patience)
	if left == 0 && r.opts.Gate.Busy() {
		// Many wait at once, and to say so for each of them would only keep them waiting.
		left = r.waiting.remaining(req.NamespacedName, busyPatience)
		left = min(left, r.opts.Patience)
	}
	if left == 0 {
		r.waiting.forget(req.NamespacedName)
	}
	if after := out.verdict.After; after > 0 {
		return min(left, after)
	}
	return left
}

// onlyConditions tells whether two states of an object differ in their conditions, and in nothing else.
func onlyConditions[T Object](obj, base T) bool {
	if equality.Semantic.DeepEqual(obj.GetConditions(), base.GetConditions()) {
		return false
	}
	left, right := clone(obj), clone(base)
	left.SetConditions([]metav1.Condition{})
	right.SetConditions([]metav1.Condition{})
	return equality.Semantic.DeepEqual(left, right)
}
