package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SnapshotSpec says which content the Snapshot stands for. It is written by the controller of the object that owns the Snapshot.
type SnapshotSpec struct {
	// identity tells where the content came from, at most 128 entries: component-name, component-version, resource-name, resource-version and others. It has no default.
	// Example: {component-name: phoban.io-podinfo-6.3.6-10372358058082697739, component-version: 6.3.6}.
	// +required
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=128
	Identity map[string]string `json:"identity"`

	// digest is the digest of the layer that holds the content, at most 512 characters. It has no default. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest"`

	// tag is the tag of the content in the registry, at most 128 characters: a version in which .build- stands for the plus sign, and _ in that of a chart. It has no default. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag"`

	// manifestDigest is the digest of the manifest around the layer, at most 512 characters. The default is the manifest that the tag leads to.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// origins lists the component versions that the content came from, and whether they were verified, at most 256. The default is none.
	// Example: [{namespace: default, name: podinfo, version: 6.3.6, verified: true}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Origins []Origin `json:"origins,omitempty"`

	// suspend stops the reconciliation of the object while it is true; deletion is still processed. The default is false. Example: true.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// SnapshotStatus says which content was found in the registry.
type SnapshotStatus struct {
	CommonStatus `json:",inline"`

	// digest is the digest of the layer that was found in the registry last, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest,omitempty"`

	// tag is the tag of the content that was found last, at most 128 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`

	// manifestDigest is the digest of the manifest that was found last, at most 512 characters; FluxDeployer pins it. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// repositoryURL is the address of the repository in the registry, with its scheme, at most 2048 characters.
	// Example: https://registry.ocm-system.svc.cluster.local:5000/default/manifests-k3jd7qa.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	RepositoryURL string `json:"repositoryURL,omitempty"`

	// history lists the content that was found before, newest first, at most 64. It stays in the registry while there is room, so that going back to it is quick; how much
	// of it is a flag of the operator. Example: [{tag: 6.3.5, digest: "sha256:...", manifestDigest: "sha256:..."}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	History []SnapshotRevision `json:"history,omitempty"`
}

// SnapshotRevision is content that a Snapshot stood for before.
type SnapshotRevision struct {
	// tag is the tag that the content had, at most 128 characters. It has no default. Example: 6.3.5.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag"`

	// digest is the digest of the layer that holds the content, at most 512 characters. It has no default. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest"`

	// manifestDigest is the digest of the manifest around the layer, at most 512 characters. It has no default. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest"`
}

// Snapshot stands for content in the registry of the cluster, by digest. It is ready while the content is there, and is owned by the object that wrote it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=snap,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Tag",type="string",JSONPath=".status.tag",priority=1
// +kubebuilder:printcolumn:name="Digest",type="string",JSONPath=".status.digest",priority=1
// +kubebuilder:printcolumn:name="Repository",type="string",JSONPath=".status.repositoryURL",priority=1
type Snapshot struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which content the Snapshot stands for.
	// +required
	Spec SnapshotSpec `json:"spec"`

	// status says which content was found; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status SnapshotStatus `json:"status,omitempty"`
}

// SnapshotList is a list of Snapshot objects.
// +kubebuilder:object:root=true
type SnapshotList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Snapshot `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *Snapshot) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *Snapshot) SetConditions(conditions []metav1.Condition) { o.Status.Conditions = conditions }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *Snapshot) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns a schedule without an interval: a Snapshot is reconciled when it changes, and by the controller's own clock.
func (o *Snapshot) GetSchedule() Schedule { return Schedule{Suspend: o.Spec.Suspend} }
