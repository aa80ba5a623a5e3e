package fluxdeployer

import (
	"bytes"
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// External is how Flux reaches snapshots in a registry of others.
type External struct {
	// Path comes before the name of each repository.
	Path string
	// Provider is the cloud that Flux logs in at by its own identity; generic is none.
	Provider string
	// Pull tells whether there is a Secret that Flux pulls with, and Authority whether there are certificates that it trusts.
	Pull, Authority bool
	// Shared returns them: the content of a Secret of type dockerconfigjson, and certificates in PEM.
	Shared func(ctx context.Context) (pull, authority []byte, err error)
}

// hasPull tells whether Flux pulls by a Secret.
func (d *deployer) hasPull() bool { return d.registry.External == nil || d.registry.External.Pull }

// repositoryURL is the address of a repository, as Flux reads it.
func (r Registry) repositoryURL(repository string) string {
	address := "oci://" + r.Address + "/"
	if r.External != nil && r.External.Path != "" {
		address += r.External.Path + "/"
	}
	return address + repository
}

// copyAccess keeps beside the OCIRepository what Flux pulls with.
func (d *deployer) copyAccess(ctx context.Context, r *run) error {
	external := d.registry.External
	if !external.Pull && !external.Authority {
		return nil
	}
	pull, authority, err := external.Shared(ctx)
	if err != nil {
		return err
	}
	if external.Pull {
		err = d.copySecret(ctx, r.obj, pullSecretName(r.obj), corev1.SecretTypeDockerConfigJson, corev1.DockerConfigJsonKey, pull)
	}
	if external.Authority {
		err = errors.Join(err, d.copySecret(ctx, r.obj, caSecretName(r.obj), corev1.SecretTypeOpaque, caKey, authority))
	}
	return err
}

func (d *deployer) copySecret(ctx context.Context, owner *v1alpha1.FluxDeployer, name string, kind corev1.SecretType, key string, value []byte) error {
	secret, found, err := d.secret(ctx, owner, name)
	if err != nil {
		return err
	}
	if found && ownedBy(owner, secret) && len(secret.Data) == 1 && bytes.Equal(secret.Data[key], value) {
		return nil
	}
	// A credential that the embedded registry issued before ended; this one is renewed by whoever made it.
	delete(secret.Annotations, expiresAnnotation)
	secret.Type = kind
	secret.Data = map[string][]byte{key: value}
	return d.writeSecret(ctx, owner, secret, found)
}
