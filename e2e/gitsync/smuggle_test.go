package gitsync

import (
	"context"
	"encoding/pem"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/registry/auth"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/remote"
)

// smuggle puts content into the registry of the operator, and a Resource and a Snapshot into the cluster that name it, which no
// controller has looked at: a Resource would not have written what the tests smuggle. The writer writes the content.
func (w *world) smuggle(write func(out io.Writer) error) {
	w.t.Helper()
	name := w.snapshotName()
	repository, err := w.store().Repository(snapshot.RepositoryName(w.Namespace, name))
	if err != nil {
		w.t.Fatal(err)
	}
	written, err := snapshot.Write(w.t.Context(), repository, snapshot.Meta{Component: w.component(), ComponentVersion: "1.0.0", Resource: app, ResourceVersion: "1.0.0"}, write)
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(v1alpha1.ResourceKind, app, map[string]any{"spec": v1alpha1.ResourceSpec{
		Schedule:  v1alpha1.Schedule{Interval: metav1.Duration{Duration: seldom}, Suspend: true},
		SourceRef: v1alpha1.ObjectReference{Kind: v1alpha1.ComponentVersionKind, Name: app, ResourceRef: &v1alpha1.ResourceReference{Name: app}},
	}})
	owner := &v1alpha1.Resource{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: app}, owner); err != nil {
		w.t.Fatal(err)
	}
	before := owner.DeepCopy()
	owner.Status = v1alpha1.ResourceStatus{
		SnapshotName: name, LatestSnapshotDigest: written.LayerDigest.String(), LatestManifestDigest: written.ManifestDigest.String(),
		LatestSourceVersion: "1.0.0", LastAppliedComponentVersion: "1.0.0", LastAppliedResourceVersion: "1.0.0",
	}
	owner.Status.ObservedGeneration = owner.Generation
	owner.Status.Conditions = []metav1.Condition{{
		Type: meta.ReadyCondition, Status: metav1.ConditionTrue, Reason: meta.SucceededReason, LastTransitionTime: metav1.Now(), ObservedGeneration: owner.Generation,
	}}
	if err := w.Client.Status().Patch(w.t.Context(), owner, client.MergeFrom(before)); err != nil {
		w.t.Fatal(err)
	}
	controller := true
	if err := w.Client.Create(w.t.Context(), &v1alpha1.Snapshot{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.ResourceKind, Name: app, UID: owner.UID, Controller: &controller,
		}}},
		Spec: v1alpha1.SnapshotSpec{
			Identity: map[string]string{"component-name": w.component(), "component-version": "1.0.0", "resource-name": app, "resource-version": "1.0.0"},
			Digest:   written.LayerDigest.String(), Tag: "1.0.0", ManifestDigest: written.ManifestDigest.String(),
		},
	}); err != nil {
		w.t.Fatal(err)
	}
}

// snapshotName is the name of the Snapshot of the Resource of the test.
func (w *world) snapshotName() string { return snapshot.Name(v1alpha1.ResourceKind, app) }

// store is the registry of the operator, by the rights that it has itself.
func (w *world) store() snapshot.Store {
	w.t.Helper()
	issuer, _ := w.RegistryRights()
	credential, err := issuer.Issue(auth.Scope{Push: true}, time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	secret := &corev1.Secret{}
	if err := w.Client.Get(w.t.Context(), client.ObjectKey{Namespace: operator.Namespace, Name: "ocm-registry-tls-certs"}, secret); err != nil {
		w.t.Fatal(err)
	}
	if block, _ := pem.Decode(secret.Data["ca.crt"]); block == nil {
		w.t.Fatal("the registry of the operator has no authority")
	}
	access := remote.Access{Username: credential.Username, Password: credential.Password, CertificateAuthority: string(secret.Data["ca.crt"])}
	store, err := remote.New(remote.Options{
		Host: w.Operator.RegistryAddress(), Dir: w.t.TempDir(), Access: func(context.Context) (remote.Access, error) { return access, nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return store
}
