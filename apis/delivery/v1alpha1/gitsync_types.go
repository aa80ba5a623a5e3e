package v1alpha1

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
)

// GitSyncSpec says which content is pushed where in which git repository, and how it is proposed.
// +kubebuilder:validation:XValidation:rule="has(self.sourceRef) != has(self.snapshotRef)",message="the content comes from one place: set sourceRef or snapshotRef, and not both"
// +kubebuilder:validation:XValidation:rule="!has(self.automaticPullRequestCreation) || !self.automaticPullRequestCreation || (has(self.repository.provider) && self.repository.provider != 'git')",message="automaticPullRequestCreation needs a forge: set repository.provider to github, gitlab or gitea, or remove automaticPullRequestCreation"
// +kubebuilder:validation:XValidation:rule="!has(self.pullRequestTemplate) || (has(self.automaticPullRequestCreation) && self.automaticPullRequestCreation)",message="pullRequestTemplate is for pull requests: set automaticPullRequestCreation to true, or remove pullRequestTemplate"
// +kubebuilder:validation:XValidation:rule="!has(self.automaticPullRequestCreation) || !self.automaticPullRequestCreation || !has(self.commitTemplate.targetBranch) || self.commitTemplate.targetBranch != (has(self.commitTemplate.baseBranch) ? self.commitTemplate.baseBranch : 'main')",message="a pull request needs two branches: set commitTemplate.targetBranch to another branch than commitTemplate.baseBranch, or remove it for the default ocm/<namespace>/<name>"
// +kubebuilder:validation:XValidation:rule="!has(self.pullRequestTemplate) || !has(self.pullRequestTemplate.base) || !has(self.commitTemplate.targetBranch) || self.pullRequestTemplate.base != self.commitTemplate.targetBranch",message="a pull request needs two branches: set pullRequestTemplate.base to another branch than commitTemplate.targetBranch"
type GitSyncSpec struct {
	Schedule `json:",inline"`

	// sourceRef names the object whose snapshot is pushed: a Resource, a Localization or a Configuration. The default is none: one of sourceRef and snapshotRef is needed, and they exclude each other.
	// Example: {kind: Configuration, name: podinfo}.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.kind) && size(self.kind) > 0",message="sourceRef.kind is missing: set it to Resource, Localization or Configuration"
	SourceRef *ObjectReference `json:"sourceRef,omitempty"`

	// snapshotRef names a Snapshot in the same namespace, in place of the object that owns it. The default is none; it excludes sourceRef. Example: {name: podinfo-k3jd7qa}.
	// +optional
	SnapshotRef *meta.LocalObjectReference `json:"snapshotRef,omitempty"`

	// repository is the git repository that the content is pushed to. It has no default. Example: {url: "https://github.com/acme/fleet", provider: github, secretRef: {name: fleet}}.
	// +required
	Repository GitRepository `json:"repository"`

	// subPath is the folder of the repository that the content is written to, at most 1024 characters: relative, with / between its parts, and without .. or .git.
	// The default is the root of the repository. Example: clusters/production/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",message="subPath must be a relative path within the repository, without .., such as clusters/production"
	SubPath string `json:"subPath,omitempty"`

	// prune tells whether the folder holds the content and nothing else: what is not in the snapshot is removed from it. Nothing outside of the folder is ever removed.
	// The default is false: files are added and replaced. Example: true.
	// +optional
	Prune bool `json:"prune,omitempty"`

	// conflictPolicy says what happens when others have changed what this object had pushed, at most 16 characters: Rebase puts the content on top of their commits, which stay in the history;
	// Refuse leaves the branch alone and reports it, until the folder holds the content again or conflictPolicy is Rebase. The default is Rebase. Example: Refuse.
	// +optional
	// +kubebuilder:validation:Enum=Rebase;Refuse
	// +kubebuilder:validation:MaxLength=16
	ConflictPolicy string `json:"conflictPolicy,omitempty"`

	// commitTemplate says what commits look like, and which branch they go to. It has no default. Example: {name: ocm, email: ocm@acme.org, message: "deploy {{ .Component }} {{ .Version }}"}.
	// +required
	CommitTemplate CommitTemplate `json:"commitTemplate"`

	// automaticPullRequestCreation tells whether the branch is proposed to the base branch with a pull request, of which one is open at a time and is kept up to date. The default is false.
	// Example: true.
	// +optional
	AutomaticPullRequestCreation bool `json:"automaticPullRequestCreation,omitempty"`

	// pullRequestTemplate says what the pull request looks like. The default is a title and a text that name the component, its version and what changes. Example: {labels: [deployment]}.
	// +optional
	PullRequestTemplate *PullRequestTemplate `json:"pullRequestTemplate,omitempty"`
}

