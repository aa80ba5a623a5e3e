package snapshotregistry

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/ocm/credentials"
)

const (
	// authorityKey is where a Secret holds certificates.
	authorityKey = "ca.crt"
	// readTimeout bounds the reading of the Secrets.
	readTimeout = 15 * time.Second
)

// unusable says what is wrong with a Secret, and what to do.
type unusable struct{ namespace, name, why string }

// Error implements error.
func (u *unusable) Error() string {
	return fmt.Sprintf("Secret %s/%s %s", u.namespace, u.name, u.why)
}

// +kubebuilder:rbac:roleName=external-registry,namespace=own,groups="",resources=secrets,resourceNames=--snapshot-registry-secret;--snapshot-registry-pull-secret;--snapshot-registry-cert-secret,verbs=get

// read reads the Secrets. What is wrong with them is in the state; an error says that the API server didn't tell.
func (r *Registry) read(ctx context.Context) (state, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var s state
	for _, wanted := range []struct {
		name, flag string
		take       func(secret *corev1.Secret) error
	}{
		{r.options.External.Secret, "--snapshot-registry-secret", func(secret *corev1.Secret) (err error) {
			s.own, err = r.credential(secret)
			return err
		}},
		{r.options.External.PullSecret, "--snapshot-registry-pull-secret", func(secret *corev1.Secret) error {
			found, err := r.credential(secret)
			if err != nil {
				return err
			}
			s.pull, err = dockerConfig(r.options.External.Host, found)
			return err
		}},
		{r.options.External.CertSecret, "--snapshot-registry-cert-secret", func(secret *corev1.Secret) error {
			s.authority = secret.Data[authorityKey]
			if !x509.NewCertPool().AppendCertsFromPEM(s.authority) {
				return r.wrong(secret, fmt.Sprintf("has no certificate in PEM under the key %q; it has: %v", authorityKey, slices.Sorted(maps.Keys(secret.Data))))
			}
			return nil
		}},
	} {
		if wanted.name == "" {
			continue
		}
		secret := &corev1.Secret{}
		err := r.options.Live.Get(ctx, client.ObjectKey{Namespace: r.options.Namespace, Name: wanted.name}, secret)
		switch {
		case apierrors.IsNotFound(err):
			return state{err: &unusable{r.options.Namespace, wanted.name, "does not exist: create it, or change " + wanted.flag + ", which names it"}}, nil
		case err != nil:
			return state{}, fmt.Errorf("get Secret %s/%s of %s: %w", r.options.Namespace, wanted.name, wanted.flag, err)
		}
		if err := wanted.take(secret); err != nil {
			return state{err: err}, nil
		}
	}
	return s, nil
}

// credential returns what a Secret holds for the registry.
func (r *Registry) credential(secret *corev1.Secret) (credentials.Credential, error) {
	config := secret.Data[corev1.DockerConfigJsonKey]
	if len(config) == 0 {
		return credentials.Credential{}, r.wrong(secret, fmt.Sprintf("has no key %q, as Secrets of type %s have; it has: %v",
			corev1.DockerConfigJsonKey, corev1.SecretTypeDockerConfigJson, slices.Sorted(maps.Keys(secret.Data))))
	}
	store, err := credentials.FromDockerConfigJSON(config)
	if err != nil {
		return credentials.Credential{}, r.wrong(secret, fmt.Sprintf("has a key %q that can't be used: %v", corev1.DockerConfigJsonKey, err))
	}
	lookup := store.Lookup
	if r.options.External.PlainHTTP {
		// The flag says that this registry is reached without TLS; the entry need not say so again.
		lookup = func(host, path string) (credentials.Credential, bool) {
			if found, ok := store.LookupPlain(host, path); ok {
				return found, true
			}
			return store.Lookup(host, path)
		}
	}
	found, ok := lookup(r.options.External.Host, r.options.External.Path)
	if !ok || found.IsZero() {
		return credentials.Credential{}, r.wrong(secret, "has no credential for "+r.options.External.Host+": add one under that name")
	}
	return found, nil
}

func (r *Registry) wrong(secret *corev1.Secret, why string) error {
	return &unusable{r.options.Namespace, secret.Name, why}
}

// dockerConfig returns the content of a pull Secret for one registry. Whatever else was in the Secret of the operator is
// nobody else's business.
func dockerConfig(host string, c credentials.Credential) ([]byte, error) {
	entry := map[string]string{}
	if c.Username != "" || c.Password != "" {
		entry["username"], entry["password"] = c.Username, c.Password
		entry["auth"] = base64.StdEncoding.EncodeToString([]byte(c.Username + ":" + c.Password))
	}
	if c.RefreshToken != "" {
		entry["identitytoken"] = c.RefreshToken
	}
	if c.AccessToken != "" {
		entry["registrytoken"] = c.AccessToken
	}
	return json.Marshal(map[string]any{"auths": map[string]any{host: entry}})
}
