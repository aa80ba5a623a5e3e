// Package v1alpha1 holds the custom resources of the group delivery.ocm.software: their Go types, their JSON form, the validation rules that the API server
// enforces, and the names (reasons, finalizers, annotations, identity keys) that users and other programs may rely on.
//
// It knows Kubernetes' machinery and nothing else of this project: no client, no registry, no component model. What a reconciler does with an object is not said here.
//
// +kubebuilder:object:generate=true
// +groupName=delivery.ocm.software
package v1alpha1