// GitRepository is a git repository, and the forge that serves it.
type GitRepository struct {
	// url is the address of the repository, 1 to 2048 characters: https://, http:// or ssh:// with host and path, or user@host:path. It has no user and no password but the user of SSH.
	// It has no default. Example: https://github.com/acme/fleet.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^@/ ]+/[^ ]+$') || self.matches('^ssh://([A-Za-z0-9._-]+@)?[^@/ ]+/[^ ]+$') || self.matches('^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:[^ ]+$')",message="url must be https://host/path, http://host/path, ssh://user@host/path or user@host:path; user name and password belong in the Secret that secretRef names"
	URL string `json:"url"`

	// provider is the forge that serves the repository, at most 16 characters: git, which is any git server and has no pull requests, github, gitlab or gitea.
	// The default is git. Example: github.
	// +optional
	// +kubebuilder:validation:Enum=git;github;gitlab;gitea
	// +kubebuilder:validation:MaxLength=16
	Provider string `json:"provider,omitempty"`

	// apiURL is the address of the API of the forge, at most 2048 characters. The default follows from the host of url: https://api.github.com, and /api/v3 (github), /api/v4 (gitlab) or
	// /api/v1 (gitea) of any other host, with the scheme of url, or https:// for SSH. Example: https://git.acme.org/api/v4.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^@/ ]+(/[^ ]*)?$')",message="apiURL must be https://host/path or http://host/path, without user and password"
	APIURL string `json:"apiURL,omitempty"`

	// secretRef names a Secret in the same namespace with the credentials. For HTTP it has the keys username and password, where the password can be a token, or the key bearerToken.
	// For SSH it has the key identity with a private key, the key known_hosts with the keys of the host, and password if the private key has one.
	// The key apiToken is the token for the API of the forge; without it, password (of HTTP) or bearerToken is used. The default is none. Example: {name: fleet}.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// certSecretRef names a Secret in the same namespace for TLS, with one of these or both: the key ca.crt with certificates that are trusted besides those of the system;
	// the keys tls.crt and tls.key with the certificate by which the server knows the operator. It is for the repository and the API of the forge. The default is none. Example: {name: git-tls}.
	// +optional
	CertSecretRef *meta.LocalObjectReference `json:"certSecretRef,omitempty"`

	// proxySecretRef names a Secret in the same namespace with the proxy that requests are sent through: the key address and, if the proxy wants a log-in, the keys username and password.
	// SSH uses it only if it is a SOCKS5 proxy. The default is what the environment of the operator says. Example: {name: proxy}.
	// +optional
	ProxySecretRef *meta.LocalObjectReference `json:"proxySecretRef,omitempty"`
}

// CommitTemplate says what commits look like, and which branch they go to.
type CommitTemplate struct {
	// name is the name of author and committer, 1 to 256 characters. It has no default. Example: ocm-operator.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Name string `json:"name"`

	// email is the address of author and committer, 1 to 256 characters. It has no default. Example: ocm@acme.org.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Email string `json:"email"`

	// message is the message of the commit as a Go template, at most 8192 characters. It knows .Component, .Version, .Resource, .ResourceVersion, .Digest, .Verified, .Origins, .SubPath,
	// .Namespace, .Name, .Branch and .Base. Trailers that name the same are added. The default names the component and its version. Example: "deploy {{ .Component }} {{ .Version }}".
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Message string `json:"message,omitempty"`

	// baseBranch is the branch that the content is built upon, and that pull requests are for; at most 255 characters. The default is main. Example: production.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	BaseBranch string `json:"baseBranch,omitempty"`

	// targetBranch is the branch that is pushed to, at most 255 characters. The default with automaticPullRequestCreation is ocm/<namespace>/<name>, and baseBranch without.
	// Example: deploy/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	TargetBranch string `json:"targetBranch,omitempty"`

	// signing says what commits are signed with. The default is nothing. Example: {secretRef: {name: signing-key}}.
	// +optional
	Signing *CommitSigning `json:"signing,omitempty"`
}

// CommitSigning says what commits are signed with.
type CommitSigning struct {
	// secretRef names a Secret in the same namespace with one of the keys git.asc, an OpenPGP private key in armor, and identity, an SSH private key; and passphrase if the key has one.
	// It has no default. Example: {name: signing-key}.
	// +required
	SecretRef meta.LocalObjectReference `json:"secretRef"`
}

