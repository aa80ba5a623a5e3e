package registryserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const (
	credentialKey = "key"
	// previousKey is the key before: what it has sealed stays good.
	previousKey = "previous"
	// keyBytes is the length of the key that credentials are sealed with.
	keyBytes = 32

	// rotateAnnotation asks the operator to rotate what is in a Secret of its own: once, then it is taken away.
	rotateAnnotation = "delivery.ocm.software/rotate"
	// rotateKey asks for another key, rotateForget that the one before is no longer good.
	rotateKey    = "key"
	rotateForget = "forget"

	// reloadTimeout bounds a look at the key that somebody waits for.
	reloadTimeout = 5 * time.Second
)

// refreshKeys takes the keys that are in the Secret. The first replica makes one.
func (r *Registry) refreshKeys(ctx context.Context) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	return r.readKeys(ctx)
}

// enter waits until nobody else reads the keys, as long as the context allows.
func (r *Registry) enter(ctx context.Context) error {
	select {
	case r.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the key of the registry: %w", ctx.Err())
	}
}

func (r *Registry) leave() { <-r.reading }

// readKeys notes what came of it for those who wait, but not that this one had no time.
func (r *Registry) readKeys(ctx context.Context) error {
	began := time.Now()
	err := r.takeKeys(ctx)
	if err == nil || ctx.Err() == nil {
		r.readBegan, r.readErr = began, err
	}
	return err
}

func (r *Registry) takeKeys(ctx context.Context) error {
	fresh, err := newKey()
	if err != nil {
		return err
	}
	secret, err := r.getOrCreate(ctx, r.options.KeySecret, corev1.SecretTypeOpaque, map[string][]byte{credentialKey: fresh})
	if err != nil {
		return err
	}
	if what, asked := secret.Annotations[rotateAnnotation]; asked {
		if err := r.rotateKeys(ctx, secret, what); err != nil {
			return err
		}
	}
	keys := [][]byte{secret.Data[credentialKey]}
	if len(keys[0]) < keyBytes {
		return fmt.Errorf("Secret %s/%s has no key %q of %d bytes: delete it, and the operator makes another", //nolint:staticcheck // a kind
			r.namespace, secret.Name, credentialKey, keyBytes)
	}
	if previous := secret.Data[previousKey]; len(previous) >= keyBytes {
		keys = append(keys, previous)
	}
	return r.useKeys(keys)
}

// useKeys seals with the first key from now on. Whoever has something that is sealed with another gets it anew.
func (r *Registry) useKeys(keys [][]byte) error {
	if r.issuer == nil {
		var err error
		if r.issuer, err = auth.NewIssuer(keys[0], nil); err != nil {
			return err
		}
	}
	before := r.issuer.KeyID()
	if err := r.issuer.SetKeys(keys...); err != nil {
		return err
	}
	if r.artifacts != nil {
		if err := r.artifacts.handler.SetKeys(keys...); err != nil {
			return err
		}
	}
	if r.issuer.KeyID() != before {
		r.log.Info("The key of the registry's credentials has changed", "secret", r.options.KeySecret)
		r.changes.tell()
		signal(r.writer)
	}
	r.keys = keys
	return nil
}

// rotateKeys does what the annotation asks for. When two replicas do it at once, one of them meets a conflict and takes what
// the other wrote.
func (r *Registry) rotateKeys(ctx context.Context, secret *corev1.Secret, what string) error {
	switch what {
	case rotateKey:
		fresh, err := newKey()
		if err != nil {
			return err
		}
		secret.Data = map[string][]byte{credentialKey: fresh, previousKey: secret.Data[credentialKey]}
	case rotateForget:
		delete(secret.Data, previousKey)
	default:
		r.log.Error(nil, "Annotation "+rotateAnnotation+" of the key can't be followed: want "+rotateKey+" or "+rotateForget, "secret", secret.Name, "value", what)
	}
	delete(secret.Annotations, rotateAnnotation)
	return r.update(ctx, secret)
}

// update writes a Secret, or reads what somebody else has written in the meantime.
func (r *Registry) update(ctx context.Context, secret *corev1.Secret) error {
	err := r.client.Update(ctx, secret)
	if apierrors.IsConflict(err) {
		return r.client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	}
	if err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", r.namespace, secret.Name, err)
	}
	return nil
}

// reloadKeys is for credentials that are sealed with a key that is not known here: another replica may have changed it just
// now. What was read since the credential came has the key of it. While the keys can't be read nobody can tell.
func (r *Registry) reloadKeys(ctx context.Context) error {
	came := time.Now()
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	if r.readBegan.After(came) {
		return r.readErr
	}
	if err := r.reloads.Wait(ctx); err != nil {
		return err
	}
	return r.readKeys(ctx)
}

func newKey() ([]byte, error) {
	key := make([]byte, keyBytes)
	_, err := rand.Read(key)
	return key, err
}
