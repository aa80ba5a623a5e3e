package fluxdeployer

import (
	"context"
	"errors"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// An Alert of Flux selects objects by kinds that Flux knows, and ours is none of them. So that an Alert can speak of what a
// deployer came to, that is reported a second time, as an event about the source that the deployer has made.

// announce tells, once for each content, that it was deployed.
func (d *deployer) announce(_ context.Context, r *run) error {
	revision := r.revision()
	if r.obj.Status.LastAppliedRevision == revision {
		return nil
	}
	r.obj.Status.LastAppliedRevision = revision
	d.milestone(r, corev1.EventTypeNormal, meta.SucceededReason, "FluxDeployer '"+r.obj.Name+"' has deployed version "+r.content.Version)
	return nil
}

// announcing lets a step tell, once, why it has come to nothing.
func (d *deployer) announcing(step func(context.Context, *run) error) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		err := step(ctx, r)
		verdict, ok := errors.AsType[*lifecycle.Verdict](err)
		if !ok || !verdict.Final() {
			return err
		}
		before := conditions.Get(r.obj, meta.ReadyCondition)
		if before != nil && before.Status == "False" && before.Reason == verdict.Reason && strings.HasPrefix(err.Error(), strings.TrimSuffix(before.Message, "...")) {
			return err
		}
		d.milestone(r, corev1.EventTypeWarning, verdict.Reason, "FluxDeployer '"+r.obj.Name+"': "+err.Error())
		return err
	}
}

// milestone reports something as an event about the source, if there is one.
func (d *deployer) milestone(r *run, eventType, reason, message string) {
	var about *unstructured.Unstructured
	for _, found := range r.found {
		if found.GroupVersionKind().Group == ociRepositoryKind.Group {
			about = found
		}
	}
	if about == nil {
		return
	}
	annotations := map[string]string{about.GroupVersionKind().Group + "/" + eventv1.MetaRevisionKey: r.revision()}
	maps.Copy(annotations, metadataOf(r.obj))
	d.recorder.AnnotatedEventf(about, annotations, eventType, reason, "%s", message)
}

// metadataOf returns what the user wants to read in the notifications about an object.
func metadataOf(obj *v1alpha1.FluxDeployer) map[string]string {
	metadata := maps.Clone(obj.GetAnnotations())
	maps.DeleteFunc(metadata, func(key, _ string) bool { return !strings.HasPrefix(key, eventv1.Group+"/") })
	return metadata
}
