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
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// Keys of Secrets that hold credentials.
const (
	usernameKey  = "username"
	passwordKey  = "password"
	ocmConfigKey = ".ocmcredentialconfig"
)

// Keys of Secrets that say how to connect.
const (
	authorityKey   = "ca.crt"
	addressKey     = "address"
	certificateKey = corev1.TLSCertKey
	privateKeyKey  = corev1.TLSPrivateKeyKey
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

// gathered is a set of credentials and a way to connect, with a fingerprint that tells two apart.
type gathered struct {
	store       *credentials.Store
	connection  connection
	fingerprint string
}

// gatherer reads what one repository is accessed with.
type gatherer struct {
	live      client.Reader
	namespace string
	// field is where the repository stands in the spec, for messages.
	field      string
	store      *credentials.Store
	account    *corev1.ServiceAccount
	connection connection
	sum        hash.Hash
}

// gather reads the pull secrets of the service account, then the Secret of the repository, which wins, and logs in at a
// cloud where neither has a credential. What it finds is for that repository only: an object with two of them has two sets,
// even at one host.
func (p *Provider) gather(ctx context.Context, user User, repository v1alpha1.Repository, field string) (gathered, error) {
	g := &gatherer{live: p.opts.Live, namespace: user.Namespace, field: field, store: &credentials.Store{}, sum: sha256.New()}
	if name := user.ServiceAccountName; name != "" {
		if err := g.serviceAccount(ctx, name); err != nil {
			return gathered{}, err
		}
	}
	if ref := repository.SecretRef; ref != nil && ref.Name != "" {
		if err := g.secret(ctx, ref.Name, repository.URL); err != nil {
			return gathered{}, err
		}
	}
	if ref := repository.CertSecretRef; ref != nil && ref.Name != "" {
		if err := g.certificates(ctx, ref.Name); err != nil {
			return gathered{}, err
		}
	}
	if ref := repository.ProxySecretRef; ref != nil && ref.Name != "" {
		if err := g.proxy(ctx, ref.Name); err != nil {
			return gathered{}, err
		}
	}
	if repository.WantsIdentity() && !g.has(repository.URL) {
		if g.account == nil && p.opts.NoOperatorIdentity {
			return gathered{}, lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("%s.provider %s would log in with the identity of the operator, "+
				"which --no-operator-identity refuses: name a ServiceAccount in spec.serviceAccountName", field, repository.Provider))
		}
		if g.account == nil && len(g.connection.authority) > 0 {
			// With a proxy of the same namespace it would read the token of the operator, which is no tenant's.
			return gathered{}, g.unusable(repository.CertSecretRef.Name, fmt.Sprintf("has the key %q, but whom to trust with the identity of the operator is not up to an object: "+
				"remove the key, or log in as a ServiceAccount with spec.serviceAccountName", authorityKey))
		}
		credential, err := p.identities.login(ctx, user, repository, field, g.account, g.connection.proxy)
		if err != nil {
			return gathered{}, err
		}
		store := &credentials.Store{}
		store.Add(hostOf(repository.URL), credential)
		g.add(store, "token", []byte(repository.Provider), []byte(credential.Username), []byte(credential.Password))
	}
	return gathered{store: g.store, connection: g.connection, fingerprint: hex.EncodeToString(g.sum.Sum(nil))}, nil
}

// has tells whether there is a credential for a repository.
func (g *gatherer) has(url string) bool {
	location, err := oci.ParseURL(url)
	if err != nil {
		return false // who opens the repository says what is wrong
	}
	credential, ok := g.store.Lookup(location.Host, location.Path)
	return ok && !credential.IsZero()
}

