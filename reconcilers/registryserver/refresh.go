package registryserver

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/reconcilers/secrets"
)

const (
	// lookAgain is how often the age of the certificates is looked at. They are renewed weeks before they end.
	lookAgain = time.Hour
	// lookTimeout bounds one look at a Secret.
	lookTimeout = 10 * time.Second
	// minLookDelay and maxLookDelay bound the time until a look is tried again that has failed.
	minLookDelay, maxLookDelay = time.Second, time.Minute
)

// Watch says who looks whether the Secrets of the registry have changed: each replica takes what another one wrote, or the user. It is called
// before Setup. From then on Secrets are read so that no change is missed between reading and looking.
func (r *Registry) Watch(secrets *secrets.Lookout) {
	r.client = secrets.Client(r.client)
	certificates := r.options.CertSecret
	if r.options.PlainHTTP {
		certificates = "" // nobody reads them, or may
	}
	for name, changed := range map[string]chan struct{}{certificates: r.changed, r.options.KeySecret: r.changed, r.options.WriterSecret: r.writer} {
		if name != "" {
			secrets.Follow(client.ObjectKey{Namespace: r.namespace, Name: name}, func() { signal(changed) })
		}
	}
}

// keepFresh renews certificates before they end, and takes certificates and keys that somebody else wrote.
func (r *Registry) keepFresh(ctx context.Context) error {
	// Of what has gone before now nobody tells.
	signal(r.changed)
	signal(r.writer)
	r.repeat(ctx, r.changed, func(ctx context.Context) (time.Duration, error) {
		err := r.look(ctx)
		return r.due(time.Now(), err), err
	})
	return nil
}

// repeat does something whenever it is told to, and when it is due. What has failed is done again soon.
func (r *Registry) repeat(ctx context.Context, told <-chan struct{}, do func(context.Context) (due time.Duration, err error)) {
	timer := time.NewTimer(minLookDelay)
	defer timer.Stop()
	var delay time.Duration
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-told:
		}
		due, err := do(ctx)
		delay = backoff(delay, err)
		timer.Reset(next(due, delay))
	}
}

// next is the sooner of two times from now. A delay of zero is none, and nothing is done without a pause.
func next(due, delay time.Duration) time.Duration {
	if delay > 0 && (due <= 0 || delay < due) {
		return delay
	}
	return max(due, time.Millisecond)
}

// backoff returns how long to wait after the delay before.
func backoff(before time.Duration, err error) time.Duration {
	if err == nil {
		return 0
	}
	return min(max(2*before, minLookDelay), maxLookDelay)
}

// due is when to look at the certificates if nothing happens: in a while, or as soon as one is valid that isn't yet.
func (r *Registry) due(now time.Time, err error) time.Duration {
	if until := r.validFrom.Sub(now); err != nil && until > 0 {
		return min(until, lookAgain)
	}
	return lookAgain
}

// look takes what is in the Secrets now.
func (r *Registry) look(ctx context.Context) error {
	err := r.lookAt(ctx, r.options.KeySecret, r.refreshKeys)
	if r.options.PlainHTTP {
		return err
	}
	return errors.Join(err, r.lookAt(ctx, r.options.CertSecret, r.refresh))
}

// lookAt gives each Secret its own time, so that one can't use up that of the other.
func (r *Registry) lookAt(ctx context.Context, secret string, take func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	err := take(limited)
	if ctx.Err() == nil {
		r.tellSecret(secret, err)
	}
	return err
}

// signal needs no room for a second one: who is told looks at everything.
func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
