package fluxdeployer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// render makes the Flux objects from the templates.
func (d *deployer) render(ctx context.Context, r *run) error {
	spec := r.obj.Spec
	if spec.KustomizationTemplate != nil && spec.HelmReleaseTemplate != nil {
		return lifecycle.Stall(v1alpha1.InvalidSpecReason, errors.New("spec has both kustomizationTemplate and helmReleaseTemplate: keep one of them"))
	}
	if r.artifact == nil {
		r.objects = []*unstructured.Unstructured{d.ociRepository(r)}
	} else {
		r.objects = []*unstructured.Unstructured{d.externalArtifact(r)}
	}
	reference := map[string]any{"kind": r.objects[0].GetKind(), "name": r.obj.Name}
	switch {
	case spec.KustomizationTemplate != nil:
		template, err := templateOf(spec.KustomizationTemplate.Raw)
		if err != nil {
			return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.kustomizationTemplate: %w", err))
		}
		template["sourceRef"] = reference
		r.add(kustomizationKind, template)
	case spec.HelmReleaseTemplate != nil:
		template, err := templateOf(spec.HelmReleaseTemplate.Raw)
		if err != nil {
			return lifecycle.Stall(v1alpha1.InvalidSpecReason, fmt.Errorf("spec.helmReleaseTemplate: %w", err))
		}
		if err := d.checkChart(ctx, r); err != nil {
			return err
		}
		delete(template, "chart") // Flux forbids it beside chartRef
		template["chartRef"] = reference
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

// checkChart says, in place of Flux, that the content is no Helm chart. Flux would say of the same bytes, elsewhere, that they
// have no layer of some type.
func (d *deployer) checkChart(ctx context.Context, r *run) error {
	if d.store == nil && r.artifact == nil {
		return nil
	}
	kind, err := d.mediaType(ctx, r)
	if errors.Is(err, snapshot.ErrNotFound) {
		return lifecycle.Wait(v1alpha1.SourceRefNotReadyReason, 0, err)
	}
	if err != nil {
		return lifecycle.Retry(v1alpha1.SourceRefNotReadyReason, err)
	}
	if kind != snapshot.MediaTypeChart {
		return lifecycle.Fail(v1alpha1.CreateOrUpdateHelmFailedReason, fmt.Errorf(
			"content of %s is no Helm chart: use kustomizationTemplate, or refer to a Resource of type helmChart", r.content.Ref))
	}
	return nil
}

// mediaType returns the type of the content.
func (d *deployer) mediaType(ctx context.Context, r *run) (string, error) {
	if r.artifact != nil {
		return r.artifact.MediaType, nil
	}
	repository, err := d.store.Repository(r.repository)
	if err != nil {
		return "", err
	}
	content, err := snapshot.Open(ctx, repository, digest.Digest(r.content.ManifestDigest))
	if err != nil {
		return "", err
	}
	return content.MediaType, content.Close()
}

// ociRepository pins the snapshot by the digest of its manifest, so that Flux applies these bytes or none.
func (d *deployer) ociRepository(r *run) *unstructured.Unstructured {
	spec := map[string]any{
		"interval": r.obj.Spec.Interval.Duration.String(),
		"url":      d.registry.repositoryURL(r.repository),
		"ref":      map[string]any{"digest": r.content.ManifestDigest},
	}
	if d.hasPull() {
		spec["secretRef"] = map[string]any{"name": pullSecretName(r.obj)}
	}
	if external := d.registry.External; external != nil && external.Provider != "" {
		spec["provider"] = external.Provider
	}
	switch {
	case d.registry.PlainHTTP:
		spec["insecure"] = true
	case d.hasCA():
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
