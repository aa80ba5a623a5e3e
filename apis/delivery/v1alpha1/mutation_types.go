package v1alpha1

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/fluxcd/pkg/apis/meta"
)

// MutationSpec says what a Localization or a Configuration changes, and where the rules and the values for it come from.
//
// Several places for values are a field of their own, valuesSources, since the API server can neither check nor explain a field that is either an object or a list.
// +kubebuilder:validation:XValidation:rule="has(self.configRef) || has(self.values) || has(self.valuesFrom) || (has(self.valuesSources) && size(self.valuesSources) > 0) || has(self.patchStrategicMerge)",message="there is nothing to do: set configRef to the resource that holds the ConfigData, or patchStrategicMerge to a patch, or give values"
// +kubebuilder:validation:XValidation:rule="(has(self.values) ? 1 : 0) + (has(self.valuesFrom) ? 1 : 0) + (has(self.valuesSources) ? 1 : 0) <= 1",message="values, valuesFrom and valuesSources exclude each other: keep one of them; to merge values of several places list them in valuesSources"
type MutationSpec struct {
	Schedule `json:",inline"`

	// sourceRef names what is changed: a Resource, a Localization, a Configuration, or a ComponentVersion with a resourceRef. It has no default.
	// Example: {kind: Resource, name: manifests}.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.kind) && size(self.kind) > 0",message="sourceRef.kind is missing: set it to Resource, Localization, Configuration or ComponentVersion"
	SourceRef ObjectReference `json:"sourceRef"`

	// configRef names the resource that holds the ConfigData: a ComponentVersion with a resourceRef, or a Resource, Localization or Configuration. The default is none.
	// Example: {kind: ComponentVersion, name: podinfo, resourceRef: {name: config}}.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.kind) && size(self.kind) > 0",message="configRef.kind is missing: set it to ComponentVersion, and resourceRef.name to the resource that holds the ConfigData"
	ConfigRef *ObjectReference `json:"configRef,omitempty"`

	// values are the values of this environment, an object of any shape that the schema of the ConfigData admits. They are data and are never evaluated.
	// The default is none: the defaults of the ConfigData alone. values, valuesFrom and valuesSources exclude each other. Example: {replicas: 2}.
	// +optional
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Values *apiextensionsv1.JSON `json:"values,omitempty"`

	// valuesFrom is where the values of this environment are read from; a change there takes effect at once. The default is none. Example: {configMapSource: {sourceRef: {name: settings}, key: values.yaml}}.
	// +optional
	ValuesFrom *ValuesSource `json:"valuesFrom,omitempty"`

	// valuesSources lists several places that values are read from, 1 to 16, each naming exactly one; they are merged in order, so that a later one wins. The default is none.
	// Example: [{configMapSource: {sourceRef: {name: common}, key: values.yaml}}, {secretSource: {sourceRef: {name: passwords}, key: values.yaml}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule="(has(self.fluxSource) ? 1 : 0) + (has(self.configMapSource) ? 1 : 0) + (has(self.secretSource) ? 1 : 0) + (has(self.sourceRef) ? 1 : 0) <= 1",message="an entry of valuesSources names more than one place: give each its own entry, in the order in which they are merged"
	ValuesSources []ValuesSource `json:"valuesSources,omitempty"`

	// patchStrategicMerge merges a file of the source over a file of another place, and keeps the result under the name of the source's file. The default is none.
	// Example: {source: {sourceRef: {kind: GitRepository, name: site}, path: deploy.yaml}, target: {path: deploy.yaml}}.
	// +optional
	PatchStrategicMerge *PatchStrategicMerge `json:"patchStrategicMerge,omitempty"`
}

// GetValuesSources returns the places that values are read from, in the order in which they are merged. It is empty when the values are written in the spec or there are none.
func (s MutationSpec) GetValuesSources() []ValuesSource {
	if s.ValuesFrom != nil {
		return []ValuesSource{*s.ValuesFrom}
	}
	return s.ValuesSources
}

// ValuesSource is a place that values are read from. When several are named, the first of fluxSource, configMapSource, secretSource and sourceRef is used.
// +kubebuilder:validation:XValidation:rule="has(self.fluxSource) || has(self.configMapSource) || has(self.secretSource) || has(self.sourceRef)",message="no place is named that values are read from: set one of fluxSource, configMapSource, secretSource and sourceRef"
type ValuesSource struct {
	// fluxSource reads the values from a file in a source of Flux. The default is none. Example: {sourceRef: {kind: GitRepository, name: site}, path: values.yaml}.
	// +optional
	FluxSource *FluxValuesSource `json:"fluxSource,omitempty"`

	// configMapSource reads the values from a key of a ConfigMap in the same namespace. The default is none. Example: {sourceRef: {name: settings}, key: values.yaml}.
	// +optional
	ConfigMapSource *ConfigMapSource `json:"configMapSource,omitempty"`

	// secretSource reads the values from a key of a Secret in the same namespace. The default is none. Example: {sourceRef: {name: passwords}, key: values.yaml}.
	// +optional
	SecretSource *SecretSource `json:"secretSource,omitempty"`

	// sourceRef reads the values from a resource of a ComponentVersion, or from the snapshot of a Resource, Localization or Configuration; the whole content is the values.
	// The default is none. Example: {kind: ComponentVersion, name: podinfo, resourceRef: {name: values}}.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.kind) && size(self.kind) > 0",message="sourceRef.kind is missing: set it to ComponentVersion, Resource, Localization or Configuration"
	SourceRef *ObjectReference `json:"sourceRef,omitempty"`
}

