package access

import (
	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// Where repositories stand in a spec.
const (
	repositoryField  = "spec.repository"
	destinationField = "spec.destination"
)

// Where an entry of spec.verify names the Secret of a public key.
const (
	publicKeyField = "publicKey.secretRef"
	signatureField = "signature.key"
)

// User is the object that a repository is opened for: what it names is read in its namespace, and messages name it.
type User struct {
	// Kind, Namespace and Name are the object.
	Kind, Namespace, Name string
	// ServiceAccountName is the ServiceAccount whose pull secrets are used, if it is set.
	ServiceAccountName string
	// Verify are the signatures that versions must carry.
	Verify []v1alpha1.Signature
	// keyFields says for each signature where the object names the Secret of its key; it is empty where that is the usual one.
	keyFields []string
}

// ComponentVersionUser returns the user that a ComponentVersion is.
func ComponentVersionUser(cv *v1alpha1.ComponentVersion) User {
	return User{
		Kind: v1alpha1.ComponentVersionKind, Namespace: cv.Namespace, Name: cv.Name,
		ServiceAccountName: cv.Spec.ServiceAccountName, Verify: cv.Spec.Verify,
	}
}

// SubscriptionUser returns the user that a ComponentSubscription is.
func SubscriptionUser(sub *v1alpha1.ComponentSubscription) User {
	user := User{
		Kind: v1alpha1.ComponentSubscriptionKind, Namespace: sub.Namespace, Name: sub.Name,
		ServiceAccountName: sub.Spec.ServiceAccountName, Verify: sub.Spec.Signatures(), keyFields: make([]string, len(sub.Spec.Verify)),
	}
	for i, wanted := range sub.Spec.Verify {
		if wanted.Signature != nil {
			user.keyFields[i] = signatureField
		}
	}
	return user
}

// keyField returns where the object names the Secret of the key of a signature.
func (u User) keyField(signature int) string {
	if signature < len(u.keyFields) && u.keyFields[signature] != "" {
		return u.keyFields[signature]
	}
	return publicKeyField
}

// References are the objects whose change can matter to a user of these repositories, of which some may be nil: every Secret and
// ServiceAccount that its spec names. Which Secrets a ServiceAccount pulls with is not in the spec.
func (u User) References(repositories ...*v1alpha1.Repository) []source.Ref {
	var names []string
	for _, repository := range repositories {
		if repository != nil {
			names = append(names, repository.Secrets()...)
		}
	}
	for _, signature := range u.Verify {
		if signature.PublicKey != nil && signature.PublicKey.SecretRef != nil {
			names = append(names, signature.PublicKey.SecretRef.Name)
		}
		if signature.Certificate != nil {
			names = append(names, signature.Certificate.RootsSecretRef.Name)
		}
	}
	var refs []source.Ref
	for _, name := range names {
		refs = append(refs, source.Ref{Kind: source.SecretKind, Namespace: u.Namespace, Name: name})
	}
	if name := u.ServiceAccountName; name != "" {
		refs = append(refs, source.Ref{Kind: source.ServiceAccountKind, Namespace: u.Namespace, Name: name})
	}
	return refs
}
