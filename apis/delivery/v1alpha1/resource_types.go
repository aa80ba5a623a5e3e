package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ResourceSpec says which resource of a component version is brought into the cluster.
type ResourceSpec struct {
	Schedule `json:",inline"`

	// sourceRef names the ComponentVersion and, in resourceRef, the resource in it. Its kind may be left out. It has no default.
	// Example: {name: podinfo, resourceRef: {name: manifests}}.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.resourceRef)",message="sourceRef.resourceRef is missing: name the resource of the component that is wanted, as in resourceRef: {name: manifests}"
	SourceRef ObjectReference `json:"sourceRef"`
}

// ResourceStatus says what was written to the snapshot of a Resource.
type ResourceStatus struct {
	CommonStatus `json:",inline"`

	// lastAppliedResourceVersion is the version of the resource that the snapshot holds, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastAppliedResourceVersion string `json:"lastAppliedResourceVersion,omitempty"`

	// lastAppliedComponentVersion is the version of the component that the snapshot came from, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastAppliedComponentVersion string `json:"lastAppliedComponentVersion,omitempty"`

	// latestSourceVersion is the version of the ComponentVersion that was used last, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LatestSourceVersion string `json:"latestSourceVersion,omitempty"`

	// snapshotName is the name of the Snapshot object that holds the result, in the same namespace, at most 253 characters. Example: manifests-k3jd7qa.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SnapshotName string `json:"snapshotName,omitempty"`

	// latestSnapshotDigest is the digest of the layer that was written last, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	LatestSnapshotDigest string `json:"latestSnapshotDigest,omitempty"`

	// latestManifestDigest is the digest of the manifest that was written last, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	LatestManifestDigest string `json:"latestManifestDigest,omitempty"`

	// origins lists the component versions that the content of the snapshot came from, at most 256. Example: [{namespace: default, name: podinfo, version: 6.3.6}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Origins []Origin `json:"origins,omitempty"`

	// fingerprint is a digest of everything that the result depends on, at most 512 characters; while it stays the same there is nothing to do.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Fingerprint string `json:"fingerprint,omitempty"`
}

// Resource brings one resource of a component version into the cluster: its content is checked against the component descriptor and written to a Snapshot.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=res,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Source Version",type="string",JSONPath=".status.latestSourceVersion"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Snapshot",type="string",JSONPath=".status.snapshotName",priority=1
type Resource struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which resource is brought into the cluster.
	// +required
	Spec ResourceSpec `json:"spec"`

	// status says what was written; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ResourceStatus `json:"status,omitempty"`
}

// ResourceList is a list of Resource objects.
// +kubebuilder:object:root=true
type ResourceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Resource `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *Resource) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *Resource) SetConditions(conditions []metav1.Condition) { o.Status.Conditions = conditions }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *Resource) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns when the object is reconciled.
func (o *Resource) GetSchedule() Schedule { return o.Spec.Schedule }

// GetSnapshotName returns the name of the Snapshot object; it is empty until one was written.
func (o *Resource) GetSnapshotName() string { return o.Status.SnapshotName }

// GetSnapshotDigest returns the digest of the layer that was written last.
func (o *Resource) GetSnapshotDigest() string { return o.Status.LatestSnapshotDigest }

// GetManifestDigest returns the digest of the manifest that was written last.
func (o *Resource) GetManifestDigest() string { return o.Status.LatestManifestDigest }

// GetOrigins returns the component versions that the content of the snapshot came from.
func (o *Resource) GetOrigins() []Origin { return o.Status.Origins }

// GetSourceVersion returns the version of the component that the content of the snapshot came from.
func (o *Resource) GetSourceVersion() string { return o.Status.LatestSourceVersion }

var _ SnapshotWriter = (*Resource)(nil)
