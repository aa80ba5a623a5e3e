package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// ObjectReference names an object of this cluster and, when that is a ComponentVersion, a resource in the component.
// +kubebuilder:validation:MinProperties=1
type ObjectReference struct {
	// apiVersion is the API group and version of the object, at most 253 characters. The default is delivery.ocm.software/v1alpha1.
	// Example: delivery.ocm.software/v1alpha1.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`

	// kind is the kind of the object, at most 63 characters. The default in a Resource is ComponentVersion; everywhere else it is required.
	// Example: Resource.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`

	// name is the name of the object, 1 to 253 characters. It has no default. Example: podinfo.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace is the namespace of the object, at most 63 characters. The default is the namespace of the object that holds the reference.
	// Example: default.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// resourceRef selects a resource of the component when the object is a ComponentVersion; for other kinds it is accepted and ignored. The default is none.
	// Example: {name: manifests}.
	// +optional
	ResourceRef *ResourceReference `json:"resourceRef,omitempty"`
}

// WithDefaults returns the reference with everything filled in that its user may leave out, seen from an object in the given namespace. The reference itself,
// and so the spec that holds it, is left as it was written.
func (r ObjectReference) WithDefaults(namespace string) ObjectReference {
	if r.APIVersion == "" {
		r.APIVersion = GroupVersion.String()
	}
	if r.Kind == "" {
		r.Kind = ComponentVersionKind
	}
	if r.Namespace == "" {
		r.Namespace = namespace
	}
	return r
}

// ResourceReference selects a resource of a component version.
type ResourceReference struct {
	// name is the name of the resource in the component descriptor, 1 to 1024 characters. It has no default. Example: manifests.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// version is the version of the resource, at most 1024 characters.
	// The default, and the meaning of "latest", is whichever version the component descriptor holds; any other value must be there. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version,omitempty"`

	// extraIdentity holds the further identity attributes that tell resources of the same name apart, at most 64. The default is none.
	// Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// labels is accepted for compatibility and does not take part in the selection, at most 256 entries. The default is none.
	// Example: [{name: purpose, value: test}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Labels []Label `json:"labels,omitempty"`

	// referencePath leads from the component to the nested component that holds the resource, at most 64 entries.
	// Each entry is the identity of one component reference, outermost first.
	// The default is none: the component itself holds the resource. Example: [{name: backend}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxProperties=64
	ReferencePath []map[string]string `json:"referencePath,omitempty"`
}

// LatestVersion is the resource version that stands for whichever version the component descriptor holds.
const LatestVersion = "latest"

// AnyVersion tells whether the reference takes whichever version of the resource the component descriptor holds.
func (r ResourceReference) AnyVersion() bool {
	return r.Version == "" || r.Version == LatestVersion
}

// Label is a label of the component model: a name and a value of any JSON type.
type Label struct {
	// name is the name of the label, at most 1024 characters. It has no default. Example: commit.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// value is any JSON value. It has no default. Example: {"team": "a"}.
	// +required
	// +nullable
	// +kubebuilder:pruning:PreserveUnknownFields
	Value apiextensionsv1.JSON `json:"value"`

	// version is the version of the label's format, at most 256 characters. The default is none. Example: v1.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`

	// signing tells whether the label is a part of what is signed. The default is false. Example: true.
	// +optional
	Signing bool `json:"signing,omitempty"`

	// merge says how the label is merged when a component version is transferred to a place that has it already. The default is none.
	// Example: {algorithm: simpleMapMerge}.
	// +optional
	Merge *LabelMerge `json:"merge,omitempty"`
}

// LabelMerge is the merge specification of a label.
type LabelMerge struct {
	// algorithm is the name of the merge algorithm, at most 256 characters. It has no default. Example: simpleMapMerge.
	// +required
	// +kubebuilder:validation:MaxLength=256
	Algorithm string `json:"algorithm"`

	// config is the configuration of the algorithm, any JSON value. The default is none. Example: {"overwrite": "inbound"}.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	Config *apiextensionsv1.JSON `json:"config,omitempty"`
}
