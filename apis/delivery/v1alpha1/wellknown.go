package v1alpha1

// ControllerName is the component that reports events and the field manager that owns what the controller applies.
const ControllerName = "ocm-controller"

// SnapshotFinalizer keeps a Snapshot until its content was taken out of the registry. It goes without the registry's consent when that is not to be reached.
const SnapshotFinalizer = "finalizers.snapshot.ocm.software"

// AcceptDigestAnnotation on a ComponentVersion holds the digest of a manifest that its user accepts for a version whose digest has changed.
const AcceptDigestAnnotation = GroupName + "/accept-digest"

// StorageFullCondition is true on a Snapshot while the registry has no room for content that its owner wants to write. What the Snapshot stood for
// before may still be there, and be pulled. The condition goes when there is room again.
const StorageFullCondition = "StorageFull"

// Annotations of the events that end a reconciliation, so that a notification can name what was delivered.
const (
	// ComponentVersionAnnotation holds the component and its version, as name:version.
	ComponentVersionAnnotation = GroupName + "/component_version"
	// ResourceVersionAnnotation holds the version of the resource that was applied.
	ResourceVersionAnnotation = GroupName + "/resource_version"
	// SnapshotDigestAnnotation holds the digest of the content that a Snapshot stands for.
	SnapshotDigestAnnotation = GroupName + "/snapshot_digest"
	// ConfigurationDigestAnnotation holds the digest of the content that a Configuration has written.
	ConfigurationDigestAnnotation = GroupName + "/configuration_digest"
	// LocalizationDigestAnnotation holds the digest of the content that a Localization has written.
	LocalizationDigestAnnotation = GroupName + "/localization_digest"
	// ComponentSubscriptionAnnotation holds the version that a ComponentSubscription has tried last and the one that it has replicated, as attempted:replicated.
	ComponentSubscriptionAnnotation = GroupName + "/component_subscription"
	// CommitAnnotation holds the commit that a GitSync has pushed.
	CommitAnnotation = GroupName + "/commit"
	// ChangeRequestAnnotation holds the number of the pull request of a GitSync.
	ChangeRequestAnnotation = GroupName + "/change_request"
	// RevisionAnnotation holds what was delivered as Flux writes revisions, see Revision.
	RevisionAnnotation = GroupName + "/revision"
)

// Revision returns what Flux calls a revision: a version, and the digest of the manifest that it is to the last byte.
func Revision(version, manifestDigest string) string { return version + "@" + manifestDigest }

// Keys of the identity in the spec of a Snapshot.
const (
	// ComponentNameKey holds the name of the ComponentDescriptor object of the component that the content came from.
	ComponentNameKey = "component-name"
	// ComponentVersionKey holds the version of that component.
	ComponentVersionKey = "component-version"
	// ResourceNameKey holds the name of the resource.
	ResourceNameKey = "resource-name"
	// ResourceVersionKey holds the version of the resource.
	ResourceVersionKey = "resource-version"
	// ResourceReferencePathKey holds the way from the component to the nested one that has the resource, as naming.ReferencePathKey writes it.
	ResourceReferencePathKey = "resource-reference-path"
	// SourceNameKey holds the name of the object that a patch came from.
	SourceNameKey = "source-name"
	// SourceNamespaceKey holds the namespace of the object that a patch came from.
	SourceNamespaceKey = "source-namespace"
	// SourceArtifactChecksumKey holds the digest of the content that a patch came from.
	SourceArtifactChecksumKey = "source-artifact-checksum"
	// MutationObjectUUIDKey holds the UID of the Localization or Configuration that has written the content.
	MutationObjectUUIDKey = "mutation-object-uuid"
	// ChartVersionKey holds the version of a Helm chart where it differs from that of its resource. It is an extra identity that components bring along.
	ChartVersionKey = "chartVersion"
)
