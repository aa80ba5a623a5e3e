package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

// Keys of Secrets that hold credentials.
const (
	usernameKey = "username"
	passwordKey = "password"
)

// UnusableError says that something which the user has to provide for access to a repository is missing or unusable.
type UnusableError struct {
	// Kind, Namespace and Name are the object in question.
	Kind, Namespace, Name string
	// Why says what is wrong and what to do, as a clause.
	Why string
}

// Error implements error.
func (e *UnusableError) Error() string {
	return fmt.Sprintf("%s %s/%s %s", e.Kind, e.Namespace, e.Name, e.Why)
}

// gathered is a set of credentials with a fingerprint that tells two sets apart.
type gathered struct {
	store       *credentials.Store
	fingerprint string
}

// gatherer reads the credentials of one component version.
type gatherer struct {
	live      client.Reader
	namespace string
	store     *credentials.Store
	sum       hash.Hash
}

// gather reads the pull secrets of the service account, then the Secret of the repository, which wins.
func gather(ctx context.Context, live client.Reader, cv *v1alpha1.ComponentVersion, repository v1alpha1.Repository) (gathered, error) {
	g := &gatherer{live: live, namespace: cv.Namespace, store: &credentials.Store{}, sum: sha256.New()}
	if name := cv.Spec.ServiceAccountName; name != "" {
		if err := g.serviceAccount(ctx, name); err != nil {
			return gathered{}, err
		}
	}
	if ref := repository.SecretRef; ref != nil && ref.Name != "" {
		if err := g.secret(ctx, ref.Name, repository.URL); err != nil {
			return gathered{}, err
		}
	}
	return gathered{store: g.store, fingerprint: hex.EncodeToString(g.sum.Sum(nil))}, nil
}

func (g *gatherer) serviceAccount(ctx context.Context, name string) error {
	account := &corev1.ServiceAccount{}
	if err := g.get(ctx, "ServiceAccount", name, account, "spec.serviceAccountName"); err != nil {
		return err
	}
	for _, pull := range account.ImagePullSecrets {
		secret := &corev1.Secret{}
		if err := g.get(ctx, "Secret", pull.Name, secret, "the imagePullSecrets of ServiceAccount "+name); err != nil {
			return err
		}
		if len(secret.Data[corev1.DockerConfigJsonKey]) == 0 {
			return g.unusable(pull.Name, fmt.Sprintf("has no key %q, which an image pull secret needs", corev1.DockerConfigJsonKey))
		}
		if err := g.dockerConfig(secret); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatherer) secret(ctx context.Context, name, url string) error {
	secret := &corev1.Secret{}
	if err := g.get(ctx, "Secret", name, secret, "spec.repository.secretRef"); err != nil {
		return err
	}
	if len(secret.Data[corev1.DockerConfigJsonKey]) > 0 {
		return g.dockerConfig(secret)
	}
	username, password := string(secret.Data[usernameKey]), string(secret.Data[passwordKey])
	if username == "" || password == "" {
		return g.unusable(name, fmt.Sprintf("has neither the keys %q and %q nor the key %q; it has: %v",
			usernameKey, passwordKey, corev1.DockerConfigJsonKey, slices.Sorted(maps.Keys(secret.Data))))
	}
	host := hostOf(url)
	g.add(credentials.FromBasic(host, username, password), []byte(host), []byte(username), []byte(password))
	return nil
}

// hostOf returns scheme, host and port of a repository URL: credentials are for the whole registry, because images of a
// component lie beside it.
func hostOf(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		scheme, rest = "", url
	}
	host, _, _ := strings.Cut(rest, "/")
	if scheme == "http" {
		return scheme + "://" + host
	}
	return host
}

func (g *gatherer) dockerConfig(secret *corev1.Secret) error {
	config := secret.Data[corev1.DockerConfigJsonKey]
	store, err := credentials.FromDockerConfigJSON(config)
	if err != nil {
		return g.unusable(secret.Name, fmt.Sprintf("has a key %q that can't be used: %v", corev1.DockerConfigJsonKey, err))
	}
	g.add(store, config)
	return nil
}

// add puts a set before those that are there, and what it was made from into the fingerprint.
func (g *gatherer) add(store *credentials.Store, parts ...[]byte) {
	g.store = credentials.Merge(store, g.store)
	for _, part := range parts {
		fmt.Fprintf(g.sum, "%d:", len(part))
		g.sum.Write(part)
	}
}

func (g *gatherer) get(ctx context.Context, kind, name string, obj client.Object, field string) error {
	err := g.live.Get(ctx, client.ObjectKey{Namespace: g.namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return &UnusableError{Kind: kind, Namespace: g.namespace, Name: name, Why: fmt.Sprintf("does not exist: create it, or change %s, which names it", field)}
	}
	if err != nil {
		return fmt.Errorf("get %s %s/%s: %w", kind, g.namespace, name, err)
	}
	return nil
}

func (g *gatherer) unusable(name, why string) error {
	return &UnusableError{Kind: "Secret", Namespace: g.namespace, Name: name, Why: why}
}