// PullRequestTemplate says what the pull request looks like.
type PullRequestTemplate struct {
	// title is the title as a Go template that knows what commitTemplate.message knows, at most 1024 characters. The default names the component and its version.
	// Example: "Deploy {{ .Component }} {{ .Version }}".
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Title string `json:"title,omitempty"`

	// description is the text as a Go template, at most 16384 characters. Component, version, signatures, changed files and changed images are listed below it.
	// The default is none. Example: "Ask team a before you merge."
	// +optional
	// +kubebuilder:validation:MaxLength=16384
	Description string `json:"description,omitempty"`

	// base is the branch that the pull request is for, at most 255 characters. The default is commitTemplate.baseBranch. Example: production.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Base string `json:"base,omitempty"`

	// labels are set on the pull request beside those that others set, at most 32 of at most 255 characters. The default is none. Example: [deployment].
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Labels []string `json:"labels,omitempty"`
}

// Providers of GitRepository. Empty is GitProvider.
const (
	// GitProvider is any git server; it has no pull requests.
	GitProvider = "git"
	// GitHubProvider is GitHub, or GitHub Enterprise.
	GitHubProvider = "github"
	// GitLabProvider is GitLab, whose pull requests are called merge requests.
	GitLabProvider = "gitlab"
	// GiteaProvider is Gitea, or Forgejo.
	GiteaProvider = "gitea"
)

// Policies of GitSyncSpec.ConflictPolicy. Empty is ConflictRebase.
const (
	// ConflictRebase puts the content on top of what others have pushed.
	ConflictRebase = "Rebase"
	// ConflictRefuse leaves the branch alone.
	ConflictRefuse = "Refuse"
)

// DefaultBaseBranch is the base branch of a CommitTemplate that names none.
const DefaultBaseBranch = "main"

// States of a PullRequestStatus.
const (
	// PullRequestOpen is a pull request that waits to be merged.
	PullRequestOpen = "Open"
	// PullRequestMerged is one that was merged.
	PullRequestMerged = "Merged"
	// PullRequestClosed is one that was closed and not merged.
	PullRequestClosed = "Closed"
)

// GitSyncStatus says what was pushed, and what became of its pull request.
type GitSyncStatus struct {
	CommonStatus `json:",inline"`

	// digest is the digest of the manifest of the snapshot that the branch holds, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest,omitempty"`

	// version is the version of the component that the content came from, at most 1024 characters. Example: 6.3.6.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Version string `json:"version,omitempty"`

	// branch is the branch that holds the content, at most 255 characters: the base branch once the content was merged. Example: ocm/default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`

	// commit is the commit at the tip of the branch when it was seen to hold the content, at most 64 characters. Example: 3f786850e387550fdab836ed7e6dc881de23001b.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Commit string `json:"commit,omitempty"`

	// tree is the git tree of the folder in that commit, at most 64 characters, by which changes of others are told. Example: 4b825dc642cb6eb9a060e54bf8d69288fbee4904.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Tree string `json:"tree,omitempty"`

	// subPath is that folder, at most 1024 characters; it is empty for the root of the repository. Example: clusters/production/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubPath string `json:"subPath,omitempty"`

	// baseCommit is the commit of the base branch that a pull request was built upon, and empty without one, at most 64 characters. Example: 89e6c98d92887913cadf06b2adb97f26cde4849b.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	BaseCommit string `json:"baseCommit,omitempty"`

	// lastPushedCommit is the last commit that this object has pushed, at most 64 characters. Example: 3f786850e387550fdab836ed7e6dc881de23001b.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LastPushedCommit string `json:"lastPushedCommit,omitempty"`

	// lastPushTime is when that was. Example: "2026-01-01T12:00:00Z".
	// +optional
	LastPushTime *metav1.Time `json:"lastPushTime,omitempty"`

	// repositoryURL is the repository that all of this is about, at most 2048 characters. Example: https://github.com/acme/fleet.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	RepositoryURL string `json:"repositoryURL,omitempty"`

	// pullRequest is the last pull request for the branch; it is empty when there was none. Example: {number: 7, url: "https://github.com/acme/fleet/pull/7", state: Open}.
	// +optional
	PullRequest *PullRequestStatus `json:"pullRequest,omitempty"`

	// origins lists the component versions that the content came from, and whether they were verified, at most 256.
	// Example: [{namespace: default, name: podinfo, version: 6.3.6, verified: true}].
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Origins []Origin `json:"origins,omitempty"`

	// fingerprint is a digest of everything that the result depends on beside the repository, at most 512 characters; while it and the branches stay the same there is nothing to do.
	// Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Fingerprint string `json:"fingerprint,omitempty"`
}