func (g *gatherer) serviceAccount(ctx context.Context, name string) error {
	account := &corev1.ServiceAccount{}
	if err := g.get(ctx, "ServiceAccount", name, account, "spec.serviceAccountName"); err != nil {
		return err
	}
	g.account = account
	for _, pull := range account.ImagePullSecrets {
		secret := &corev1.Secret{}
		if err := g.get(ctx, "Secret", pull.Name, secret, "the imagePullSecrets of ServiceAccount "+name); err != nil {
			return err
		}
		found, err := g.config(secret)
		if err != nil {
			return err
		}
		if !found {
			return g.unusable(pull.Name, fmt.Sprintf("has neither the key %q nor the key %q, one of which an image pull secret needs", corev1.DockerConfigJsonKey, ocmConfigKey))
		}
	}
	return nil
}

func (g *gatherer) secret(ctx context.Context, name, url string) error {
	secret := &corev1.Secret{}
	if err := g.get(ctx, "Secret", name, secret, g.field+".secretRef"); err != nil {
		return err
	}
	if found, err := g.config(secret); found || err != nil {
		return err
	}
	username, password := string(secret.Data[usernameKey]), string(secret.Data[passwordKey])
	if username == "" || password == "" {
		return g.unusable(name, fmt.Sprintf("has none of the keys %q, %q, and %q with %q; it has: %v",
			corev1.DockerConfigJsonKey, ocmConfigKey, usernameKey, passwordKey, slices.Sorted(maps.Keys(secret.Data))))
	}
	host := hostOf(url)
	g.add(credentials.FromBasic(host, username, password), "basic", []byte(host), []byte(username), []byte(password))
	return nil
}

// config takes the configuration of credentials that a Secret holds, and tells whether it holds one.
func (g *gatherer) config(secret *corev1.Secret) (bool, error) {
	for _, format := range []struct {
		key  string
		read func([]byte) (*credentials.Store, error)
	}{
		{corev1.DockerConfigJsonKey, credentials.FromDockerConfigJSON},
		{ocmConfigKey, credentials.FromOCMConfig},
	} {
		config := secret.Data[format.key]
		if len(config) == 0 {
			continue
		}
		store, err := format.read(config)
		if err != nil {
			return true, g.unusable(secret.Name, fmt.Sprintf("has a key %q that can't be used: %v", format.key, err))
		}
		g.add(store, format.key, config)
		return true, nil
	}
	return false, nil
}

func (g *gatherer) certificates(ctx context.Context, name string) error {
	secret := &corev1.Secret{}
	if err := g.get(ctx, "Secret", name, secret, g.field+".certSecretRef"); err != nil {
		return err
	}
	authority, certificate, key, err := Certificates(secret)
	if err != nil {
		return err
	}
	g.connection.authority, g.connection.certificate, g.connection.key = authority, certificate, key
	g.add(nil, "tls", authority, certificate, key)
	return nil
}

func (g *gatherer) proxy(ctx context.Context, name string) error {
	secret := &corev1.Secret{}
	if err := g.get(ctx, "Secret", name, secret, g.field+".proxySecretRef"); err != nil {
		return err
	}
	proxy, err := Proxy(secret)
	if err != nil {
		return err
	}
	g.connection.proxy = proxy
	g.add(nil, "proxy", []byte(proxy.String()))
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

// add puts a set before those that are there, and what it was made from into the fingerprint.
func (g *gatherer) add(store *credentials.Store, kind string, parts ...[]byte) {
	g.store = credentials.Merge(store, g.store)
	for _, part := range append([][]byte{[]byte(kind)}, parts...) {
		fmt.Fprintf(g.sum, "%d:", len(part))
		g.sum.Write(part)
	}
}

// +kubebuilder:rbac:roleName=ComponentVersion,groups="",resources=secrets;serviceaccounts,verbs=get
// +kubebuilder:rbac:roleName=ComponentSubscription,groups="",resources=secrets;serviceaccounts,verbs=get

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
	return unusable(g.namespace, name, why)
}

func unusable(namespace, name, why string) error {
	return &UnusableError{Kind: "Secret", Namespace: namespace, Name: name, Why: why}
}
