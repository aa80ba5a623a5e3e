package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
)

// ComponentSubscriptionSpec says which versions of a component are replicated, from where to where, and what they need to be accepted.
// +kubebuilder:validation:XValidation:rule="!has(self.destination) || !has(self.destination.componentNameMapping) || self.destination.componentNameMapping == 'urlPath'",message="destination.componentNameMapping sha256-digest is read only: remove it, which is urlPath"
// +kubebuilder:validation:XValidation:rule="!has(self.limit) || (has(self.versions) && self.versions == 'all')",message="limit is how many versions are kept with versions: all; set that, or remove limit"
type ComponentSubscriptionSpec struct {
	Schedule `json:",inline"`

	// component is the name of the component, 1 to 1024 characters; https:// in front of it is ignored. It has no default. Example: acme.org/podinfo.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Component string `json:"component"`

	// semver is a semantic version or a constraint on one, at most 1024 characters. The default is any version that is no pre-release. Example: "~v0.1.0".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Semver string `json:"semver,omitempty"`

	// versionFilter is a regular expression in the syntax of RE2 that a version must match beside semver, at most 1024 characters. The default is none.
	// Example: "^v?[0-9.]+$".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	VersionFilter string `json:"versionFilter,omitempty"`

	// versions says which of the versions that satisfy semver are replicated, at most 16 characters: latest is the newest one; all is the newest ones up to limit.
	// The default is latest. Example: all.
	// +optional
	// +kubebuilder:validation:Enum=latest;all
	// +kubebuilder:validation:MaxLength=16
	Versions string `json:"versions,omitempty"`

	// limit is how many versions are replicated with versions: all, the newest ones, from 1 to 2000. The default is 10. Example: 5.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2000
	Limit *int32 `json:"limit,omitempty"`

	// source is where the component is read from: a registry, or a transport archive. It has no default. Example: {url: ghcr.io/acme}.
	// +required
	Source Repository `json:"source"`

	// destination is where accepted versions are copied to with everything that they contain: a registry, or a transport archive.
	// The default is none: versions are followed and verified, and nothing is copied. Example: {url: registry.example.com/mirror, secretRef: {name: mirror}}.
	// +optional
	Destination *Repository `json:"destination,omitempty"`

	// transfer says what is copied. The default is all resources by value, and all components that the component refers to. Example: {sources: true}.
	// +optional
	Transfer Transfer `json:"transfer,omitzero"`

	// verify lists the signatures that a version must carry; all must hold, else the version is not used. At most 64. The default is none: any version is accepted.
	// Example: [{name: dev-signature, publicKey: {secretRef: {name: signing-keys}}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Verify []SubscriptionSignature `json:"verify,omitempty"`

	// downgradePolicy says when a version may be replaced by a lower one, at most 16 characters.
	// Deny keeps the version that was replicated, unless semver or versionFilter rejects it: then the newest one that they accept is used, even a lower one.
	// Allow always takes the newest one that is accepted, even if it is lower, as when the version in use was withdrawn or its signature no longer holds.
	// EnforceNever uses no version below the highest one that was ever in use. The default is Deny. Example: EnforceNever.
	// +optional
	// +kubebuilder:validation:Enum=Deny;Allow;EnforceNever
	// +kubebuilder:validation:MaxLength=16
	DowngradePolicy string `json:"downgradePolicy,omitempty"`

	// overwritePolicy says what happens when the destination has other content under the same version, at most 16 characters:
	// Deny leaves it alone and reports a conflict; Allow replaces it. The default is Deny. Example: Allow.
	// +optional
	// +kubebuilder:validation:Enum=Deny;Allow
	// +kubebuilder:validation:MaxLength=16
	OverwritePolicy string `json:"overwritePolicy,omitempty"`

	// driftDetection says what is done when the destination no longer has what was copied. The default is {mode: enabled}. Example: {mode: warn}.
	// +optional
	DriftDetection DriftDetection `json:"driftDetection,omitzero"`

	// serviceAccountName is a ServiceAccount in the same namespace whose imagePullSecrets are used as credentials of both repositories, at most 253 characters.
	// If it has none and a provider is a cloud, its identity there is used in place of the operator's. The default is none. Example: component-replicator.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// Values of ComponentSubscriptionSpec.Versions. Empty is VersionsLatest.
const (
	// VersionsLatest replicates the newest version.
	VersionsLatest = "latest"
	// VersionsAll replicates the newest versions up to the limit.
	VersionsAll = "all"
)

// Policies of ComponentSubscriptionSpec.OverwritePolicy. Empty is OverwriteDeny.
const (
	// OverwriteDeny leaves other content of the same version alone.
	OverwriteDeny = "Deny"
	// OverwriteAllow replaces it.
	OverwriteAllow = "Allow"
)

// DefaultLimit is how many versions are replicated with VersionsAll and no limit.
const DefaultLimit = 10

// Transfer says what is copied with a component version.
type Transfer struct {
	// resources says which resources are copied by value, at most 16 characters: All; Local, which are those that the publisher of the component made itself (relation: local);
	// None leaves all that lies outside of the component version where it is. What lies within is always copied. The default is All. Example: Local.
	// +optional
	// +kubebuilder:validation:Enum=All;Local;None
	// +kubebuilder:validation:MaxLength=16
	Resources string `json:"resources,omitempty"`

	// sources tells whether sources are copied by value, too. The default is false. Example: true.
	// +optional
	Sources bool `json:"sources,omitempty"`

	// recursive tells whether the components that the component refers to are copied, too, which signatures need. The default is true. Example: false.
	// +optional
	// +kubebuilder:default=true
	Recursive *bool `json:"recursive,omitempty"`

	// omitResourceTypes lists types of resources that are left where they are, at most 64. The default is none. Example: [blueprint].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	OmitResourceTypes []string `json:"omitResourceTypes,omitempty"`

	// omitAccessTypes lists kinds of access whose content is left where it is, at most 64. The default is none. Example: [wget, s3].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	OmitAccessTypes []string `json:"omitAccessTypes,omitempty"`

	// artifacts says how images and other OCI artifacts are kept, at most 16 characters: Separate is as artifacts of their own below the path of the destination, where pods can pull them;
	// Local is within the component version. The default is Separate in a registry, and Local in a transport archive. Example: Local.
	// +optional
	// +kubebuilder:validation:Enum=Separate;Local
	// +kubebuilder:validation:MaxLength=16
	Artifacts string `json:"artifacts,omitempty"`
}

// Values of Transfer.
const (
	// AllResources copies every resource by value.
	AllResources = "All"
	// LocalResources copies the resources that the publisher made itself.
	LocalResources = "Local"
	// NoResources copies no resource that lies outside of the component version.
	NoResources = "None"
	// SeparateArtifacts keeps OCI artifacts in repositories of their own.
	SeparateArtifacts = "Separate"
	// LocalArtifacts keeps OCI artifacts within the component version.
	LocalArtifacts = "Local"
)

// DriftDetection says what is done about a destination that no longer has what was copied.
type DriftDetection struct {
	// mode is one of these, at most 16 characters: enabled looks at every interval and copies again what is missing or has changed; warn looks and reports; disabled does not look.
	// The default is enabled. Example: warn.
	// +optional
	// +kubebuilder:validation:Enum=enabled;warn;disabled
	// +kubebuilder:validation:MaxLength=16
	Mode string `json:"mode,omitempty"`
}

// Modes of DriftDetection. Empty is DriftEnabled.
const (
	// DriftEnabled repairs what has drifted.
	DriftEnabled = "enabled"
	// DriftWarn reports what has drifted.
	DriftWarn = "warn"
	// DriftDisabled does not look.
	DriftDisabled = "disabled"
)

// SubscriptionSignature names a signature and what it is checked with, in one of two forms.
// +kubebuilder:validation:XValidation:rule="has(self.signature) != has(self.name)",message="a signature is written in one of two forms: name with publicKey or certificate, or signature with name and key"
// +kubebuilder:validation:XValidation:rule="has(self.signature) ? !has(self.publicKey) && !has(self.certificate) : has(self.publicKey) != has(self.certificate)",message="a signature is checked with a publicKey or with a certificate: set one of the two; the form signature: {name, key} has neither"
type SubscriptionSignature struct {
	// name is the name of the signature in the component version, 1 to 253 characters, and the key under which the Secret of publicKey holds the public key.
	// The default is none; it excludes signature. Example: dev-signature.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// publicKey is where the public key comes from. The default is none; it excludes certificate. Example: {secretRef: {name: signing-keys}}.
	// +optional
	PublicKey *PublicKey `json:"publicKey,omitempty"`

	// certificate says which certificates are trusted that the signature carries. The default is none; it excludes publicKey.
	// Example: {rootsSecretRef: {name: signing-roots}, subject: "CN=release,O=Example"}.
	// +optional
	Certificate *Certificate `json:"certificate,omitempty"`

	// signature is the other form: the name of the signature, and the Secret that holds the public key under that name. The default is none.
	// Example: {name: dev-signature, key: {name: signing-keys}}.
	// +optional
	Signature *NamedSignature `json:"signature,omitempty"`
}

// NamedSignature names a signature and the Secret that holds its public key.
type NamedSignature struct {
	// name is the name of the signature in the component version, 1 to 253 characters, and the key under which the Secret holds the public key. It has no default.
	// Example: dev-signature.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key names the Secret in the same namespace. It has no default. Example: {name: signing-keys}.
	// +required
	Key meta.LocalObjectReference `json:"key"`
}

// Signatures returns what the spec wants verified, whichever form it is written in.
func (s *ComponentSubscriptionSpec) Signatures() []Signature {
	var all []Signature
	for _, v := range s.Verify {
		wanted := Signature{Name: v.Name, PublicKey: v.PublicKey, Certificate: v.Certificate}
		if v.Signature != nil {
			key := v.Signature.Key
			wanted = Signature{Name: v.Signature.Name, PublicKey: &PublicKey{SecretRef: &key}}
		}
		all = append(all, wanted)
	}
	return all
}

// GetLimit returns how many versions are replicated at most.
func (s *ComponentSubscriptionSpec) GetLimit() int {
	switch {
	case s.Versions != VersionsAll:
		return 1
	case s.Limit == nil:
		return DefaultLimit
	}
	return int(*s.Limit)
}

// ComponentSubscriptionStatus says which versions were found and replicated.
type ComponentSubscriptionStatus struct {
	CommonStatus `json:",inline"`

	// latestVersion is the newest version of the source that satisfies the spec, at most 1024 characters. Example: v0.1.1.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LatestVersion string `json:"latestVersion,omitempty"`

	// replicatedVersion is the newest version that was verified and replicated, at most 1024 characters. Example: v0.1.0.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ReplicatedVersion string `json:"replicatedVersion,omitempty"`

	// lastAttemptedVersion is the version whose replication began last, at most 1024 characters. Example: v0.1.1.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastAttemptedVersion string `json:"lastAttemptedVersion,omitempty"`

	// lastAppliedVersion is the same as replicatedVersion, at most 1024 characters. Example: v0.1.0.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	LastAppliedVersion string `json:"lastAppliedVersion,omitempty"`

	// replicatedDigest is the digest of the manifest of replicatedVersion at the destination, at most 512 characters; without a destination it is that at the source.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ReplicatedDigest string `json:"replicatedDigest,omitempty"`

	// component is the name of the component that the rest of the status is about, without a scheme, at most 1024 characters. Example: acme.org/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Component string `json:"component,omitempty"`

	// sourceRepositoryURL is where replicatedVersion was found, at most 2048 characters: spec.source.url of that time. Example: ghcr.io/acme.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	SourceRepositoryURL string `json:"sourceRepositoryURL,omitempty"`

	// replicatedRepositoryURL is where replicatedVersion can be read, at most 2048 characters: spec.destination.url, else spec.source.url. Example: registry.example.com/mirror.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ReplicatedRepositoryURL string `json:"replicatedRepositoryURL,omitempty"`

	// verified tells whether every signature of spec.verify was checked on replicatedVersion; it is false when there are none to check. Example: true.
	// +optional
	// +kubebuilder:default=false
	Verified bool `json:"verified,omitempty"`

	// signatures lists the signatures that were checked on replicatedVersion, in the order of spec.verify, at most 64.
	// Example: [{name: release, algorithm: RSASSA-PKCS1-V1_5, keyFingerprint: "sha256:..."}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Signatures []VerifiedSignature `json:"signatures,omitempty"`

	// passedOver lists newer versions than replicatedVersion that are not used because they can't be verified, the newest first, at most 10.
	// Example: [{version: v0.2.0, manifestDigest: "sha256:...", message: "signature dev-signature is missing"}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	PassedOver []PassedOverVersion `json:"passedOver,omitempty"`

	// replicatedVersions lists the versions that are at the destination because of this object, the newest first, at most 2000; other keys, or another spec, let it begin anew.
	// Example: [{version: v0.1.0, sourceDigest: "sha256:...", digest: "sha256:..."}].
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=2000
	ReplicatedVersions []ReplicatedVersion `json:"replicatedVersions,omitempty"`

	// progress tells how far the replication is that goes on; it is empty when none does. Example: {version: v0.1.1, bytes: 1048576, totalBytes: 4194304, blobs: 3, totalBlobs: 12}.
	// +optional
	Progress *ReplicationProgress `json:"progress,omitempty"`

	// history lists the replications that ended, the latest first, at most 10. Example: [{version: v0.1.0, result: Succeeded}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	History []Replication `json:"history,omitempty"`

	// lastFailure is the last replication or verification of a version that failed; it stays after later ones have succeeded. Example: {version: v0.1.1, reason: TransferFailed, message: "..."}.
	// +optional
	LastFailure *ReplicationFailure `json:"lastFailure,omitempty"`

	// specDigest is the digest of what replicatedVersions were replicated for, at most 512 characters: the part of spec that says what is copied where and what is verified,
	// and the keys. Another one lets all of them be looked at anew. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SpecDigest string `json:"specDigest,omitempty"`

	// highestVersion is the highest version of the component that was ever replicated, at most 1024 characters. Example: v0.1.0.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	HighestVersion string `json:"highestVersion,omitempty"`
}

// ReplicatedVersion is a version that was replicated.
type ReplicatedVersion struct {
	// version is the version, at most 1024 characters. Example: v0.1.0.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// sourceDigest is the digest of its manifest at the source when it was copied, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	SourceDigest string `json:"sourceDigest"`

	// digest is the digest of its manifest at the destination, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest,omitempty"`

	// componentDigest is the digest of what signatures of it cover, at most 512 characters; it is empty where there is a destination. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ComponentDigest string `json:"componentDigest,omitempty"`
}

// ReplicationProgress tells how far a replication is.
type ReplicationProgress struct {
	// version is the version that is replicated, at most 1024 characters. Example: v0.1.1.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// phase is Waiting, Reading, Copying or Verifying; at most 32 characters. Example: Copying.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Phase string `json:"phase"`

	// bytes is how many bytes of content are done, be it that they were copied or that they were there. Example: 1048576.
	// +optional
	Bytes int64 `json:"bytes,omitempty"`

	// totalBytes is how many bytes of content there are, as far as it is known. Example: 4194304.
	// +optional
	TotalBytes int64 `json:"totalBytes,omitempty"`

	// blobs is how many blobs are done. Example: 3.
	// +optional
	Blobs int32 `json:"blobs,omitempty"`

	// totalBlobs is how many blobs there are, as far as it is known. Example: 12.
	// +optional
	TotalBlobs int32 `json:"totalBlobs,omitempty"`
}

// Replication is a replication that ended.
type Replication struct {
	// version is the version, at most 1024 characters. Example: v0.1.0.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// digest is the digest of its manifest at the destination, at most 512 characters; it is empty after a failure. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest,omitempty"`

	// result is Succeeded, Failed or Repaired, which is that the destination had lost what was copied; at most 32 characters. Example: Succeeded.
	// +required
	// +kubebuilder:validation:MaxLength=32
	Result string `json:"result"`

	// startTime is when it began. Example: "2026-01-01T12:00:00Z".
	// +required
	StartTime metav1.Time `json:"startTime"`

	// endTime is when it ended. Example: "2026-01-01T12:01:00Z".
	// +required
	EndTime metav1.Time `json:"endTime"`

	// copiedBytes is how many bytes of content were sent to the destination. Example: 4194304.
	// +optional
	CopiedBytes int64 `json:"copiedBytes,omitempty"`

	// copiedBlobs is how many blobs were sent to the destination. Example: 12.
	// +optional
	CopiedBlobs int32 `json:"copiedBlobs,omitempty"`

	// message says more, at most 1024 characters: why it failed, or what was there already. Example: 12 blobs copied.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Results of Replication.
const (
	// ReplicationSucceeded is a version that was replicated.
	ReplicationSucceeded = "Succeeded"
	// ReplicationFailed is one that was not.
	ReplicationFailed = "Failed"
	// ReplicationRepaired is one that the destination had lost or that was changed there.
	ReplicationRepaired = "Repaired"
)

// ReplicationFailure says what failed last.
type ReplicationFailure struct {
	// version is the version that it is about, at most 1024 characters; it is empty if it is about none. Example: v0.1.1.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version,omitempty"`

	// reason is the reason of the condition Ready at that time, at most 128 characters. Example: TransferFailed.
	// +required
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason"`

	// message says what failed, at most 4096 characters. Example: "push blob sha256:... to registry.example.com/mirror: denied".
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message"`

	// time is when it failed. Example: "2026-01-01T12:00:00Z".
	// +required
	Time metav1.Time `json:"time"`
}

// ComponentSubscription replicates versions of a component from one repository to another: it verifies them at the source, copies them by value and verifies them again where they are then.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=coms,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Latest",type="string",JSONPath=".status.latestVersion"
// +kubebuilder:printcolumn:name="Replicated",type="string",JSONPath=".status.replicatedVersion"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Verified",type="boolean",JSONPath=".status.verified",priority=1
// +kubebuilder:printcolumn:name="Component",type="string",JSONPath=".spec.component",priority=1
// +kubebuilder:printcolumn:name="Repository",type="string",JSONPath=".status.replicatedRepositoryURL",priority=1
type ComponentSubscription struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what is replicated, from where and to where.
	// +required
	Spec ComponentSubscriptionSpec `json:"spec"`

	// status says what was replicated; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ComponentSubscriptionStatus `json:"status,omitempty"`
}

// ComponentSubscriptionList is a list of ComponentSubscription objects.
// +kubebuilder:object:root=true
type ComponentSubscriptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ComponentSubscription `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *ComponentSubscription) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *ComponentSubscription) SetConditions(conditions []metav1.Condition) {
	o.Status.Conditions = conditions
}

// GetSchedule returns when the object is reconciled.
func (o *ComponentSubscription) GetSchedule() Schedule { return o.Spec.Schedule }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *ComponentSubscription) GetStatus() *CommonStatus { return &o.Status.CommonStatus }
