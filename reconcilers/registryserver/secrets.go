package registryserver

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// Keys of the operator's own Secrets.
const (
	caCertKey = "ca.crt"
	caKeyKey  = "ca.key"
)

// rewriteInterval is the least time between two certificates that are made for the sake of an address that the one before
// lacks: replicas that are told different addresses must not write in turn without end.
const rewriteInterval = 10 * time.Second

// refresh makes or renews the certificates and begins to serve what is in the Secret. A Secret without the key of an
// authority, or with a certificate that the authority has not signed, is somebody else's, and is served as it is.
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
	case len(secret.Data[caKeyKey]) > 0 && !bundleOf(secret).Foreign():
		if err := r.renew(ctx, secret); err != nil {
			return err
		}
	case secret.Annotations[rotateAnnotation] != "":
		r.log.Error(nil, "Annotation "+rotateAnnotation+" is for certificates that the operator has made: who has made these can rotate them", "secret", secret.Name)
	}
	return r.serveBundle(secret)
}

// serveBundle begins to serve what is in the Secret. What clients would not accept is not served in place of what they do;
// if there is nothing else, it is served all the same.
func (r *Registry) serveBundle(secret *corev1.Secret) error {
	bundle, bad := r.trusted(bundleOf(secret))
	r.validFrom = bundle.ValidFrom()
	if _, err := r.dynamic.GetCertificate(nil); bad != nil && err == nil {
		return fmt.Errorf("Secret %s/%s: %w", r.namespace, secret.Name, bad) //nolint:staticcheck // a kind
	}
	if err := r.dynamic.Set(bundle); err != nil {
		return fmt.Errorf("Secret %s/%s: %w", r.namespace, secret.Name, err) //nolint:staticcheck // a kind
	}
	if bad != nil {
		r.tellSecret(secret.Name, bad)
	}
	r.health.serves(bundle)
	if before := r.ca.Swap(&bundle.CACert); before != nil && !bytes.Equal(*before, bundle.CACert) {
		r.log.Info("The registry is trusted by other certificates", "secret", secret.Name)
		r.changes.tell()
	}
	return nil
}

// trusted returns what clients get of a bundle, and why they would not accept it. An authority of the operator that somebody
// has left beside a certificate of another is nothing to trust: that other one may be known to the system.
func (r *Registry) trusted(b certs.Bundle) (certs.Bundle, error) {
	bad := b.Check(r.hosts()[0], time.Now())
	if bad == nil || len(b.CAKey) == 0 || !b.Foreign() {
		return b, bad
	}
	alone := certs.Bundle{Cert: b.Cert, Key: b.Key}
	if alone.Check(r.hosts()[0], time.Now()) != nil {
		return b, bad
	}
	return alone, nil
}

// renew replaces what is about to end, and what somebody wants to have replaced. When two replicas do it at once, one of them
// meets a conflict and takes what the other wrote.
func (r *Registry) renew(ctx context.Context, secret *corev1.Secret) error {
	renewed, changed, err := r.rotated(secret)
	if err != nil {
		return fmt.Errorf("renew the certificates in Secret %s/%s: %w", r.namespace, secret.Name, err)
	}
	if !changed || r.tooSoon(secret) {
		return nil
	}
	secret.Data = dataOf(renewed)
	delete(secret.Annotations, rotateAnnotation)
	if err := r.update(ctx, secret); err != nil {
		return err
	}
	r.log.Info("Renewed the certificates of the registry", "secret", secret.Name)
	return nil
}

// tooSoon tells whether certificates lack nothing but an address, and were written for that reason just now.
func (r *Registry) tooSoon(secret *corev1.Secret) bool {
	now := time.Now()
	b := bundleOf(secret)
	if _, asked := secret.Annotations[rotateAnnotation]; asked || b.NeedsRenewal(now) || b.Check("", now) != nil {
		return false
	}
	if now.Sub(r.rewritten) < rewriteInterval {
		return true
	}
	r.rewritten = now
	return false
}

// rotated returns what the Secret should have, and whether that is something else than it has.
func (r *Registry) rotated(secret *corev1.Secret) (certs.Bundle, bool, error) {
	bundle, o := bundleOf(secret), certs.Options{Hosts: r.hosts()}
	what, asked := secret.Annotations[rotateAnnotation]
	if !asked {
		return certs.Ensure(bundle, o)
	}
	switch part := certs.Part(what); part {
	case certs.Certificate, certs.AuthorityPart, certs.Forget:
		rotated, err := certs.Rotate(bundle, o, part)
		return rotated, true, err
	}
	r.log.Error(nil, "Annotation "+rotateAnnotation+" can't be followed: want certificate, authority or forget", "secret", secret.Name, "value", what)
	bundle, _, err := certs.Ensure(bundle, o)
	return bundle, true, err // without the annotation
}

// +kubebuilder:rbac:roleName=registry,namespace=own,groups="",resources=secrets,verbs=create
// +kubebuilder:rbac:roleName=registry,namespace=own,groups="",resources=secrets,resourceNames=--registry-cert-secret;--registry-key-secret,verbs=get;update

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
