package fluxdeployer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// deployer holds what the steps of every run share.
type deployer struct {
	client   client.Client
	live     client.Reader
	cache    client.Reader
	foreign  *source.Foreign
	resolver source.Resolver
	registry Registry
	now      func() time.Time
}

// run is what the steps of one reconciliation hand to each other.
type run struct {
	obj    *v1alpha1.FluxDeployer
	events lifecycle.Events

	repository string
	// accessible is set when Flux has what it needs to pull from the repository.
	accessible bool
	content    *source.Content
	// objects are what is wanted, in the order in which it is applied.
	objects []*unstructured.Unstructured
}

// checkSource finds out where the snapshot of the source lies, be it ready or not.
func (d *deployer) checkSource(_ context.Context, r *run) error {
	ref := source.RefTo(r.obj.Spec.SourceRef, r.obj.Namespace)
	if ref.Kind == v1alpha1.ComponentVersionKind {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New(
			"spec.sourceRef is a ComponentVersion, which has no content of its own: refer to a Resource, a Localization or a Configuration"))
	}
	if err := d.resolver.Allow(r.obj.Namespace, ref); err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	r.repository = snapshot.RepositoryName(ref.Namespace, snapshot.Name(ref.Kind, ref.Name))
	return nil
}

// resolveSource finds the current snapshot.
func (d *deployer) resolveSource(ctx context.Context, r *run) error {
	content, err := d.resolver.Snapshot(ctx, r.obj.Namespace, r.obj.Spec.SourceRef)
	if err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	r.content = content
	return nil
}

// render makes the Flux objects from the templates.
func (d *deployer) render(_ context.Context, r *run) error {
	spec := r.obj.Spec
	if spec.KustomizationTemplate != nil && spec.HelmReleaseTemplate != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New("spec has both kustomizationTemplate and helmReleaseTemplate: keep one of them"))
	}
	r.objects = []*unstructured.Unstructured{d.ociRepository(r)}
	switch {
	case spec.KustomizationTemplate != nil:
		template, err := templateOf(spec.KustomizationTemplate.Raw)
		if err != nil {
			return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.kustomizationTemplate: %w", err))
		}
		template["sourceRef"] = map[string]any{"kind": ociRepositoryKind.Kind, "name": r.obj.Name}
		r.add(kustomizationKind, template)
	case spec.HelmReleaseTemplate != nil:
		template, err := templateOf(spec.HelmReleaseTemplate.Raw)
		if err != nil {
			return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.helmReleaseTemplate: %w", err))
		}
		delete(template, "chart") // Flux forbids it beside chartRef
		template["chartRef"] = map[string]any{"kind": ociRepositoryKind.Kind, "name": r.obj.Name}
		r.add(helmReleaseKind, template)
	}
	for _, obj := range r.objects {
		if gvk := obj.GroupVersionKind(); !d.foreign.Served(gvk) {
			return lifecycle.Wait(v1alpha1.FluxNotInstalledReason, 0, fmt.Errorf(
				"the cluster has no kind %s in %s: install Flux, and this object goes on by itself", gvk.Kind, gvk.GroupVersion()))
		}
	}
	return nil
}

// ociRepository pins the snapshot by the digest of its manifest, so that Flux applies these bytes or none.
func (d *deployer) ociRepository(r *run) *unstructured.Unstructured {
	spec := map[string]any{
		"interval":  r.obj.Spec.Interval.Duration.String(),
		"url":       "oci://" + d.registry.Address + "/" + r.repository,
		"ref":       map[string]any{"digest": r.content.ManifestDigest},
		"secretRef": map[string]any{"name": pullSecretName(r.obj)},
	}
	switch {
	case d.registry.PlainHTTP:
		spec["insecure"] = true
	case len(d.registry.CA()) > 0:
		spec["certSecretRef"] = map[string]any{"name": caSecretName(r.obj)}
	}
	if r.obj.Spec.HelmReleaseTemplate != nil {
		spec["layerSelector"] = map[string]any{"mediaType": snapshot.MediaTypeChart, "operation": "copy"}
	}
	return r.object(ociRepositoryKind, spec)
}

// add adds an object made from a template.
func (r *run) add(gvk schema.GroupVersionKind, template map[string]any) {
	if _, ok := template["interval"]; !ok {
		template["interval"] = r.obj.Spec.Interval.Duration.String()
	}
	r.objects = append(r.objects, r.object(gvk, template))
}

func (r *run) object(gvk schema.GroupVersionKind, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(gvk)
	obj.SetNamespace(r.obj.Namespace)
	obj.SetName(r.obj.Name)
	return obj
}

// templateOf decodes a template. Its fields are Flux's, known or not.
func templateOf(raw []byte) (map[string]any, error) {
	var template map[string]any
	if err := json.Unmarshal(raw, &template); err != nil {
		return nil, fmt.Errorf("read the template: %w", err)
	}
	if template == nil {
		template = map[string]any{}
	}
	return template, nil
}

// apply applies what changed and tells in the status what there is.
func (d *deployer) apply(ctx context.Context, r *run) error {
	for _, obj := range r.objects {
		applied, err := d.applyObject(ctx, r.obj, obj)
		if err != nil {
			return lifecycle.Retry(applyReason(obj.GroupVersionKind()), err)
		}
		if applied {
			r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Applied %s with version %s, digest %s",
				obj.GetKind(), r.content.Version, r.content.ManifestDigest))
		}
	}
	return nil
}

