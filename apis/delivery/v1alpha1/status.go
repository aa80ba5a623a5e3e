package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fluxcd/pkg/apis/meta"
)

// CommonStatus is the part of the status that every kind has.
type CommonStatus struct {
	// observedGeneration is the latest metadata.generation that led to a verdict: the object was ready, or stalled. It is -1 until there was one.
	// Example: 3.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions tell the state of the object: Ready always, Reconciling and Stalled only while they are true. At most 32.
	// Example: a condition of type Ready with status "True" and reason Succeeded.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	meta.ReconcileRequestStatus `json:",inline"`
}

// Origin names a version of a component that some content came from. Content that was localized or configured has several.
type Origin struct {
	// namespace is the namespace of the ComponentVersion object, at most 63 characters. Example: default.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace"`

	// name is the name of the ComponentVersion object, at most 253 characters. Example: podinfo.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// version is the version of the component that the content came from, at most 1024 characters. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// manifestDigest is the digest of the component's manifest in its repository, at most 512 characters; two origins with the same digest are the same content.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// verified tells whether that version was verified, with all that it refers to, when the content was read from it. Example: true.
	// +optional
	// +kubebuilder:default=false
	Verified bool `json:"verified,omitempty"`
}

// SnapshotWriter is an object that owns a Snapshot: a Resource, a Localization or a Configuration.
// +kubebuilder:object:generate=false
type SnapshotWriter interface {
	metav1.Object
	runtime.Object

	// GetConditions returns the conditions of the status.
	GetConditions() []metav1.Condition
	// GetSnapshotName returns the name of the Snapshot object in the writer's namespace; it is empty until one was written.
	GetSnapshotName() string
	// GetSnapshotDigest returns the digest of the layer that was written last.
	GetSnapshotDigest() string
	// GetManifestDigest returns the digest of the manifest that was written last.
	GetManifestDigest() string
	// GetOrigins returns the component versions that the content of the snapshot came from.
	GetOrigins() []Origin
	// GetSourceVersion returns the version of the component that the content of the snapshot came from.
	GetSourceVersion() string
}
