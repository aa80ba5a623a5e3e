package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind in this package.
const GroupName = "delivery.ocm.software"

// Kinds as they are written in manifests and references.
const (
	// ComponentVersionKind is the kind of a ComponentVersion.
	ComponentVersionKind = "ComponentVersion"
	// ComponentDescriptorKind is the kind of a ComponentDescriptor.
	ComponentDescriptorKind = "ComponentDescriptor"
	// ResourceKind is the kind of a Resource.
	ResourceKind = "Resource"
	// SnapshotKind is the kind of a Snapshot.
	SnapshotKind = "Snapshot"
	// LocalizationKind is the kind of a Localization.
	LocalizationKind = "Localization"
	// ConfigurationKind is the kind of a Configuration.
	ConfigurationKind = "Configuration"
	// FluxDeployerKind is the kind of a FluxDeployer.
	FluxDeployerKind = "FluxDeployer"
	// ComponentSubscriptionKind is the kind of a ComponentSubscription.
	ComponentSubscriptionKind = "ComponentSubscription"
	// GitSyncKind is the kind of a GitSync.
	GitSyncKind = "GitSync"
)

var (
	// GroupVersion is the group and version of every kind in this package.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

	// SchemeBuilder collects the functions that make the kinds known to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes the kinds of this package known to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&ComponentVersion{}, &ComponentVersionList{},
		&ComponentDescriptor{}, &ComponentDescriptorList{},
		&Resource{}, &ResourceList{},
		&Snapshot{}, &SnapshotList{},
		&Localization{}, &LocalizationList{},
		&Configuration{}, &ConfigurationList{},
		&FluxDeployer{}, &FluxDeployerList{},
		&ComponentSubscription{}, &ComponentSubscriptionList{},
		&GitSync{}, &GitSyncList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
