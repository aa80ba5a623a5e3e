package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FluxDeployerSpec says which content is handed to Flux and what Flux makes of it.
// +kubebuilder:validation:XValidation:rule="!(has(self.kustomizationTemplate) && has(self.helmReleaseTemplate))",message="kustomizationTemplate and helmReleaseTemplate exclude each other: keep one, and use a second FluxDeployer for the other"
type FluxDeployerSpec struct {
	Schedule `json:",inline"`

	// sourceRef names the object whose snapshot is deployed: a Resource, a Localization or a Configuration. It has no default.
	// Example: {kind: Configuration, name: podinfo}.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.kind) && size(self.kind) > 0",message="sourceRef.kind is missing: set it to Resource, Localization or Configuration"
	SourceRef ObjectReference `json:"sourceRef"`

	// kustomizationTemplate is the spec of the Kustomization (kustomize.toolkit.fluxcd.io/v1) that applies the content.
	// Every field is passed on as it is; sourceRef is set by the controller, and interval defaults to that of the FluxDeployer.
	// The default is none. It excludes helmReleaseTemplate. Example: {path: ./, prune: true}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	KustomizationTemplate *apiextensionsv1.JSON `json:"kustomizationTemplate,omitempty"`

	// helmReleaseTemplate is the spec of the HelmRelease (helm.toolkit.fluxcd.io/v2) that installs the chart.
	// Every field is passed on as it is; chartRef is set by the controller, and interval defaults to that of the FluxDeployer.
	// The default is none. It excludes kustomizationTemplate. Example: {values: {replicas: 2}}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	HelmReleaseTemplate *apiextensionsv1.JSON `json:"helmReleaseTemplate,omitempty"`

	// waitForReady tells whether the FluxDeployer is ready only when the objects of Flux are. The default is false: when they were applied. Example: true.
	// +optional
	WaitForReady bool `json:"waitForReady,omitempty"`
}

// FluxDeployerStatus says which objects of Flux were made.
type FluxDeployerStatus struct {
	CommonStatus `json:",inline"`

	// kustomization is the Kustomization that was made, as namespace/name, at most 317 characters. Example: default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	Kustomization string `json:"kustomization,omitempty"`

	// ociRepository is the OCIRepository that was made, as namespace/name, at most 317 characters. Example: default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	OCIRepository string `json:"ociRepository,omitempty"`

	// externalArtifact is the ExternalArtifact that was made in place of an OCIRepository, as namespace/name, at most 317 characters. Example: default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	ExternalArtifact string `json:"externalArtifact,omitempty"`

	// helmRelease is the HelmRelease that was made, as namespace/name, at most 317 characters. Example: default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	HelmRelease string `json:"helmRelease,omitempty"`

	// lastAppliedRevision is the content that was deployed last, as Flux writes it: version@algorithm:digest, at most 512 characters.
	// With waitForReady it is the content with which the objects of Flux were ready last.
	// Example: 1.0.0@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	LastAppliedRevision string `json:"lastAppliedRevision,omitempty"`

	// lastAttemptedRevision is the content that was handed to Flux last, whatever came of it, in the same form, at most 512 characters.
	// It stays in the registry like that of lastAppliedRevision.
	// Example: 1.0.1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`

	// origins lists the component versions that the deployed content came from, and whether they were verified, at most 256.
	// Example: [{namespace: default, name: podinfo, version: 6.3.6, verified: true}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Origins []Origin `json:"origins,omitempty"`
}

// FluxDeployer hands the content of a snapshot to Flux, which applies it as manifests or installs it as a Helm chart.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fd,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.lastAppliedRevision",priority=1
// +kubebuilder:printcolumn:name="Kustomization",type="string",JSONPath=".status.kustomization",priority=1
// +kubebuilder:printcolumn:name="Helm Release",type="string",JSONPath=".status.helmRelease",priority=1
type FluxDeployer struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which content is deployed and how.
	// +required
	Spec FluxDeployerSpec `json:"spec"`

	// status says which objects of Flux were made; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status FluxDeployerStatus `json:"status,omitempty"`
}

// FluxDeployerList is a list of FluxDeployer objects.
// +kubebuilder:object:root=true
type FluxDeployerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FluxDeployer `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *FluxDeployer) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *FluxDeployer) SetConditions(conditions []metav1.Condition) { o.Status.Conditions = conditions }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *FluxDeployer) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns when the object is reconciled.
func (o *FluxDeployer) GetSchedule() Schedule { return o.Spec.Schedule }
