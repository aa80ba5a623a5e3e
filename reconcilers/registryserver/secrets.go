package registryserver

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// Keys of the operator's own Secrets.
const (
	caCertKey     = "ca.crt"
	caKeyKey      = "ca.key"
	credentialKey = "key"
	// keyBytes is the length of the key that credentials are sealed with.
	keyBytes = 32
)

// ensureKey returns the key of the credentials. The first replica makes it.
func (r *Registry) ensureKey(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, keyBytes)
	if _, err := rand.Read(fresh); err != nil {
		return nil, err
	}
	secret, err := r.getOrCreate(ctx, r.options.KeySecret, corev1.SecretTypeOpaque, map[string][]byte{credentialKey: fresh})
	if err != nil {
		return nil, err
	}
	key := secret.Data[credentialKey]
	if len(key) < keyBytes {
		return nil, fmt.Errorf("Secret %s/%s has no key %q of %d bytes: delete it, and the operator makes another", //nolint:staticcheck // a kind
			r.namespace, secret.Name, credentialKey, keyBytes)
	}
	return key, nil
}

// refresh makes or renews the certificates and begins to serve what is in the Secret. A Secret without the key of an
// authority is the user's, and is served as it is.
func (r *Registry) refresh(ctx context.Context) error {
	secret := &corev1.Secret{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: r.options.CertSecret}, secret)
	switch {
	case apierrors.IsNotFound(err):
		fresh, _, err := certs.Ensure(certs.Bundle{}, certs.Options{Hosts: r.hosts()})
		if err != nil {
			return err
		}
		if secret, err = r.getOrCreate(ctx, r.options.CertSecret, corev1.SecretTypeTLS, dataOf(fresh)); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("get the certificates of the registry: %w", err)
	case len(secret.Data[caKeyKey]) > 0:
		if err := r.renew(ctx, secret); err != nil {
			return err
		}
	}
	bundle := bundleOf(secret)
	if err := r.dynamic.Set(bundle); err != nil {
		return fmt.Errorf("Secret %s/%s: %w", r.namespace, secret.Name, err) //nolint:staticcheck // a kind
	}
	r.ca.Store(&bundle.CACert)
	return nil
}

// renew replaces what is about to end. When two replicas do it at once, one of them meets a conflict and takes what the
// other wrote.
func (r *Registry) renew(ctx context.Context, secret *corev1.Secret) error {
	renewed, changed, err := certs.Ensure(bundleOf(secret), certs.Options{Hosts: r.hosts()})
	if err != nil {
		return fmt.Errorf("renew the certificates in Secret %s/%s: %w", r.namespace, secret.Name, err)
	}
	if !changed {
		return nil
	}
	secret.Data = dataOf(renewed)
	if err := r.client.Update(ctx, secret); err != nil {
		if apierrors.IsConflict(err) {
			return r.client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
		}
		return fmt.Errorf("write Secret %s/%s: %w", r.namespace, secret.Name, err)
	}
	r.log.Info("Renewed the certificates of the registry", "secret", secret.Name)
	return nil
}

// getOrCreate returns a Secret of the operator, made with the data if it isn't there. When several replicas make it at
// once, all return the same.
func (r *Registry) getOrCreate(ctx context.Context, name string, kind corev1.SecretType, data map[string][]byte) (*corev1.Secret, error) {
	key := client.ObjectKey{Namespace: r.namespace, Name: name}
	secret := &corev1.Secret{}
	err := r.client.Get(ctx, key, secret)
	if !apierrors.IsNotFound(err) {
		return secret, err
	}
	secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name}, Type: kind, Data: data}
	err = r.client.Create(ctx, secret)
	if apierrors.IsAlreadyExists(err) {
		err = r.client.Get(ctx, key, secret)
	}
	if err != nil {
		return nil, fmt.Errorf("create Secret %s: %w", key, err)
	}
	return secret, nil
}

func bundleOf(secret *corev1.Secret) certs.Bundle {
	return certs.Bundle{
		CACert: secret.Data[caCertKey],
		CAKey:  secret.Data[caKeyKey],
		Cert:   secret.Data[corev1.TLSCertKey],
		Key:    secret.Data[corev1.TLSPrivateKeyKey],
	}
}

func dataOf(b certs.Bundle) map[string][]byte {
	return map[string][]byte{
		caCertKey:               b.CACert,
		caKeyKey:                b.CAKey,
		corev1.TLSCertKey:       b.Cert,
		corev1.TLSPrivateKeyKey: b.Key,
	}
}
