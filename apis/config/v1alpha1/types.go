package v1alpha1

import "encoding/json"

const (
	// APIVersion is the apiVersion of ConfigData.
	APIVersion = "config.ocm.software/v1alpha1"
	// Kind is the kind of ConfigData.
	Kind = "ConfigData"
)

// ConfigData holds the rules by which the resources of a component are localized and configured.
type ConfigData struct {
	// apiVersion is config.ocm.software/v1alpha1, or left out. Example: config.ocm.software/v1alpha1.
	APIVersion string `json:"apiVersion,omitempty"`

	// kind is ConfigData, or left out. Example: ConfigData.
	Kind string `json:"kind,omitempty"`

	// metadata is free-form and has no effect. Example: {name: ocm-config}.
	Metadata map[string]any `json:"metadata,omitempty"`

	// configuration holds what a Configuration applies. The default is none.
	Configuration *Configuration `json:"configuration,omitempty"`

	// localization holds what a Localization applies, in this order. The default is none.
	Localization []LocalizationRule `json:"localization,omitempty"`
}

// Configuration holds values with their defaults and their schema, and the rules that put them into files.
type Configuration struct {
	// defaults are merged under the values of the environment. They are data and are never evaluated; whole numbers are int64. Example: {color: red}.
	Defaults map[string]any `json:"defaults,omitempty"`

	// schema is the JSON schema, as JSON, that the values of the environment have to satisfy. The default is none: any values. Example: {type: object}.
	Schema json.RawMessage `json:"schema,omitempty"`

	// rules are applied in this order. Example: [{value: (( color )), file: configmap.yaml, path: data.COLOR}].
	Rules []ConfigurationRule `json:"rules,omitempty"`
}

// ConfigurationRule puts a value at a path of a file.
type ConfigurationRule struct {
	// value is the value to put: any YAML value, whose texts may hold expressions in (( )). It is required and may be null. Example: (( color )).
	Value any `json:"value"`

	// file is the path of the file in the resource. It is required. Example: configmap.yaml.
	File string `json:"file"`

	// path is where in the file the value goes. It is required. Example: data.COLOR.
	Path string `json:"path"`

	// document is the index of the document in a file of several, from 0. The default is the first that the path fits. It excludes selector. Example: 1.
	Document *int `json:"document,omitempty"`

	// selector chooses the document of a file by its kind and name. It excludes document. Example: {kind: ConfigMap, name: settings}.
	Selector *DocumentSelector `json:"selector,omitempty"`
}

// LocalizationRule puts the parts of a resource's image reference at paths of a file.
type LocalizationRule struct {
	// resource is the resource whose image reference is used. It is required unless there is a mapping. Example: {name: image}.
	Resource ResourceSelector `json:"resource,omitzero"`

	// file is the path of the file in the resource that is localized. It is required. Example: deploy.yaml.
	File string `json:"file"`

	// registry is where the host of the reference goes. The default is nowhere. Example: image.registry.
	Registry string `json:"registry,omitempty"`

	// repository is where the path of the reference goes, without its host. The default is nowhere. Example: image.repository.
	Repository string `json:"repository,omitempty"`

	// fullyQualifiedRepository is where the host and path of the reference go. The default is nowhere. Example: image.repository.
	FullyQualifiedRepository string `json:"fullyQualifiedRepository,omitempty"`

	// image is where the whole reference goes. The default is nowhere. Example: spec.template.spec.containers[0].image.
	Image string `json:"image,omitempty"`

	// tag is where the tag or digest of the reference goes. The default is nowhere. Example: image.tag.
	Tag string `json:"tag,omitempty"`

	// mapping computes the value from the component descriptor instead; where it is set, all of the above but file are ignored. The default is none.
	Mapping *Mapping `json:"mapping,omitempty"`

	// document is the index of the document in a file of several, from 0. The default is the first that the path fits. It excludes selector. Example: 1.
	Document *int `json:"document,omitempty"`

	// selector chooses the document of a file by its kind and name. It excludes document. Example: {kind: Deployment, name: podinfo}.
	Selector *DocumentSelector `json:"selector,omitempty"`
}

// ResourceSelector selects a resource of the component that the ConfigData belongs to.
type ResourceSelector struct {
	// name is the name of the resource. It is required. Example: image.
	Name string `json:"name"`

	// extraIdentity holds the further identity attributes that tell resources of the same name apart. The default is none. Example: {architecture: amd64}.
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`
}

// Mapping computes a value from the component descriptor.
type Mapping struct {
	// path is where in the file the value goes. It is required. Example: spec.template.spec.containers.
	Path string `json:"path"`

	// transform is the program, in CUE, whose field out is the value as JSON. It is required. Example: out: json.Marshal(component.version).
	Transform string `json:"transform"`
}

// DocumentSelector chooses a document of a file.
type DocumentSelector struct {
	// kind is the kind of the object in the document. The default is any. Example: Deployment.
	Kind string `json:"kind,omitempty"`

	// name is the metadata.name of the object in the document. The default is any. Example: podinfo.
	Name string `json:"name,omitempty"`
}