// PullRequestStatus says what became of a pull request.
type PullRequestStatus struct {
	// number is the number of the pull request in its repository, as its URL shows it. Example: 7.
	// +required
	Number int64 `json:"number"`

	// url is the page of the pull request, at most 2048 characters. Example: https://github.com/acme/fleet/pull/7.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`

	// state is Open, Merged or Closed, which is closed and not merged; at most 16 characters. Example: Open.
	// +required
	// +kubebuilder:validation:Enum=Open;Merged;Closed
	// +kubebuilder:validation:MaxLength=16
	State string `json:"state"`

	// head is the branch that is proposed, at most 255 characters. Example: ocm/default/podinfo.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Head string `json:"head,omitempty"`

	// base is the branch that it is proposed to, at most 255 characters. Example: main.
	// +optional
	// +kubebuilder:validation:MaxLength=255
	Base string `json:"base,omitempty"`

	// digest is the digest of the manifest of the snapshot that it proposes, at most 512 characters. Example: sha256: followed by 64 hexadecimal digits.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Digest string `json:"digest,omitempty"`

	// tree is what it proposes, as the git tree of the content, at most 64 characters; content that others have closed a pull request of is not proposed again. Example: 4b825dc642cb6eb9a060e54bf8d69288fbee4904.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Tree string `json:"tree,omitempty"`

	// headCommit is the commit at the tip of its branch when that was seen last before it was merged, at most 64 characters. Example: 3f786850e387550fdab836ed7e6dc881de23001b.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	HeadCommit string `json:"headCommit,omitempty"`

	// mergeCommit is the commit by which it was merged, at most 64 characters. Example: 3f786850e387550fdab836ed7e6dc881de23001b.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MergeCommit string `json:"mergeCommit,omitempty"`
}

// GitSync pushes the content of a snapshot to a git repository and, if wanted, proposes it with a pull request.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=gs,categories=ocm
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Branch",type="string",JSONPath=".status.branch"
// +kubebuilder:printcolumn:name="PR",type="string",JSONPath=".status.pullRequest.number"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="PR State",type="string",JSONPath=".status.pullRequest.state",priority=1
// +kubebuilder:printcolumn:name="Commit",type="string",JSONPath=".status.commit",priority=1
// +kubebuilder:printcolumn:name="Repository",type="string",JSONPath=".spec.repository.url",priority=1
type GitSync struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which content is pushed where.
	// +required
	Spec GitSyncSpec `json:"spec"`

	// status says what was pushed; it is written by the controller.
	// +optional
	// +kubebuilder:default={"observedGeneration":-1}
	Status GitSyncStatus `json:"status,omitempty"`
}

// GitSyncList is a list of GitSync objects.
// +kubebuilder:object:root=true
type GitSyncList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GitSync `json:"items"`
}

// GetConditions returns the conditions of the status.
func (o *GitSync) GetConditions() []metav1.Condition { return o.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (o *GitSync) SetConditions(conditions []metav1.Condition) { o.Status.Conditions = conditions }

// GetStatus returns the common part of the object's own status, to be changed in place.
func (o *GitSync) GetStatus() *CommonStatus { return &o.Status.CommonStatus }

// GetSchedule returns when the object is reconciled.
func (o *GitSync) GetSchedule() Schedule { return o.Spec.Schedule }

// BaseBranch returns the branch that the content is built upon.
func (o *GitSync) BaseBranch() string {
	if branch := o.Spec.CommitTemplate.BaseBranch; branch != "" {
		return branch
	}
	return DefaultBaseBranch
}

// TargetBranch returns the branch that is pushed to.
func (o *GitSync) TargetBranch() string {
	switch branch := o.Spec.CommitTemplate.TargetBranch; {
	case branch != "":
		return branch
	case o.Spec.AutomaticPullRequestCreation:
		return strings.Join([]string{"ocm", o.Namespace, o.Name}, "/")
	}
	return o.BaseBranch()
}

// PullRequestBase returns the branch that pull requests are for.
func (o *GitSync) PullRequestBase() string {
	if t := o.Spec.PullRequestTemplate; t != nil && t.Base != "" {
		return t.Base
	}
	return o.BaseBranch()
}
