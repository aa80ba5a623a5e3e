package fluxdeployer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// lookAgain is when a deployer looks whether the controller that was asked has answered.
const lookAgain = 2 * time.Second

// Artifact is the content of a snapshot as a file that is served over plain HTTP.
type Artifact struct {
	// URL is where it is served, and Path the same without the server.
	URL, Path string
	// Digest, Size and MediaType are those of the content.
	Digest    string
	Size      int64
	MediaType string
}

// Artifacts is how Flux reads snapshots without the registry.
type Artifacts struct {
	// Find returns the content of the snapshot with that manifest digest; the error matches snapshot.ErrNotFound when it is not
	// there. Without it, Flux gets OCIRepositories.
	Find func(ctx context.Context, repository, manifest string) (Artifact, error)
	// Namespace is where the controllers of Flux are asked whether they take artifacts.
	Namespace string
}

// chooseSource decides by what kind of source Flux gets the content: an ExternalArtifact where that is wanted and Flux
// takes it, an OCIRepository everywhere else.
func (d *deployer) chooseSource(ctx context.Context, r *run) error {
	consumer := r.consumer()
	if d.artifacts.Find == nil || consumer.Empty() {
		return nil
	}
	why, err := d.declined(ctx, r, consumer)
	if err != nil {
		return err
	}
	if why == "" {
		why, err = d.find(ctx, r)
		if err != nil {
			return err
		}
	}
	r.fallback = why
	return nil
}

// consumer is the kind of Flux that applies the content; it is empty when there is none.
func (r *run) consumer() schema.GroupVersionKind {
	switch {
	case r.obj.Spec.KustomizationTemplate != nil:
		return kustomizationKind
	case r.obj.Spec.HelmReleaseTemplate != nil:
		return helmReleaseKind
	}
	return schema.GroupVersionKind{}
}

// declined says why Flux takes no ExternalArtifact; it is empty when it does, or has done so up to now.
func (d *deployer) declined(ctx context.Context, r *run, consumer schema.GroupVersionKind) (string, error) {
	if _, watched := d.watched.Load(externalArtifactKind); !watched && !d.foreign.Served(externalArtifactKind) {
		return "the cluster has no kind ExternalArtifact", nil
	}
	if !d.foreign.Served(consumer) {
		return "the cluster has no kind " + consumer.Kind, nil // nobody to ask yet; the next step says what to do
	}
	if found, err := d.get(ctx, consumer, client.ObjectKeyFromObject(r.obj)); err == nil && found != nil && ownedBy(r.obj, found) {
		if _, reason, message := readyOf(found); gateClosed(reason, message) && refersTo(found, externalArtifactKind.Kind) {
			d.gate.refused(consumer, message)
		}
	}
	verdict, why := d.gate.ask(consumer)
	switch {
	case verdict == closed:
		return why, nil
	case verdict == open, r.obj.Status.ExternalArtifact != "":
		return "", nil
	case r.obj.Status.OCIRepository != "":
		return "Flux is being asked whether it takes ExternalArtifacts", nil
	}
	return "", lifecycle.Wait(meta.ProgressingReason, lookAgain, fmt.Errorf("asking the controller of %s whether it takes ExternalArtifacts", consumer.Kind))
}

// refersTo tells whether an object of Flux reads from a kind of source.
func refersTo(obj *unstructured.Unstructured, kind string) bool {
	for _, field := range []string{"sourceRef", "chartRef"} {
		if got, _, _ := unstructured.NestedString(obj.Object, "spec", field, "kind"); got == kind {
			return true
		}
	}
	return false
}

// find finds the content in the store, and says why it is none that Flux takes as an artifact.
func (d *deployer) find(ctx context.Context, r *run) (string, error) {
	found, err := d.artifacts.Find(ctx, r.repository, r.content.ManifestDigest)
	if errors.Is(err, snapshot.ErrNotFound) {
		// The Snapshot is about to notice, and has it written again; its being ready then wakes the deployer.
		return "", lifecycle.Wait(v1alpha1.SourceRefNotReadyReason, 0, err)
	}
	if err != nil {
		return "", lifecycle.Retry(v1alpha1.SourceRefNotReadyReason, err)
	}
	if found.MediaType != snapshot.MediaTypeDirectory && found.MediaType != snapshot.MediaTypeChart {
		return "content of type " + found.MediaType + " is no archive that Flux unpacks", nil
	}
	r.artifact = &found
	return "", nil
}

// externalArtifact names the snapshot that the artifact is made of; the artifact itself is in the status.
func (d *deployer) externalArtifact(r *run) *unstructured.Unstructured {
	return r.object(externalArtifactKind, map[string]any{"sourceRef": map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": v1alpha1.SnapshotKind,
		"namespace": r.content.Ref.Namespace, "name": r.content.SnapshotName,
	}})
}

// publish writes the artifact into the status of its object, if it isn't there, and tells whether it did.
func (d *deployer) publish(ctx context.Context, r *run, obj *unstructured.Unstructured) (bool, error) {
	want := map[string]any{
		"url": r.artifact.URL, "path": r.artifact.Path, "revision": r.artifactRevision(), "digest": r.artifact.Digest, "size": r.artifact.Size,
	}
	artifact, _, _ := unstructured.NestedMap(obj.Object, "status", "artifact")
	ready, _, _ := readyOf(obj)
	if contains(artifact, want) && ready == "True" || !obj.GetDeletionTimestamp().IsZero() {
		return false, nil
	}
	now := d.now().UTC().Format(time.RFC3339)
	want["lastUpdateTime"] = now
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"artifact": want,
		"conditions": []any{map[string]any{
			"type": meta.ReadyCondition, "status": "True", "reason": meta.SucceededReason, "observedGeneration": obj.GetGeneration(),
			"lastTransitionTime": now, "message": "stored artifact: revision '" + r.artifactRevision() + "'",
		}},
	}})
	if err != nil {
		return false, err
	}
	if err := d.client.Status().Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return false, fmt.Errorf("write the artifact of %s: %w", describe(obj), err)
	}
	return true, nil
}

// artifactRevision is the revision of the artifact. That of a chart is its digest alone, as for an OCIRepository:
// helm-controller holds anything before it to the version of the chart, which isn't that of the component.
func (r *run) artifactRevision() string {
	if r.artifact.MediaType == snapshot.MediaTypeChart {
		return r.content.ManifestDigest
	}
	return r.revision()
}