func applyReason(gvk schema.GroupVersionKind) string {
	switch gvk.Kind {
	case kustomizationKind.Kind:
		return v1alpha1.CreateOrUpdateKustomizationFailedReason
	case helmReleaseKind.Kind:
		return v1alpha1.CreateOrUpdateHelmFailedReason
	}
	return v1alpha1.CreateOrUpdateOCIRepositoryFailedReason
}

// prune deletes what an earlier template made, and brings the status up to date.
func (d *deployer) prune(ctx context.Context, r *run) error {
	status := &r.obj.Status
	for _, field := range []struct {
		gvk  schema.GroupVersionKind
		name *string
	}{
		{ociRepositoryKind, &status.OCIRepository},
		{kustomizationKind, &status.Kustomization},
		{helmReleaseKind, &status.HelmRelease},
	} {
		if r.wants(field.gvk) {
			*field.name = r.obj.Namespace + "/" + r.obj.Name
			continue
		}
		if *field.name == "" {
			continue
		}
		if err := d.deleteObject(ctx, r.obj, field.gvk); err != nil {
			return lifecycle.Retry(applyReason(field.gvk), err)
		}
		*field.name = ""
	}
	return nil
}

func (r *run) wants(gvk schema.GroupVersionKind) bool {
	for _, obj := range r.objects {
		if obj.GroupVersionKind() == gvk {
			return true
		}
	}
	return false
}

// await mirrors the readiness of what was applied, when that is asked for. Ready means ready with this very content.
func (d *deployer) await(ctx context.Context, r *run) error {
	if !r.obj.Spec.WaitForReady {
		return nil
	}
	for _, want := range r.objects {
		found, err := d.get(ctx, want.GroupVersionKind(), client.ObjectKeyFromObject(want))
		if err != nil {
			return lifecycle.Retry(v1alpha1.CreatedObjectsNotReadyReason, err)
		}
		state, message := readiness(found, r.content.ManifestDigest)
		switch {
		case state == stateFailed:
			return lifecycle.Fail(v1alpha1.CreatedObjectsNotReadyReason, fmt.Errorf("%s is not ready: %s", want.GetKind(), message))
		case state == statePending && (!conditions.IsTrue(r.obj, meta.ReadyCondition) || !again(found, r.content.ManifestDigest)):
			return lifecycle.Wait(v1alpha1.CreatedObjectsNotReadyReason, 0,
				errors.New("waiting for ready condition on created sources: "+want.GetKind()+" "+message))
		}
	}
	return nil
}

// state is how far a Flux object is.
type state int

const (
	statePending state = iota
	stateReady
	stateFailed
)

// readiness reads the conditions of a Flux object. An object that is ready with other content than the wanted one is
// pending.
func readiness(obj *unstructured.Unstructured, digest string) (state, string) {
	if obj == nil {
		return statePending, "does not exist yet"
	}
	observed, _, _ := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	ready, message := condition(obj, "Ready")
	switch {
	case observed != obj.GetGeneration():
		return statePending, "is being reconciled"
	case ready == "False":
		return stateFailed, message
	case ready != "True":
		return statePending, message
	case !appliesTo(obj, digest):
		return statePending, "has other content still"
	}
	return stateReady, message
}

// again tells an object that Flux merely looks at again, as it does at every interval, from one that is on its way to
// something new.
func again(obj *unstructured.Unstructured, digest string) bool {
	if obj == nil {
		return false
	}
	o := outcomeOf(obj)
	return o.ready == "Unknown" && o.observed == o.generation && appliesTo(obj, digest)
}

// outcome is what a deployer wants to know of a Flux object.
type outcome struct {
	generation, observed              int64
	ready, message, revision, applied string
	deleted                           bool
}

func outcomeOf(obj *unstructured.Unstructured) outcome {
	o := outcome{generation: obj.GetGeneration(), deleted: obj.GetDeletionTimestamp() != nil, applied: obj.GetAnnotations()[appliedAnnotation]}
	o.observed, _, _ = unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	o.ready, o.message = condition(obj, "Ready")
	o.revision, _ = revisionOf(obj)
	return o
}

// appliesTo tells whether an object's status is about the content with that digest.
func appliesTo(obj *unstructured.Unstructured, digest string) bool {
	revision, found := revisionOf(obj)
	return !found && obj.GetKind() == helmReleaseKind.Kind || strings.HasSuffix(revision, digest)
}

// revisionOf returns which content an object's status is about.
func revisionOf(obj *unstructured.Unstructured) (string, bool) {
	path := []string{"status", "artifact", "revision"}
	switch obj.GetKind() {
	case kustomizationKind.Kind:
		path = []string{"status", "lastAppliedRevision"}
	case helmReleaseKind.Kind:
		path = []string{"status", "lastAttemptedRevisionDigest"}
	}
	revision, found, _ := unstructured.NestedString(obj.Object, path...)
	return revision, found
}

func condition(obj *unstructured.Unstructured, conditionType string) (status, message string) {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	for _, c := range conditions {
		fields, ok := c.(map[string]any)
		if ok && fields["type"] == conditionType {
			status, _ = fields["status"].(string)
			message, _ = fields["message"].(string)
		}
	}
	return status, message
}

// wakeAll puts every FluxDeployer into the queue, once.
func wakeAll(reader client.Reader) func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	return func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		all := &v1alpha1.FluxDeployerList{}
		if err := reader.List(ctx, all); err != nil {
			return fmt.Errorf("list FluxDeployers: %w", err)
		}
		for i := range all.Items {
			queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
		return nil
	}
}
