package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Localization replaces the image references in the content of its source by those of the component, so that they lead to where the component's images are stored, and writes the result to a Snapshot.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="!has(self.spec.sourceRef.kind) || self.spec.sourceRef.kind != 'Localization' || self.spec.sourceRef.name != self.metadata.name || has(self.spec.sourceRef.__namespace__)",message="spec.sourceRef names the Localization itself: name the object that is to be changed"
// +kubebuilder:resource:shortName=lz,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Source Version",type="string",JSONPath=".status.latestSourceVersion"
// +kubebuilder:printcolumn:name="Config Version",type="string",JSONPath=".status.latestConfigVersion"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Snapshot",type="string",JSONPath=".status.snapshotName",priority=1
type Localization struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is changed and where the rules and values come from.
	// +required
	Spec MutationSpec `json:"spec"`

	// status says what was written; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status MutationStatus `json:"status,omitempty"`
}

// LocalizationList is a list of Localization objects.
// +kubebuilder:object:root=true
type LocalizationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Localization `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *Localization) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *Localization) SetConditions(conditions []metav1.Condition) { o.Status.Conditions = conditions }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *Localization) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns when the object is reconciled.
func (o *Localization) GetSchedule() Schedule { return o.Spec.Schedule }

// GetSnapshotName returns the name of the Snapshot object; it is empty until one was written.
func (o *Localization) GetSnapshotName() string { return o.Status.SnapshotName }

// GetSnapshotDigest returns the digest of the layer that was written last.
func (o *Localization) GetSnapshotDigest() string { return o.Status.LatestSnapshotDigest }

// GetManifestDigest returns the digest of the manifest that was written last.
func (o *Localization) GetManifestDigest() string { return o.Status.LatestManifestDigest }

// GetOrigins returns the component versions that the content of the snapshot came from.
func (o *Localization) GetOrigins() []Origin { return o.Status.Origins }

// GetSourceVersion returns the version of the component that the content of the snapshot came from.
func (o *Localization) GetSourceVersion() string { return o.Status.LatestSourceVersion }

var _ SnapshotWriter = (*Localization)(nil)
