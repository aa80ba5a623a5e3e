package fluxdeployer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
// While that is still the content of another source than the spec names, its credential is left as it is. It is not renewed
// either: what the OCIRepository points to is no proof of what its namespace may read.
func (d *deployer) renewAccess(ctx context.Context, r *run) error {
	if r.obj.Status.OCIRepository == "" {
		return nil
	}
	deployed, err := d.get(ctx, ociRepositoryKind, client.ObjectKeyFromObject(r.obj))
	if err == nil && deployed != nil {
		if url, _, _ := unstructured.NestedString(deployed.Object, "spec", "url"); !strings.HasSuffix(url, "/"+r.repository) {
			return nil
		}
	}
	return d.writeAccess(ctx, r)
}

// provideAccess keeps the Secrets by which Flux pulls the snapshot: what the registry is trusted by, and a credential for
// this repository that is renewed long before it ends.
func (d *deployer) provideAccess(ctx context.Context, r *run) error {
	if r.accessible || !r.wants(ociRepositoryKind) {
		return nil
	}
	return d.writeAccess(ctx, r)
}

func (d *deployer) writeAccess(ctx context.Context, r *run) error {
	var err error
	if d.registry.External != nil {
		err = d.copyAccess(ctx, r)
	} else if err = d.provideCredential(ctx, r); err == nil && d.hasCA() {
		err = d.provideCA(ctx, r)
	}
	if err != nil {
		return lifecycle.Retry(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, err)
	}
	r.accessible = true
	return nil
}

// hasCA tells whether there is something to trust that the system doesn't trust anyway.
func (d *deployer) hasCA() bool {
	if d.registry.External != nil {
		return d.registry.External.Authority
	}
	return !d.registry.PlainHTTP && len(d.registry.CA()) > 0
}

func (d *deployer) provideCA(ctx context.Context, r *run) error {
	secret, found, err := d.secret(ctx, r.obj, caSecretName(r.obj))
	if err != nil {
		return err
	}
	ca := d.registry.CA()
	if found && ownedBy(r.obj, secret) && len(secret.Data) == 1 && bytes.Equal(secret.Data[caKey], ca) {
		return nil
	}
	secret.Type = corev1.SecretTypeOpaque
	secret.Data = map[string][]byte{caKey: ca}
	return d.writeSecret(ctx, r.obj, secret, found)
}

func (d *deployer) provideCredential(ctx context.Context, r *run) error {
	secret, found, err := d.secret(ctx, r.obj, pullSecretName(r.obj))
	if err != nil {
		return err
	}
	ttl := max(minCredentialTTL, ttlIntervals*r.obj.Spec.Interval.Duration)
	if found && ownedBy(r.obj, secret) && d.stillGood(ctx, secret, r.repository, ttl) {
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
	return d.writeSecret(ctx, r.obj, secret, found)
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
	key := client.ObjectKey{Namespace: owner.Namespace, Name: name}
	secret, err := d.getSecret(ctx, key)
	if err != nil {
		return nil, false, err
	}
	if secret == nil {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}, false, nil
	}
	if !ownedBy(owner, secret) && !formerChild(owner, secret) {
		return nil, false, lifecycle.Stall(v1alpha1.CreateOrUpdateOCIRepositoryFailedReason, fmt.Errorf(
			"access to the snapshot needs Secret %s, which is somebody else's: rename the FluxDeployer, or delete that Secret", key))
	}
	return secret, true, nil
}

// +kubebuilder:rbac:roleName=FluxDeployer,groups="",resources=secrets,verbs=get;create;update;delete

func (d *deployer) writeSecret(ctx context.Context, owner *v1alpha1.FluxDeployer, secret *corev1.Secret, found bool) error {
	secret.OwnerReferences = append(withoutFormer(owner, secret), ownerReference(owner))
	var err error
	if found {
		err = d.client.Update(ctx, secret, fieldOwner)
	}
	if !found || apierrors.IsNotFound(err) {
		// What an earlier deployer of the name left is collected any moment.
		secret.UID, secret.ResourceVersion = "", ""
		err = d.client.Create(ctx, secret, fieldOwner)
	}
	if err != nil {
		return fmt.Errorf("write Secret %s/%s: %w", secret.Namespace, secret.Name, err)
	}
	d.secrets.Wrote(v1alpha1.FluxDeployerKind, client.ObjectKeyFromObject(owner), secret)
	return nil
}

// revokeAccess deletes the Secrets that nothing needs: a credential should not lie around.
func (d *deployer) revokeAccess(ctx context.Context, r *run) error {
	for _, secret := range []struct {
		name   string
		wanted bool
	}{
		{pullSecretName(r.obj), r.wants(ociRepositoryKind) && d.hasPull()},
		{caSecretName(r.obj), r.wants(ociRepositoryKind) && d.hasCA()},
	} {
		if secret.wanted {
			continue
		}
		key := client.ObjectKey{Namespace: r.obj.Namespace, Name: secret.name}
		found, err := d.secretMetadata(ctx, key)
		if err != nil {
			return err
		}
		if found == nil || !ownedBy(r.obj, found) || !found.GetDeletionTimestamp().IsZero() {
			continue
		}
		if err := client.IgnoreNotFound(d.client.Delete(ctx, found, onlyThis(found))); err != nil {
			return fmt.Errorf("delete Secret %s: %w", key, err)
		}
		d.secrets.Removed(v1alpha1.FluxDeployerKind, client.ObjectKeyFromObject(r.obj), key)
	}
	return nil
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
