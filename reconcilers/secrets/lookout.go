package secrets

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/runtime/jitter"
)

const (
	// lookTimeout bounds one look.
	lookTimeout = 10 * time.Second
	// minKept is how long what nobody refers to is remembered at least, so that who has read a Secret is entered by then.
	minKept = time.Minute
	// usualInterval and usualRate are the defaults of Options.
	usualInterval = 10 * time.Second
	usualRate     = 20
)

// Options are what a Lookout is made with.
type Options struct {
	// Live reads past the cache. It needs to get Secrets only.
	Live client.Reader
	// Interval is the time between two looks at a Secret while there are not too many; zero is 10 s.
	Interval time.Duration
	// PerSecond is how many Secrets are looked at in a second at most; zero is 20.
	PerSecond int
	// Metrics is where the metrics are registered; nil is nowhere.
	Metrics prometheus.Registerer
	// Log tells which Secrets can't be looked at.
	Log logr.Logger
	// Now is the time; nil is the current time.
	Now func() time.Time
}

// Lookout looks at the Secrets that objects refer to. A nil *Lookout looks at none.
type Lookout struct {
	options Options
	book    *book
	limiter *rate.Limiter
	metrics *metrics
	// labelled is nil if no Secrets are watched.
	labelled *labelled
	// hurry has room for one signal: that some Secret is to be looked at now.
	hurry chan struct{}
}

// New returns a Lookout. It is to be added to a manager.
func New(o Options) (*Lookout, error) {
	if o.Live == nil {
		return nil, errors.New("options are incomplete: Live is required")
	}
	if o.Interval <= 0 {
		o.Interval = usualInterval
	}
	if o.PerSecond <= 0 {
		o.PerSecond = usualRate
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Lookout{options: o, book: newBook(o.Now), limiter: rate.NewLimiter(rate.Limit(o.PerSecond), 1), hurry: make(chan struct{}, 1)}
	var err error
	if l.metrics, err = newMetrics(o.Metrics, l.book.size); err != nil {
		return nil, fmt.Errorf("register the metrics of Secrets: %w", err)
	}
	return l, nil
}

// NeedLeaderElection is false: the Secrets of the operator itself are looked at by every replica. Those of objects are known to the one that
// leads only, because its controllers tell of them.
func (*Lookout) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (l *Lookout) Start(ctx context.Context) error {
	timer := time.NewTimer(jitter.JitteredIntervalDuration(l.options.Interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.hurry:
			l.look(ctx, l.book.urgent(), l.options.Now().Add(l.options.Interval))
		case <-timer.C:
			until := l.options.Now().Add(jitter.JitteredIntervalDuration(l.options.Interval))
			l.round(ctx, until)
			timer.Reset(max(until.Sub(l.options.Now()), time.Millisecond))
		}
	}
}

// round looks at as many Secrets as there is time for. Those that are left have waited longest at the next one. What is urgent gets every other
// look, and not all of them: whoever changes labels without end must not keep others waiting without end.
func (l *Lookout) round(ctx context.Context, until time.Time) {
	l.book.prune(minKept)
	var urgent []name
	for _, of := range l.book.due(l.options.Interval) {
		select {
		case <-l.hurry:
			urgent = l.book.urgent()
		default:
		}
		if len(urgent) > 0 {
			if !l.look(ctx, urgent[:1], until) {
				return
			}
			urgent = urgent[1:]
		}
		if !l.look(ctx, []name{of}, until) {
			return
		}
		l.book.tookTurn(of.Namespace)
	}
	l.look(ctx, urgent, until)
}

// look looks at Secrets, and tells whether there is time left and an API server that answers.
func (l *Lookout) look(ctx context.Context, all []name, until time.Time) bool {
	for _, of := range all {
		if l.labelled.tells(ctx, l.book, of) {
			l.metrics.count(resultWatched)
			continue
		}
		if l.limiter.Wait(ctx) != nil || l.options.Now().After(until) || !l.lookAt(ctx, of) {
			return false
		}
	}
	return true
}

// lookAt looks at one Secret, and tells whether it is worth looking at others. What the API server remembers is good enough as long as nothing
// has changed; that something has is to be true.
func (l *Lookout) lookAt(ctx context.Context, of name) bool {
	is, err := l.get(ctx, of, client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}})
	if err == nil && l.book.looked(of, is) {
		l.metrics.count(resultSame)
		return true
	}
	asked := l.options.Now()
	if err == nil && l.limiter.Wait(ctx) == nil { // it is a second request, which the bound is about
		is, err = l.get(ctx, of, client.GetOptions{})
	}
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		l.metrics.count(resultFailed)
		l.book.failed(of)
		l.options.Log.V(1).Info("A Secret can't be looked at; who refers to it says so when it is read", "secret", of, "cause", err.Error())
		return answered(err)
	case l.book.told(of, is, asked):
		l.metrics.count(resultChanged)
	default:
		l.metrics.count(resultSame)
	}
	return true
}

// answered tells whether an error is about one Secret, and not about the API server.
func answered(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsTooManyRequests(err) && !apierrors.IsServiceUnavailable(err) &&
		!apierrors.IsTimeout(err) && !apierrors.IsServerTimeout(err)
}

// get returns the state of a Secret.
func (l *Lookout) get(ctx context.Context, of name, options client.GetOptions) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found := newMetadata()
	err := l.options.Live.Get(ctx, of, found, &options)
	if apierrors.IsNotFound(err) {
		return state{}, nil
	}
	return stateOf(found), err
}

// Follow calls whenever a Secret has changed, appeared or gone. The call must not wait for anything.
func (l *Lookout) Follow(of types.NamespacedName, call func()) {
	if l != nil {
		l.book.follow(of, call)
	}
}

// Wrote notes that an object has written a Secret, so that it is not woken by that. It is the object of a kind and a name.
func (l *Lookout) Wrote(kind string, by types.NamespacedName, written client.Object) {
	if l != nil {
		l.book.wrote(object{kind, by}, client.ObjectKeyFromObject(written), stateOf(written))
	}
}

// Removed notes that an object has deleted a Secret, so that it is not woken by that.
func (l *Lookout) Removed(kind string, by, removed types.NamespacedName) {
	if l != nil {
		l.book.wrote(object{kind, by}, removed, state{})
	}
}

// lookNow lets a Secret be looked at as soon as possible.
func (l *Lookout) lookNow(of name) {
	if !l.book.hurry(of) {
		return
	}
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

func newMetadata() *metav1.PartialObjectMetadata {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return found
}

func stateOf(obj client.Object) state {
	return state{uid: obj.GetUID(), version: obj.GetResourceVersion()}
}
