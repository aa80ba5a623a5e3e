package gitsync

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/sign"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Keys of the Secret of a repository.
const (
	usernameKey   = "username"
	passwordKey   = "password"
	bearerKey     = "bearerToken"
	identityKey   = "identity"
	knownHostsKey = "known_hosts"
	apiTokenKey   = "apiToken"
)

// Fields of the spec that name Secrets.
const (
	secretField  = "spec.repository.secretRef"
	certField    = "spec.repository.certSecretRef"
	proxyField   = "spec.repository.proxySecretRef"
	signingField = "spec.commitTemplate.signing.secretRef"
)

// credentials are what a repository and its forge are used with.
type credentials struct {
	auth remote.Auth
	// apiToken is for the forge; empty if there is none.
	apiToken string
	// authority are certificates that are trusted, certificate and key those of the client; all in PEM.
	authority, certificate, key []byte
	proxy                       *url.URL
	// signer is nil if commits are not signed.
	signer *sign.Signer
}

// readCredentials reads the Secrets that the spec names, past the cache: nobody keeps them in memory for longer than a reconciliation.
func (c *controller) readCredentials(ctx context.Context, r *run) error {
	g := gatherer{live: c.live, obj: r.obj}
	for _, read := range []func(context.Context, *remote.URL) error{g.login, g.certificates, g.proxy, g.signing} {
		if err := read(ctx, r.location); err != nil {
			return access.Verdict(v1alpha1.CredentialsNotFoundReason, err)
		}
	}
	r.credentials = g.found
	opened, err := c.open(r)
	if err != nil {
		return lifecycle.Stall(v1alpha1.CredentialsNotFoundReason, fmt.Errorf("the Secrets of the repository can't be used: %w", err))
	}
	r.repository, r.leave = opened, append(r.leave, opened.Close)
	return nil
}

// gatherer reads the Secrets of one object.
type gatherer struct {
	live  client.Reader
	obj   *v1alpha1.GitSync
	found credentials
}

// login reads what the server and the forge know the operator by.
func (g *gatherer) login(ctx context.Context, location *remote.URL) error {
	secret, err := g.read(ctx, g.obj.Spec.Repository.SecretRef, secretField)
	if err != nil {
		return err
	}
	if location.Scheme == "ssh" {
		return g.loginSSH(secret)
	}
	if secret == nil {
		return nil
	}
	auth := remote.Auth{Username: text(secret, usernameKey), Password: text(secret, passwordKey), BearerToken: text(secret, bearerKey)}
	switch {
	case auth.BearerToken == "" && auth.Password == "":
		return g.unusable(secret, fmt.Sprintf("has neither the keys %q and %q nor the key %q; it has: %v", usernameKey, passwordKey, bearerKey, slices.Sorted(maps.Keys(secret.Data))))
	case auth.BearerToken != "" && auth.Password != "":
		return g.unusable(secret, fmt.Sprintf("has both the key %q and the key %q: remove the one that the server does not want", passwordKey, bearerKey))
	}
	g.found.auth = auth
	g.found.apiToken = cmp.Or(text(secret, apiTokenKey), auth.Password, auth.BearerToken)
	return nil
}

// loginSSH reads the keys of both sides. Without those of the host anybody could be the host.
func (g *gatherer) loginSSH(secret *corev1.Secret) error {
	if secret == nil {
		return lifecycle.Stall(v1alpha1.CredentialsNotFoundReason, fmt.Errorf(
			"%s is missing: SSH needs a Secret with the key %q, a private key, and the key %q, the keys of the host", secretField, identityKey, knownHostsKey))
	}
	auth := remote.Auth{Identity: secret.Data[identityKey], KnownHosts: secret.Data[knownHostsKey], Passphrase: text(secret, passwordKey)}
	for _, needed := range []struct{ key, what string }{
		{identityKey, "a private key, which SSH needs"},
		{knownHostsKey, "the keys of the host, as ssh-keyscan prints them: without them anybody could be the host"},
	} {
		if len(secret.Data[needed.key]) == 0 {
			return g.unusable(secret, fmt.Sprintf("has no key %q with %s; it has: %v", needed.key, needed.what, slices.Sorted(maps.Keys(secret.Data))))
		}
	}
	g.found.auth, g.found.apiToken = auth, text(secret, apiTokenKey)
	return nil
}

func (g *gatherer) certificates(ctx context.Context, _ *remote.URL) error {
	secret, err := g.read(ctx, g.obj.Spec.Repository.CertSecretRef, certField)
	if secret == nil || err != nil {
		return err
	}
	g.found.authority, g.found.certificate, g.found.key, err = access.Certificates(secret)
	return err
}

func (g *gatherer) proxy(ctx context.Context, _ *remote.URL) error {
	secret, err := g.read(ctx, g.obj.Spec.Repository.ProxySecretRef, proxyField)
	if secret == nil || err != nil {
		return err
	}
	g.found.proxy, err = access.Proxy(secret)
	return err
}

func (g *gatherer) signing(ctx context.Context, _ *remote.URL) error {
	signing := g.obj.Spec.CommitTemplate.Signing
	if signing == nil {
		return nil
	}
	secret, err := g.read(ctx, &signing.SecretRef, signingField)
	if secret == nil || err != nil {
		return err
	}
	if g.found.signer, err = sign.FromSecret(secret.Data); err != nil {
		return g.unusable(secret, "can't sign commits: "+err.Error())
	}
	return nil
}

// read returns a Secret of the namespace, or nil if none is named.
func (g *gatherer) read(ctx context.Context, ref *meta.LocalObjectReference, field string) (*corev1.Secret, error) {
	if ref == nil || ref.Name == "" {
		return nil, nil //nolint:nilnil // documented: nothing is named
	}
	secret := &corev1.Secret{}
	err := g.live.Get(ctx, client.ObjectKey{Namespace: g.obj.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, &access.UnusableError{
			Kind: "Secret", Namespace: g.obj.Namespace, Name: ref.Name, Why: fmt.Sprintf("does not exist: create it, or change %s, which names it", field),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("get Secret %s/%s: %w", g.obj.Namespace, ref.Name, err)
	}
	return secret, nil
}

// text returns a value without the line end that an editor or echo has put behind it.
func text(secret *corev1.Secret, key string) string {
	return strings.TrimRight(string(secret.Data[key]), "\r\n")
}

func (g *gatherer) unusable(secret *corev1.Secret, why string) error {
	return &access.UnusableError{Kind: "Secret", Namespace: secret.Namespace, Name: secret.Name, Why: why}
}

// secretNames are the Secrets that the spec names.
func secretNames(obj *v1alpha1.GitSync) []string {
	refs := []*meta.LocalObjectReference{obj.Spec.Repository.SecretRef, obj.Spec.Repository.CertSecretRef, obj.Spec.Repository.ProxySecretRef}
	if signing := obj.Spec.CommitTemplate.Signing; signing != nil {
		refs = append(refs, &signing.SecretRef)
	}
	var names []string
	for _, ref := range refs {
		if ref != nil && ref.Name != "" && !slices.Contains(names, ref.Name) {
			names = append(names, ref.Name)
		}
	}
	return names
}
