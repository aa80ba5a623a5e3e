package fluxdeployer

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// keeps are the Secrets that a deployer has written and that it repairs. There are some only beside an OCIRepository.
func (d *deployer) keeps(obj client.Object) []source.Ref {
	deployed, ok := obj.(*v1alpha1.FluxDeployer)
	if !ok || deployed.Status.OCIRepository == "" {
		return nil
	}
	var refs []source.Ref
	if d.hasPull() {
		refs = append(refs, source.Ref{Kind: source.SecretKind, Namespace: obj.GetNamespace(), Name: pullSecretName(deployed)})
	}
	if d.hasCA() {
		refs = append(refs, source.Ref{Kind: source.SecretKind, Namespace: obj.GetNamespace(), Name: caSecretName(deployed)})
	}
	return refs
}

// getSecret reads a Secret past the cache; nil means that there is none.
func (d *deployer) getSecret(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := d.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", key, err)
	}
	return secret, nil
}

// secretMetadata reads what is said about a Secret and not what is in it; nil means that there is none.
func (d *deployer) secretMetadata(ctx context.Context, key client.ObjectKey) (*metav1.PartialObjectMetadata, error) {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := d.live.Get(ctx, key, found)
	if apierrors.IsNotFound(err) {
		return nil, nil //nolint:nilnil // documented: absence is no error
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", key, err)
	}
	return found, nil
}
