package registryserver

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

const (
	// writerTTL is how long a credential for writing is good. It is renewed at half of that, so that whoever has read it has
	// the other half.
	writerTTL = time.Hour
	// expiresAnnotation says when it ends.
	expiresAnnotation = "delivery.ocm.software/expires"
	// managedByLabel marks the Secret as the operator's: one of somebody else is not written over.
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "ocm-operator"
)

// pushers is the content of the Secret.
type pushers struct {
	Auths map[string]pusher `json:"auths"`
}

type pusher struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     []byte `json:"auth"`
}

// setupWriter has the replica that leads keep the credential of whoever else may write, if there is to be one.
func (r *Registry) setupWriter(mgr ctrl.Manager) error {
	if r.options.WriterSecret == "" {
		return nil
	}
	signal(r.writer)
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		r.repeat(ctx, r.writer, func(ctx context.Context) (due time.Duration, err error) {
			err = r.lookAt(ctx, r.options.WriterSecret, func(ctx context.Context) error {
				due, err = r.provideWriter(ctx, time.Now())
				return err
			})
			return due, err
		})
		return nil
	}))
}

// +kubebuilder:rbac:roleName=registry,namespace=own,groups="",resources=secrets,resourceNames=--registry-writer-secret,verbs=get;update

// provideWriter keeps the Secret, and tells when that is due again.
func (r *Registry) provideWriter(ctx context.Context, now time.Time) (time.Duration, error) {
	name := client.ObjectKey{Namespace: r.namespace, Name: r.options.WriterSecret}
	secret := &corev1.Secret{}
	err := r.client.Get(ctx, name, secret)
	found := err == nil
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return 0, fmt.Errorf("get Secret %s: %w", name, err)
	case found && secret.Labels[managedByLabel] != managedBy:
		return 0, fmt.Errorf("Secret %s is somebody else's: delete it, or set --registry-writer-secret to another name", name) //nolint:staticcheck // a kind
	case found:
		if due := r.writerDue(secret, now); due > 0 {
			return due, nil
		}
	}
	secret.Namespace, secret.Name, secret.Type = name.Namespace, name.Name, corev1.SecretTypeDockerConfigJson
	if err := r.fillWriter(secret); err != nil {
		return 0, err
	}
	if found {
		err = r.client.Update(ctx, secret)
	} else {
		err = r.client.Create(ctx, secret)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || found && apierrors.IsNotFound(err) {
		return minLookDelay, nil // somebody was faster
	}
	if err != nil {
		return 0, fmt.Errorf("write Secret %s: %w", name, err)
	}
	return writerTTL / 2, nil
}

// writerDue is when the credential in a Secret has to be made again: not while it is good for half of its time. It is zero now.
func (r *Registry) writerDue(secret *corev1.Secret, now time.Time) time.Duration {
	expires, err := time.Parse(time.RFC3339, secret.Annotations[expiresAnnotation])
	if err != nil {
		return 0
	}
	var config pushers
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		return 0
	}
	has := config.Auths[r.options.Address]
	if !r.issuer.Current(auth.Request{Username: has.Username, Password: has.Password, Repository: managedBy, Action: auth.Push}) {
		return 0
	}
	return max(0, min(expires.Sub(now)-writerTTL/2, writerTTL/2))
}

func (r *Registry) fillWriter(secret *corev1.Secret) error {
	credential, err := r.issuer.Issue(auth.Scope{Push: true}, writerTTL)
	if err != nil {
		return err
	}
	config, err := json.Marshal(pushers{Auths: map[string]pusher{r.options.Address: {
		Username: credential.Username, Password: credential.Password, Auth: []byte(credential.Username + ":" + credential.Password),
	}}})
	if err != nil {
		return err
	}
	metav1.SetMetaDataLabel(&secret.ObjectMeta, managedByLabel, managedBy)
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, expiresAnnotation, credential.Expires.UTC().Format(time.RFC3339))
	secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: config}
	return nil
}
