package fluxdeployer_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/fluxdeployer"
	"github.com/ocm-operator/ocm-operator/reconcilers/reconcilertest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// TestExternalRegistry hands snapshots in a registry of others to Flux.
func TestExternalRegistry(t *testing.T) {
	t.Parallel()
	repository := "oci://" + address + "/cluster-a/" + snapshot.RepositoryName("default", snapshotName)
	for name, tc := range map[string]struct {
		registry fluxdeployer.Registry
		want     map[string]any
	}{
		"open": {fluxdeployer.Registry{External: &fluxdeployer.External{Path: "cluster-a"}}, map[string]any{"url": repository}},
		"plain HTTP": {
			fluxdeployer.Registry{PlainHTTP: true, External: &fluxdeployer.External{Path: "cluster-a"}},
			map[string]any{"url": repository, "insecure": true},
		},
		"cloud": {
			fluxdeployer.Registry{External: &fluxdeployer.External{Path: "cluster-a", Provider: "aws"}},
			map[string]any{"url": repository, "provider": "aws"},
		},
		"login and certificates": {
			fluxdeployer.Registry{External: &fluxdeployer.External{Path: "cluster-a", Pull: true, Authority: true}},
			map[string]any{
				"url": repository, "secretRef": map[string]any{"name": "app-registry-pull"}, "certSecretRef": map[string]any{"name": "app-registry-ca"},
			},
		},
		"no path": {
			fluxdeployer.Registry{External: &fluxdeployer.External{}},
			map[string]any{"url": "oci://" + address + "/" + snapshot.RepositoryName("default", snapshotName)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			external := tc.registry
			external.Address = address
			external.External.Shared = func(context.Context) ([]byte, []byte, error) { return []byte("{}"), []byte("certificates"), nil }
			s := newStage(t, func(r *fluxdeployer.Registry) { *r = external })
			d := s.deploy(kustomize)
			tc.want["interval"], tc.want["ref"] = d.Spec.Interval.Duration.String(), map[string]any{"digest": first}
			source := &unstructured.Unstructured{}
			source.SetGroupVersionKind(ociRepository)
			source.SetNamespace(d.Namespace)
			source.SetName(d.Name)
			s.Get(source)
			if diff := cmp.Diff(tc.want, source.Object["spec"]); diff != "" {
				t.Errorf("OCIRepository (-want +got):\n%s", diff)
			}
			for name, has := range map[string]bool{"app-registry-ca": external.External.Authority, "app-registry-pull": external.External.Pull} {
				if got := s.Has(&corev1.Secret{ObjectMeta: reconcilertest.Named(name)}); got != has {
					t.Errorf("Secret %s is there: %v", name, got)
				}
			}
		})
	}
}

// TestExternalAccessIsKeptUpToDate changes what Flux pulls with, and lets it be unreadable for a while.
func TestExternalAccessIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	var fails error
	pull := []byte("one")
	s := newStage(t, func(r *fluxdeployer.Registry) {
		*r = fluxdeployer.Registry{Address: address, External: &fluxdeployer.External{
			Pull: true, Shared: func(context.Context) ([]byte, []byte, error) { return pull, nil, fails },
		}}
	})
	d := s.deploy(kustomize)
	secret := &corev1.Secret{ObjectMeta: reconcilertest.Named("app-registry-pull")}
	for _, step := range []struct {
		name, pull string
		fails      error
		want       string
	}{
		{"first", "one", nil, "one"}, {"changed", "two", nil, "two"}, {"unreadable", "three", errors.New("no such Secret"), "two"}, {"again", "three", nil, "three"},
	} {
		pull, fails = []byte(step.pull), step.fails
		s.Reconcile(d)
		s.Get(secret)
		if got := string(secret.Data[corev1.DockerConfigJsonKey]); got != step.want || secret.Type != corev1.SecretTypeDockerConfigJson {
			t.Errorf("%s: the Secret of type %s holds %q, want %q", step.name, secret.Type, got, step.want)
		}
		if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].Kind != v1alpha1.FluxDeployerKind {
			t.Errorf("%s: the Secret is owned by %v", step.name, secret.OwnerReferences)
		}
	}
	s.Writes()
	s.Reconcile(d)
	if written := s.Writes(); len(written) != 0 {
		t.Errorf("nothing changed, and this was written: %v", written)
	}
}
