package v1alpha1

// Reasons of the conditions Ready and Stalled beside those of Flux (Succeeded, Progressing, ProgressingWithRetry). Their strings are API: alerts and
// scripts match them, so a string never changes, and where it differs from its Go name the string is the older of the two.
const (
	// AuthenticatedContextCreationFailedReason says that the credentials for a repository could not be put together from the Secrets that name them.
	AuthenticatedContextCreationFailedReason = "AuthenticatedContextCreationFailed"
	// CheckVersionFailedReason says that the versions of a component could not be listed, so that it is unknown whether there is a newer one.
	CheckVersionFailedReason = "CheckVersionFailed"
	// ComponentVerificationFailedReason says that a signature or a digest of the component version is missing or does not hold.
	ComponentVerificationFailedReason = "ComponentVerificationFailed"
	// ComponentVersionInvalidReason says that the component version could not be read from its repository, or that what was read is no component version.
	ComponentVersionInvalidReason = "ComponentVersionInvalid"
	// MutatedVersionReason says that a version has another content than when it was used first, under the same tag.
	MutatedVersionReason = "MutatedVersion"
	// DowngradeDeniedReason says that all versions that could be used are lower than spec.version.downgradePolicy allows.
	DowngradeDeniedReason = "DowngradeDenied"
	// ReferenceCycleReason says that a component refers to itself, directly or by way of others.
	ReferenceCycleReason = "ReferenceCycle"
	// ParseReferencesFailedReason says that a component that the component refers to could not be read.
	ParseReferencesFailedReason = "ParseReferencesFailed"
	// TransferFailedReason says that the component version could not be transferred to its destination.
	TransferFailedReason = "TransferFailed"
	// CreateOrUpdateComponentDescriptorFailedReason says that a ComponentDescriptor object could not be written.
	CreateOrUpdateComponentDescriptorFailedReason = "CreateOrUpdateComponentDescriptorFailed"

	// ComponentVersionNotFoundReason says that the ComponentVersion that an object refers to does not exist.
	ComponentVersionNotFoundReason = "ComponentVersionNotFound"
	// ComponentVersionNotReadyReason says that the ComponentVersion that an object refers to has no accepted version yet.
	ComponentVersionNotReadyReason = "ComponentVersionNotReady"
	// GetComponentDescriptorFailedReason says that the component descriptor that holds a resource could not be read.
	GetComponentDescriptorFailedReason = "GetComponentDescriptorFailed"
	// ComponentDescriptorNotFoundReason says that a referencePath leads to no component.
	ComponentDescriptorNotFoundReason = "ComponentDescriptorNotFound"
	// GetResourceFailedReason says that a resource is not in its component, is there more than once, or that its content could not be read.
	GetResourceFailedReason = "GetResourceFailed"
	// UnprotectedResourceReason says that nothing proves the content of a resource, which the operator was told to deny.
	UnprotectedResourceReason = "UnprotectedResource"
	// ContentMismatchReason says that the content of a resource is not what the component descriptor says it is; it is refused.
	ContentMismatchReason = "ContentMismatch"

	// CreateOrUpdateSnapshotFailedReason says that content could not be written to the registry, or the Snapshot object not to the cluster.
	CreateOrUpdateSnapshotFailedReason = "CreateOrUpdateSnapshotFailed"
	// CreateRepositoryNameFailedReason says that no name in the registry could be formed for a snapshot.
	CreateRepositoryNameFailedReason = "CreateRepositoryNameFailed"
	// ContentMissingReason says that the content of a Snapshot is no longer in the registry; its owner is asked to write it again.
	ContentMissingReason = "ContentMissing"
	// SnapshotRegistryFailedReason says that the registry could not be asked whether the content of a Snapshot is there; it is asked again.
	SnapshotRegistryFailedReason = "SnapshotRegistryFailed"
	// StorageFullReason says that the registry has no room for the content; it is written as soon as there is.
	StorageFullReason = "StorageFull"

	// SourceRefNotReadyReason says that the object that sourceRef names is not ready.
	SourceRefNotReadyReason = "SourceRefNotReady"
	// SourceRefNotReadyWithErrorReason says that it could not be found out whether the object that sourceRef names is ready.
	SourceRefNotReadyWithErrorReason = "SourceRefNotReadyWithError"
	// ConfigRefNotReadyReason says that the object that configRef names is not ready.
	ConfigRefNotReadyReason = "ConfigRefNotReady"
	// ConfigRefNotReadyWithErrorReason says that it could not be found out whether the object that configRef names is ready.
	ConfigRefNotReadyWithErrorReason = "ConfigRefNotReadyWithError"
	// PatchStrategicMergeSourceRefNotReadyReason says that the object that the patch comes from is not ready.
	PatchStrategicMergeSourceRefNotReadyReason = "PatchStrategicMergeSourceRefNotReady"
	// PatchStrategicMergeSourceRefNotReadyWithErrorReason says that it could not be found out whether the object that the patch comes from is ready.
	PatchStrategicMergeSourceRefNotReadyWithErrorReason = "PatchStrategicMergeSourceRefNotReadyWithError"
	// ValuesNotReadyReason says that a place that values are read from does not exist yet, or has nothing to read yet.
	ValuesNotReadyReason = "ValuesNotReady"
	// InvalidValuesReason says that the values are no map, or break the schema of the ConfigData.
	InvalidValuesReason = "InvalidValues"
	// InvalidConfigDataReason says that the ConfigData cannot be read.
	InvalidConfigDataReason = "InvalidConfigData"
	// SourceNotATarArchiveReason says that the source is a single file where a tree of files is needed.
	SourceNotATarArchiveReason = "SourceReasonNotATarArchive"
	// ReconcileMutationObjectFailedReason says that the rules could not be applied to the source.
	ReconcileMutationObjectFailedReason = "ReconcileMutationObjectFailed"

	// CreateOrUpdateOCIRepositoryFailedReason says that the OCIRepository of Flux, or a Secret that it needs, could not be written.
	CreateOrUpdateOCIRepositoryFailedReason = "CreateOrUpdateOCIRepositoryFailed"
	// CreateOrUpdateExternalArtifactFailedReason says that the ExternalArtifact of Flux could not be written.
	CreateOrUpdateExternalArtifactFailedReason = "CreateOrUpdateExternalArtifactFailed"
	// CreateOrUpdateKustomizationFailedReason says that the Kustomization of Flux could not be written.
	CreateOrUpdateKustomizationFailedReason = "CreateOrUpdateKustomizationFailed"
	// CreateOrUpdateHelmFailedReason says that the HelmRelease of Flux could not be written.
	CreateOrUpdateHelmFailedReason = "CreateOrUpdateHelmFailed"
	// CreatedObjectsNotReadyReason says that the objects of Flux were written and are not all ready, which waitForReady waits for.
	CreatedObjectsNotReadyReason = "CreatedObjectsNotReady"
	// FluxNotInstalledReason says that the cluster does not have the kinds of Flux that a FluxDeployer makes.
	FluxNotInstalledReason = "FluxNotInstalled"

	// AuthenticationFailedReason says that the credentials of one side of a copy were refused, or, for a ComponentSubscription, could not be put together.
	AuthenticationFailedReason = "AuthenticationFailed"
	// PullingLatestVersionFailedReason says that no version of the component was found that satisfies a ComponentSubscription.
	PullingLatestVersionFailedReason = "PullingLatestVersionFailed"
	// SemverConversionFailedReason says that spec.semver or spec.versionFilter of a ComponentSubscription can't be read.
	SemverConversionFailedReason = "SemverConversionFailed"
	// TransferConflictReason says that the destination has other content under the same version, which is left alone.
	TransferConflictReason = "TransferConflict"
	// DestinationFullReason says that the destination has no room for the content; it is tried again.
	DestinationFullReason = "DestinationFull"
	// DestinationDriftedReason says that the destination no longer has what was copied, which spec.driftDetection only reports.
	DestinationDriftedReason = "DestinationDrifted"
	// SuspendedReason says that spec.suspend has stopped what went on, before there was a verdict about it.
	SuspendedReason = "Suspended"

	// CredentialsNotFoundReason says that a Secret with the credentials of a git repository, or with the key that commits are signed with, is missing or can't be used.
	CredentialsNotFoundReason = "CredentialsNotFound"
	// GitRepositoryFetchFailedReason says that a git repository, or a branch of it, could not be read.
	GitRepositoryFetchFailedReason = "GitRepositoryFetchFailed"
	// GitRepositoryPushFailedReason says that the content could not be pushed to a git repository.
	GitRepositoryPushFailedReason = "GitRepositoryPushFailed"
	// ProtectedBranchReason says that the git server refuses what was pushed by a rule of its own, as that of a protected branch.
	ProtectedBranchReason = "ProtectedBranch"
	// ForeignChangesReason says that others have changed what a GitSync had pushed, which spec.conflictPolicy leaves alone.
	ForeignChangesReason = "ForeignChanges"
	// InvalidContentReason says that a snapshot holds what is not written to a git repository, as paths that lead out of it; the message says which.
	InvalidContentReason = "InvalidContent"
	// CreatePullRequestFailedReason says that the branch was pushed, and its pull request could not be looked up, created, updated or closed.
	CreatePullRequestFailedReason = "CreatePullRequestFailed"
	// PullRequestClosedReason says that others have closed the pull request without merging it, so that the same content is not proposed again.
	PullRequestClosedReason = "PullRequestClosed"

	// InvalidSpecReason says that the spec cannot be acted upon and has to be changed; the message says how.
	InvalidSpecReason = "InvalidSpec"
	// AccessDeniedReason says that a reference leads into another namespace, which the operator was told to deny.
	AccessDeniedReason = "AccessDenied"
)