// FluxValuesSource is a file in the artifact of a source of Flux.
type FluxValuesSource struct {
	// sourceRef names the source: a GitRepository, OCIRepository, Bucket or ExternalArtifact. It has no default; its namespace defaults to that of the object.
	// Example: {kind: GitRepository, name: flux-system, namespace: flux-system}.
	// +required
	// +kubebuilder:validation:XValidation:rule="self.kind in ['GitRepository', 'OCIRepository', 'Bucket', 'ExternalArtifact']",message="fluxSource.sourceRef.kind must be one of GitRepository, OCIRepository, Bucket and ExternalArtifact"
	SourceRef meta.NamespacedObjectKindReference `json:"sourceRef"`

	// path is the path of a YAML or JSON file in the artifact, 1 to 4096 characters. It has no default. Example: ./values.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`

	// subPath leads to the values inside the file: keys separated by dots, ending at a map, at most 1024 characters. The default is the whole file. Example: component-x-configs.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubPath string `json:"subPath,omitempty"`
}

// ConfigMapSource is a key of a ConfigMap.
type ConfigMapSource struct {
	// sourceRef names the ConfigMap, which lies in the namespace of the object. It has no default. Example: {name: settings}.
	// +required
	SourceRef meta.LocalObjectReference `json:"sourceRef"`

	// key is the key whose value is the YAML or JSON text, 1 to 253 characters. It has no default. Example: values.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`

	// subPath leads to the values inside the text: keys separated by dots, ending at a map, at most 1024 characters. The default is the whole text. Example: app.settings.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubPath string `json:"subPath,omitempty"`

	// optional lets the ConfigMap be missing; there are no values from it then. A missing key is an error still. The default is false. Example: true.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// SecretSource is a key of a Secret.
type SecretSource struct {
	// sourceRef names the Secret, which lies in the namespace of the object. It has no default. Example: {name: passwords}.
	// +required
	SourceRef meta.LocalObjectReference `json:"sourceRef"`

	// key is the key whose value is the YAML or JSON text, 1 to 253 characters. It has no default. Example: values.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`

	// subPath leads to the values inside the text: keys separated by dots, ending at a map, at most 1024 characters. The default is the whole text. Example: app.settings.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubPath string `json:"subPath,omitempty"`

	// optional lets the Secret be missing; there are no values from it then. A missing key is an error still. The default is false. Example: true.
	// +optional
	Optional bool `json:"optional,omitempty"`
}

// PatchStrategicMerge merges a file of the object's source over a file of another place.
type PatchStrategicMerge struct {
	// source is the file that is the base of the merge. It has no default. Example: {sourceRef: {kind: GitRepository, name: site}, path: deploy.yaml}.
	// +required
	Source PatchSource `json:"source"`

	// target is the file of the object's source that is merged over the base and receives the result. It has no default. Example: {path: deploy.yaml}.
	// +required
	Target PatchTarget `json:"target"`
}

// PatchSource is a file of another place.
type PatchSource struct {
	// sourceRef names the place: a GitRepository, OCIRepository, Bucket or ExternalArtifact of Flux, or a Resource, Localization or Configuration.
	// It has no default; its namespace defaults to that of the object.
	// Example: {kind: GitRepository, name: site}.
	// +required
	SourceRef meta.NamespacedObjectKindReference `json:"sourceRef"`

	// path is the path of the file in that place, 1 to 4096 characters. It has no default. Example: apps/podinfo/deploy.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`
}

// PatchTarget is a file of the object's source.
type PatchTarget struct {
	// path is the path of the file in the source, 1 to 4096 characters. It has no default. Example: deploy.yaml.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Path string `json:"path"`
}

// MutationStatus says what a Localization or a Configuration has written, and from what.
type MutationStatus struct {
	CommonStatus `json:",inline"`

	// latestSourceVersion is the version of the component that the source's content came from, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LatestSourceVersion string `json:"latestSourceVersion,omitempty"`

	// latestConfigVersion is the version of the component that the ConfigData came from, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LatestConfigVersion string `json:"latestConfigVersion,omitempty"`

	// latestPatchSourceVersio is the revision of the Flux source that the base of the patch came from, at most 1024 characters.
	// If that is a snapshot, it is the version of the component behind it.
	// Its name has always lacked its last letter and stays so for the programs that read it. Example: main@sha1: followed by 40 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LatestPatchSourceVersion string `json:"latestPatchSourceVersio,omitempty"`

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
