package v1alpha1

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
)

// ComponentVersionSpec says which component is followed, where it is stored and what a version needs to be accepted.
// +kubebuilder:validation:XValidation:rule="!has(self.destination) || !has(self.destination.componentNameMapping) || self.destination.componentNameMapping == 'urlPath'",message="destination.componentNameMapping sha256-digest is read only: remove it, which is urlPath"
type ComponentVersionSpec struct {
	Schedule `json:",inline"`

	// component is the name of the component, 1 to 1024 characters. It has no default. Example: phoban.io/podinfo.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Component string `json:"component"`

	// version says which versions of the component are wanted. It has no default. Example: {semver: ">=6.3.x"}.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.semver) && size(self.semver.trim()) > 0",message="version.semver is empty: name a version such as 1.2.3, or a constraint such as \">=1.0.0\"; \"*\" takes any version that is no pre-release"
	Version Version `json:"version"`

	// repository is where the component is read from. It has no default. Example: {url: ghcr.io/phoban01}.
	// +required
	Repository Repository `json:"repository"`

	// destination is a second repository to which accepted versions are transferred with everything they contain, and from which everything is read afterwards.
	// The default is none: nothing is transferred. Example: {url: registry.example.com/mirror}.
	// +optional
	Destination *Repository `json:"destination,omitempty"`

	// verify lists the signatures that a version must carry; all must hold, else the version is not used. At most 64. The default is none: any version is accepted.
	// Example: [{name: dev-signature, publicKey: {secretRef: {name: signing-keys}}}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Verify []Signature `json:"verify,omitempty"`

	// references says what is done with the components that the component refers to. The default is {expand: false}. Example: {expand: true}.
	// +optional
	References References `json:"references,omitzero"`

	// serviceAccountName is a ServiceAccount in the same namespace whose imagePullSecrets are used as credentials of the repositories, at most 253 characters.
	// If it has none and repository.provider is a cloud, its identity there is used in place of the operator's. The default is none. Example: component-reader.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// Digest returns the digest of what the spec says, except for its schedule.
func (s *ComponentVersionSpec) Digest() string {
	plain := *s
	plain.Schedule = Schedule{}
	raw, err := json.Marshal(plain)
	if err != nil {
		return "" // types of ours always have a JSON form
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
}

// Version is a constraint on the versions of a component.
type Version struct {
	// semver is a semantic version or a constraint on one, 1 to 1024 characters; the newest version that satisfies it is used. It has no default.
	// Pre-releases are taken only when the constraint names one. Example: ">=6.3.x".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Semver string `json:"semver,omitempty"`

	// downgradePolicy says when a version may be replaced by a lower one, at most 16 characters.
	// Deny keeps the version in use, unless semver rejects it: then the newest one that semver accepts is used, even a lower one.
	// Allow always takes the newest one that is accepted, even if it is lower, as when the version in use was withdrawn or its signature no longer holds.
	// EnforceNever uses no version below the highest one that was ever in use, whatever semver says.
	// The default is Deny. Example: EnforceNever.
	// +optional
	// +kubebuilder:validation:Enum=Deny;Allow;EnforceNever
	// +kubebuilder:validation:MaxLength=16
	DowngradePolicy string `json:"downgradePolicy,omitempty"`
}

// Policies of Version. Empty is DowngradeDeny.
const (
	// DowngradeDeny uses a lower version only when the constraint rejects the one in use.
	DowngradeDeny = "Deny"
	// DowngradeAllow uses a lower version whenever it is the newest one that is accepted.
	DowngradeAllow = "Allow"
	// DowngradeNever uses no version below the highest one that was in use.
	DowngradeNever = "EnforceNever"
)

// Repository is a place where component versions are stored: an OCI registry with an optional path below it, or a transport archive.
// +kubebuilder:validation:XValidation:rule="!has(self.provider) || self.provider == 'generic' || !has(self.secretRef)",message="secretRef and a provider other than generic are two ways to log in: remove secretRef to log in with the identity of the workload, or remove provider to use the Secret"
type Repository struct {
	// url is the address of the repository, 1 to 2048 characters: host, optional port and path, without a scheme or with oci://, https:// or http://.
	// Only http:// is read without TLS. A transport archive is ctf:: and a path below the operator's folder for archives of the namespace, which is a folder, a .tar or a .tgz;
	// to read from it can also be ctf::https:// and where a .tar or .tgz is served. It has no default. Example: ghcr.io/phoban01.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// secretRef names a Secret in the same namespace that holds the credentials.
	// The first of these keys is used: .dockerconfigjson, .ocmcredentialconfig with a configuration of the Open Component Model, username and password.
	// The default is none. Example: {name: registry-credentials}.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// provider says with whose identity the operator logs in where no Secret says it, at most 16 characters.
	// aws, azure and gcp are the identity of the workload at that cloud, which must be where the registry is; generic is none.
	// The default is generic. Example: aws.
	// +optional
	// +kubebuilder:validation:Enum=generic;aws;azure;gcp
	// +kubebuilder:validation:MaxLength=16
	Provider string `json:"provider,omitempty"`

	// certSecretRef names a Secret in the same namespace for TLS, with one of these or both:
	// the key ca.crt with certificates that are trusted besides those of the system;
	// the keys tls.crt and tls.key with the certificate by which the registry knows the operator.
	// The default is none. Example: {name: registry-tls}.
	// +optional
	CertSecretRef *meta.LocalObjectReference `json:"certSecretRef,omitempty"`

	// proxySecretRef names a Secret in the same namespace with the proxy that requests are sent through.
	// It has the key address and, if the proxy wants a log-in, the keys username and password.
	// The default is what the environment of the operator says. Example: {name: proxy}.
	// +optional
	ProxySecretRef *meta.LocalObjectReference `json:"proxySecretRef,omitempty"`

	// componentNameMapping says how the repository of a component is named below url, at most 16 characters.
	// urlPath is component-descriptors/ and the name of the component; sha256-digest is the digest of the name, which older tools wrote and which is read only.
	// The default is urlPath. Example: sha256-digest.
	// +optional
	// +kubebuilder:validation:Enum=urlPath;sha256-digest
	// +kubebuilder:validation:MaxLength=16
	ComponentNameMapping string `json:"componentNameMapping,omitempty"`
}

// Providers of Repository. Empty is GenericProvider.
const (
	// GenericProvider is no cloud: the operator logs in with a Secret, or not at all.
	GenericProvider = "generic"
	// AWSProvider is Amazon Web Services.
	AWSProvider = "aws"
	// AzureProvider is Microsoft Azure.
	AzureProvider = "azure"
	// GCPProvider is Google Cloud.
	GCPProvider = "gcp"
)

// WantsIdentity tells whether the operator logs in with the identity of a workload at a cloud.
func (r *Repository) WantsIdentity() bool { return r.Provider != "" && r.Provider != GenericProvider }

// Secrets returns the names of the Secrets that the repository is read with.
func (r *Repository) Secrets() []string {
	var names []string
	for _, ref := range []*meta.LocalObjectReference{r.SecretRef, r.CertSecretRef, r.ProxySecretRef} {
		if ref != nil && ref.Name != "" {
			names = append(names, ref.Name)
		}
	}
	return names
}

// Signature names a signature and what it is checked with: a public key, or the certificates that it carries itself.
// +kubebuilder:validation:XValidation:rule="has(self.publicKey) != has(self.certificate)",message="a signature is checked with a publicKey or with a certificate: set one of the two"
type Signature struct {
	// name is the name of the signature in the component version, 1 to 253 characters, and the key under which the Secret of publicKey holds the public key.
	// It has no default. Example: dev-signature.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// publicKey is where the public key comes from. The default is none; it excludes certificate. Example: {secretRef: {name: signing-keys}}.
	// +optional
	PublicKey *PublicKey `json:"publicKey,omitempty"`

	// certificate says which certificates are trusted that the signature carries. The default is none; it excludes publicKey.
	// Example: {rootsSecretRef: {name: signing-roots}, subject: "CN=release,O=Example"}.
	// +optional
	Certificate *Certificate `json:"certificate,omitempty"`
}

// Certificate says which certificate a signature must carry, and which authorities may have issued it. Those of the system are never trusted.
type Certificate struct {
	// rootsSecretRef names a Secret in the same namespace whose key ca.crt holds the PEM certificates of the authorities that are trusted. It has no default.
	// Example: {name: signing-roots}.
	// +required
	RootsSecretRef meta.LocalObjectReference `json:"rootsSecretRef"`

	// subject is the distinguished name, as RFC 4514 writes it, that the certificate of the signer must have, 1 to 1024 characters: each attribute that stands here must be in it.
	// It has no default. Example: CN=release,O=Example.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject"`
}

// PublicKey is where a public key comes from.
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) || (has(self.value) && size(self.value) > 0)",message="publicKey names no key: set secretRef.name to a Secret that holds the key under the signature's name, or set value to the base64 of the PEM public key"
type PublicKey struct {
	// secretRef names a Secret in the same namespace that holds the PEM public key under the name of the signature.
	// Where it holds several keys, one after the other, the signature must be made with one of them. The default is none.
	// Example: {name: signing-keys}.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// value is the public key itself, standard base64 of its PEM form, at most 65536 characters. It wins over secretRef. The default is none.
	// Example: the output of base64 -w0 key.pem.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Value string `json:"value,omitempty"`
}

// References says what is done with the components that a component refers to.
type References struct {
	// expand tells whether a ComponentDescriptor object is written for every component that the component refers to, directly or not.
	// The default is false: only for the component itself. Resources of nested components can be used either way. Example: true.
	// +optional
	Expand bool `json:"expand,omitempty"`
}

// ComponentVersionStatus says which version is used and what was found in it.
type ComponentVersionStatus struct {
	CommonStatus `json:",inline"`

	// componentDescriptor is the root of the tree of components that belongs to the version, pinned by digest. It is empty until a version was accepted.
	// Example: {name: phoban.io/podinfo, version: 6.3.6}.
	// +optional
	ComponentDescriptor *Reference `json:"componentDescriptor,omitempty"`

	// reconciledVersion is the version in use, as it is written in the repository, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ReconciledVersion string `json:"reconciledVersion,omitempty"`

	// manifestDigest is the digest of the manifest of the version in use, at most 512 characters; every later read is pinned to it.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// verified tells whether every signature of spec.verify was checked on the version in use; it is false when there are none to check. Example: true.
	// +optional
	// +kubebuilder:default=false
	Verified bool `json:"verified,omitempty"`

	// signatures lists the signatures that were checked on the version in use, in the order of spec.verify, at most 64.
	// Example: [{name: release, algorithm: RSASSA-PKCS1-V1_5, keyFingerprint: "sha256:..."}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Signatures []VerifiedSignature `json:"signatures,omitempty"`

	// proof is a digest of what was verified and by which rules and keys, at most 512 characters; while it stays the same there is nothing to verify again.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Proof string `json:"proof,omitempty"`

	// unprotectedResources lists the resources whose content no signature protects, in the version in use and all that it refers to, at most 256 of them,
	// and no more than 64 KiB.
	// Example: [{component: phoban.io/podinfo, version: 6.3.6, name: notes, reason: Excluded}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	UnprotectedResources []UnprotectedResource `json:"unprotectedResources,omitempty"`

	// unprotectedResourcesCount is how many resources there are whose content no signature protects, of which unprotectedResources lists the first ones.
	// It is empty if there are none. Example: 2.
	// +optional
	UnprotectedResourcesCount int32 `json:"unprotectedResourcesCount,omitempty"`

	// passedOver lists the newer versions that were not used because they could not be verified, at most 10. Example: [{version: 6.4.0, message: signature release does not hold}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=10
	PassedOver []PassedOverVersion `json:"passedOver,omitempty"`

	// highestVersion is the highest version of the component that was ever in use, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	HighestVersion string `json:"highestVersion,omitempty"`

	// acceptedVersions holds the digests that versions had when they were used first, at most 32, the latest ones. A version that has another digest later is refused.
	// Example: [{version: 6.3.6, manifestDigest: "sha256:..."}].
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=32
	AcceptedVersions []AcceptedVersion `json:"acceptedVersions,omitempty"`

	// specDigest is the digest of spec, without its schedule, that the version in use was accepted for, at most 512 characters.
	// While it is that of spec, a suspended object goes on to stand for the version. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SpecDigest string `json:"specDigest,omitempty"`

	// replicatedRepositoryURL is the repository that the version is read from, at most 2048 characters: spec.destination.url after a transfer, else spec.repository.url.
	// Example: ghcr.io/phoban01.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	ReplicatedRepositoryURL string `json:"replicatedRepositoryURL,omitempty"`

	// sourceRepositoryURL is the repository that the version was found in, at most 2048 characters; it is empty where that is replicatedRepositoryURL.
	// Example: ghcr.io/phoban01.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	SourceRepositoryURL string `json:"sourceRepositoryURL,omitempty"`

	// sourceManifestDigest is the digest of the manifest of the version where it was found, at most 512 characters; it is empty where that is manifestDigest.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	SourceManifestDigest string `json:"sourceManifestDigest,omitempty"`

	// progress tells how far the transfer to spec.destination is that goes on; it is empty when none does. Example: {version: 6.3.6, phase: Copying, bytes: 1048576, totalBytes: 4194304}.
	// +optional
	Progress *ReplicationProgress `json:"progress,omitempty"`
}

// VerifiedSignature is a signature that was checked and holds.
type VerifiedSignature struct {
	// name is the name of the signature, at most 253 characters. Example: release.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// algorithm is the algorithm of the signature, at most 64 characters. Example: RSASSA-PKCS1-V1_5.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Algorithm string `json:"algorithm"`

	// digest is the digest of the component version that was signed: hash, value and in brackets how the component descriptor was normalised, at most 512 characters.
	// Example: SHA-256:0f3c...[jsonNormalisation/v3].
	// +required
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest"`

	// keyFingerprint is the SHA-256 digest of the public key in its DER form, at most 128 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=128
	KeyFingerprint string `json:"keyFingerprint"`

	// time is when the signature was checked on this version with this key first. Example: "2026-01-01T12:00:00Z".
	// +required
	Time metav1.Time `json:"time"`

	// expires is when a certificate that the check relies on expires; it is empty for public keys. Example: "2027-01-01T12:00:00Z".
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// Reasons of UnprotectedResource.
const (
	// UnprotectedExcluded says that the publisher left the content out of what is signed.
	UnprotectedExcluded = "Excluded"
	// UnprotectedNoContent says that the resource has no content: its access is none.
	UnprotectedNoContent = "NoContent"
)

// UnprotectedResource is a resource whose content no signature protects.
type UnprotectedResource struct {
	// component is the name of the component, at most 1024 characters. Example: phoban.io/podinfo.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Component string `json:"component"`

	// version is the version of the component, at most 1024 characters. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// name is the name of the resource, at most 1024 characters. Example: notes.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// resourceVersion is the version of the resource, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ResourceVersion string `json:"resourceVersion,omitempty"`

	// extraIdentity holds the further identity attributes of the resource, at most 64. Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// reason is Excluded, if the publisher left the content out of what is signed, or NoContent, if its access is none; at most 64 characters. Example: Excluded.
	// +required
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
}

// PassedOverVersion is a version that satisfies the constraint and was not used, because it could not be verified.
type PassedOverVersion struct {
	// version is the version, at most 1024 characters. Example: 6.4.0.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// manifestDigest is the digest of its manifest, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// message says why, at most 4096 characters. Example: signature release does not hold.
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message"`
}

// AcceptedVersion is a version that was used, with the digests that it had then.
type AcceptedVersion struct {
	// version is the version, at most 1024 characters. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// manifestDigest is the digest of its manifest, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +required
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest"`

	// componentDigest is the digest of what is signed of it, which stays the same when a signature is added to the version or its unsigned parts change, at most 512 characters.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ComponentDigest string `json:"componentDigest,omitempty"`
}

// Reference is a component version in the tree of references of a ComponentVersion. The tree is complete: a nested version is pinned without a ComponentDescriptor too.
type Reference struct {
	// name is the name of the component at the root, and the name of the reference below it, at most 1024 characters. Example: phoban.io/podinfo.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Name string `json:"name"`

	// version is the version of the component, at most 1024 characters. Example: 6.3.6.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version"`

	// extraIdentity holds the further identity attributes of the reference, at most 64; the root has none. Example: {architecture: amd64}.
	// +optional
	// +mapType=atomic
	// +kubebuilder:validation:MaxProperties=64
	ExtraIdentity map[string]string `json:"extraIdentity,omitempty"`

	// componentName is the name of the component that a reference leads to, at most 1024 characters; the root has it as its name. Example: phoban.io/backend.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	ComponentName string `json:"componentName,omitempty"`

	// manifestDigest is the digest of the manifest of the component version, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	ManifestDigest string `json:"manifestDigest,omitempty"`

	// componentDescriptorRef names the ComponentDescriptor object of the component version; nested entries have it with spec.references.expand only.
	// Example: {name: phoban.io-podinfo-6.3.6-10372358058082697739, namespace: default}.
	// +optional
	ComponentDescriptorRef *meta.NamespacedObjectReference `json:"componentDescriptorRef,omitempty"`

	// references lists the component versions that this one refers to, in the same form. Example: [{name: backend, version: 1.0.0}].
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	References []Reference `json:"references,omitempty"`
}

// ComponentVersion follows a component in an OCI registry: it takes the newest version that satisfies a constraint and carries the wanted signatures, and makes its component descriptor available in the cluster.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=cv,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=".status.reconciledVersion"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Verified",type="boolean",JSONPath=".status.verified",priority=1
// +kubebuilder:printcolumn:name="Component",type="string",JSONPath=".spec.component",priority=1
// +kubebuilder:printcolumn:name="Repository",type="string",JSONPath=".status.replicatedRepositoryURL",priority=1
type ComponentVersion struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which component is followed and how.
	// +required
	Spec ComponentVersionSpec `json:"spec"`

	// status says which version is used; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status ComponentVersionStatus `json:"status,omitempty"`
}

// ComponentVersionList is a list of ComponentVersion objects.
// +kubebuilder:object:root=true
type ComponentVersionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ComponentVersion `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *ComponentVersion) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *ComponentVersion) SetConditions(conditions []metav1.Condition) {
	o.Status.Conditions = conditions
}

// GetSchedule returns when the object is reconciled.
func (o *ComponentVersion) GetSchedule() Schedule { return o.Spec.Schedule }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *ComponentVersion) GetStatus() *CommonStatus { return &o.Status.CommonStatus }
