package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ComponentDescriptorSpec is the component descriptor of one component version, for people and programs in the cluster to read. The controllers never read it back:
// what they use is pinned in the status of the ComponentVersion.
type ComponentDescriptorSpec struct {
	// version is the version of the component, at most 1024 characters. It has no default. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// resources lists what the component delivers, at most 10000. The default is none. Example: [{name: image, version: 6.3.5, type: ociImage, access: {type: ociArtifact}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	Resources []DescriptorResource `json:"resources,omitempty"`

	// sources lists what the component was built from, at most 10000. The default is none. Example: [{name: code, version: 6.3.6, type: git, access: {type: gitHub}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	Sources []DescriptorSource `json:"sources,omitempty"`

	// references lists the components that the component is made of, at most 10000. The default is none.
	// Example: [{name: backend, version: 1.0.0, componentName: phoban.io/backend}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10000
	References []DescriptorReference `json:"references,omitempty"`
}

// DescriptorResource is a resource in a component descriptor.
type DescriptorResource struct {
	// name is the name of the resource, at most 1024 characters. It has no default. Example: manifests.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// version is the version of the resource, at most 1024 characters. It has no default. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// extraIdentity holds the further identity attributes of the resource, at most 64. The default is none. Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// labels are the labels of the resource, at most 1024. The default is none. Example: [{name: commit, value: abc}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Labels []Label `json:"labels,omitempty"`

	// type is the type of the resource, at most 1024 characters. It has no default. Example: ociImage.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Type string `json:"type"`

	// relation is "local" when the resource was built with the component and "external" otherwise, at most 64 characters. The default is none. Example: local.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Relation string `json:"relation,omitempty"`

	// access says where the resource is stored. It has no default. Example: {type: ociArtifact, imageReference: ghcr.io/stefanprodan/podinfo:6.3.5}.
	// +required
	Access Access `json:"access"`

	// digest is the digest of the resource's content. The default is none: the content was not digested.
	// Example: {hashAlgorithm: SHA-256, normalisationAlgorithm: genericBlobDigest/v1, value: 64 hexadecimal digits}.
	// +optional
	Digest *DescriptorDigest `json:"digest,omitempty"`

	// srcRefs lists the sources that the resource was built from, at most 1024. The default is none. Example: [{identitySelector: {name: code}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	SourceRefs []DescriptorSourceRef `json:"srcRefs,omitempty"`

	// srcRef is the former spelling of srcRefs, at most 1024. The default is none. Example: [{identitySelector: {name: code}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	DeprecatedSourceRefs []DescriptorSourceRef `json:"srcRef,omitempty"`
}

// DescriptorSource is a source in a component descriptor.
type DescriptorSource struct {
	// name is the name of the source, at most 1024 characters. It has no default. Example: manifests.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// version is the version of the source, at most 1024 characters. It has no default. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// extraIdentity holds the further identity attributes of the source, at most 64. The default is none. Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// labels are the labels of the source, at most 1024. The default is none. Example: [{name: commit, value: abc}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Labels []Label `json:"labels,omitempty"`

	// type is the type of the source, at most 1024 characters. It has no default. Example: git.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Type string `json:"type"`

	// access says where the source is stored. It has no default. Example: {type: gitHub, repoUrl: github.com/stefanprodan/podinfo}.
	// +required
	Access Access `json:"access"`
}

// DescriptorReference is a reference to another component in a component descriptor.
type DescriptorReference struct {
	// name is the name of the reference, at most 1024 characters. It has no default. Example: manifests.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// version is the version of the reference, at most 1024 characters. It has no default. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// extraIdentity holds the further identity attributes of the reference, at most 64. The default is none. Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// labels are the labels of the reference, at most 1024. The default is none. Example: [{name: commit, value: abc}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Labels []Label `json:"labels,omitempty"`

	// componentName is the name of the component that is referred to, at most 1024 characters. It has no default. Example: phoban.io/backend.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	ComponentName string `json:"componentName"`

	// digest is the digest of the component version that is referred to. The default is none.
	// Example: {hashAlgorithm: SHA-256, normalisationAlgorithm: jsonNormalisation/v3, value: 64 hexadecimal digits}.
	// +optional
	Digest *DescriptorDigest `json:"digest,omitempty"`
}

// DescriptorSourceRef selects sources of the same component descriptor.
type DescriptorSourceRef struct {
	// identitySelector holds the identity attributes that a source must have, at most 64. The default is none. Example: {name: code}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	IdentitySelector map[string]string `json:"identitySelector,omitempty"`

	// labels are the labels of the source reference, at most 1024. The default is none. Example: [{name: commit, value: abc}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	Labels []Label `json:"labels,omitempty"`
}

// DescriptorDigest is a digest in a component descriptor.
type DescriptorDigest struct {
	// hashAlgorithm is the name of the hash, at most 64 characters. It has no default. Example: SHA-256.
	// +required
	// +kubebuilder:validation:MaxLength=64
	HashAlgorithm string `json:"hashAlgorithm"`

	// normalisationAlgorithm is the name of the form that was hashed, at most 256 characters. It has no default. Example: genericBlobDigest/v1.
	// +required
	// +kubebuilder:validation:MaxLength=256
	NormalisationAlgorithm string `json:"normalisationAlgorithm"`

	// value is the hash in hexadecimal digits, at most 512 characters. It has no default. Example: 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Value string `json:"value"`
}

// ComponentDescriptorStatus is empty: nothing reconciles a ComponentDescriptor.
type ComponentDescriptorStatus struct {
	CommonStatus `json:",inline"`
}

// ComponentDescriptor shows the component descriptor of a component version. It is written for the ComponentVersion that uses it and goes when none uses it any more.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cd,categories=ocm
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=".spec.version"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type ComponentDescriptor struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the component descriptor.
	// +required
	Spec ComponentDescriptorSpec `json:"spec"`

	// status is there for uniformity and is not written.
	// +optional
	Status ComponentDescriptorStatus `json:"status,omitempty"`
}

// ComponentDescriptorList is a list of ComponentDescriptor objects.
// +kubebuilder:object:root=true
type ComponentDescriptorList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ComponentDescriptor `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *ComponentDescriptor) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *ComponentDescriptor) SetConditions(conditions []metav1.Condition) {
	o.Status.Conditions = conditions
}

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *ComponentDescriptor) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns an empty schedule: nothing reconciles a ComponentDescriptor.
func (o *ComponentDescriptor) GetSchedule() Schedule { return Schedule{} }
