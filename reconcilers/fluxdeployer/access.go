package fluxdeployer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

const (
	// caKey is where Flux looks for certificates in a Secret.
	caKey = "ca.crt"
	// expiresAnnotation says when the credential in a Secret ends.
	expiresAnnotation = "delivery.ocm.software/expires"
	// minCredentialTTL is how long a credential is good for at least.
	minCredentialTTL = 24 * time.Hour
	// ttlIntervals is for how many intervals of the deployer a credential is good at least; it is renewed at half of them.
	ttlIntervals = 4
)

func pullSecretName(obj *v1alpha1.FluxDeployer) string { return obj.Name + "-registry-pull" }

func caSecretName(obj *v1alpha1.FluxDeployer) string { return obj.Name + "-registry-ca" }

// renewAccess keeps the access of what was deployed before, whatever its source is like now: Flux pulls it again and again.
func (d *deployer) renewAccess(ctx context.Context, r *run) error {
	if r.obj.Status.OCIRepository == "" {
		return nil
	}
	return d.provideAccess(ctx, r)
}

// provideAccess keeps the Secrets by which Flux pulls the snapshot: what the registry is trusted by, and a credential for
// this repository that is renewed long before it ends.
func (d *deployer) provideAccess(ctx context.Context, r *run) error {
	if r.accessible {
		return nil
	}
	if err := d.writeAccess(ctx, r); err != nil {
		return err
	}
	r.accessible = true
	return nil
}

func (d *deployer) writeAccess(ctx context.Context, r *run) error {
	if err := d.provideCredential(ctx, r); err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, err)
	}
	ca := d.registry.CA()
	if d.registry.PlainHTTP || len(ca) == 0 {
		return nil // nothing to trust, or nothing that the system doesn't trust anyway
	}
	secret, found, err := d.secret(ctx, r.obj, caSecretName(r.obj))
	if err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, err)
	}
	if found && bytes.Equal(secret.Data[caKey], ca) {
		return nil
	}
	secret.Type = corev1.SecretTypeOpaque
	secret.Data = map[string][]byte{caKey: ca}
	if err := d.writeSecret(ctx, secret, found); err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, err)
	}
	return nil
}

func (d *deployer) provideCredential(ctx context.Context, r *run) error {
	secret, found, err := d.secret(ctx, r.obj, pullSecretName(r.obj))
	if err != nil {
		return err
	}
	ttl := max(minCredentialTTL, ttlIntervals*r.obj.Spec.Interval.Duration)
	if found && d.stillGood(ctx, secret, r.repository, ttl) {
		return nil
	}
	username, password, err := d.registry.Issue(r.repository, ttl)
	if err != nil {
		return fmt.Errorf("issue a credential for %s: %w", r.repository, err)
	}
	config, err := dockerConfig(d.registry.Address, username, password)
	if err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, expiresAnnotation, d.now().Add(ttl).UTC().Format(time.RFC3339))
	secret.Type = corev1.SecretTypeDockerConfigJson
	secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: config}
	return d.writeSecret(ctx, secret, found)
}

// stillGood tells whether the credential in a Secret is for this registry and repository and good for half of its time
// still.
func (d *deployer) stillGood(ctx context.Context, secret *corev1.Secret, repository string, ttl time.Duration) bool {
	expires, err := time.Parse(time.RFC3339, secret.Annotations[expiresAnnotation])
	if err != nil || expires.Sub(d.now()) < ttl/2 {
		return false
	}
	var config dockerConfigFile
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		return false
	}
	entry, ok := config.Auths[d.registry.Address]
	return ok && d.registry.Valid(ctx, repository, entry.Username, entry.Password)
}

// secret returns a Secret of the deployer, or an empty one to be created.
func (d *deployer) secret(ctx context.Context, owner *v1alpha1.FluxDeployer, name string) (*corev1.Secret, bool, error) {
	secret := &corev1.Secret{}
	err := d.live.Get(ctx, client.ObjectKey{Namespace: owner.Namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace:       owner.Namespace,
			Name:            name,
			OwnerReferences: []metav1.OwnerReference{ownerReference(owner)},
		}}, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("get Secret %s/%s: %w", owner.Namespace, name, err)
	}
	if !ownedBy(owner, secret) {
		return nil, false, lifecycle.Stall(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, fmt.Errorf(
			"access to the snapshot needs Secret %s/%s, which is somebody else's: rename the FluxDeployer, or delete that Secret",
			owner.Namespace, name))
	}
	return secret, true, nil
}

func (d *deployer) writeSecret(ctx context.Context, secret *corev1.Secret, found bool) error {
	if found {
		return d.client.Update(ctx, secret)
	}
	return d.client.Create(ctx, secret)
}

// dockerConfigFile is the content of a pull Secret.
type dockerConfigFile struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

func dockerConfig(address, username, password string) ([]byte, error) {
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	return json.Marshal(dockerConfigFile{Auths: map[string]dockerAuth{address: {Username: username, Password: password, Auth: auth}}})
}
