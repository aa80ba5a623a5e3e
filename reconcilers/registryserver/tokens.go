package registryserver

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// The permission to read a repository is asked of the content of its Snapshot, which no object has and which no request of the
// API server leads to: whoever may look at Snapshots may not have the content of all of them, where values of Secrets may be.
const (
	snapshotResource   = "snapshots"
	contentSubresource = "content"
)

// reviewer asks the API server who a token stands for, and whether they may read the content of Snapshots.
type reviewer struct {
	client client.Client
	log    logr.Logger
	// unanswered is set while the API server gives no answers.
	unanswered atomic.Bool
}

// identity is who a token stands for.
type identity struct{ authenticationv1.UserInfo }

// Subject is the name for the access log.
func (i identity) Subject() string { return i.Username }

// +kubebuilder:rbac:roleName=token-auth,groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:roleName=token-auth,groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Identify implements auth.Reviewer. A token without an audience that the server confirms is one for the server itself, and
// none of the registry's business.
func (r *reviewer) Identify(ctx context.Context, token, audience string) (auth.Identity, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}}}
	if err := r.tell(r.client.Create(ctx, review)); err != nil {
		return nil, fmt.Errorf("review a token: %w", err)
	}
	status := review.Status
	if !status.Authenticated || status.User.Username == "" || !slices.Contains(status.Audiences, audience) {
		return nil, auth.ErrUnauthenticated
	}
	return identity{status.User}, nil
}

// Allowed implements auth.Reviewer.
func (r *reviewer) Allowed(ctx context.Context, who auth.Identity, repository string) (bool, error) {
	user, known := who.(identity)
	attributes, exists := attributesOf(repository)
	if !known || !exists {
		return false, nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extraOf(user.UserInfo), ResourceAttributes: attributes,
	}}
	if err := r.tell(r.client.Create(ctx, review)); err != nil {
		return false, fmt.Errorf("review access to %s: %w", repository, err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}

// attributesOf returns what has to be allowed for a repository: to get the content of its Snapshot, whose namespace is the first segment of
// the name and whose name is the second if there is no third. For all repositories it is to list the Snapshots of all
// namespaces, which are meant when a review names none; a name that has no namespace must therefore not lead to a review.
func attributesOf(repository string) (*authorizationv1.ResourceAttributes, bool) {
	attributes := &authorizationv1.ResourceAttributes{
		Group: v1alpha1.GroupVersion.Group, Version: v1alpha1.GroupVersion.Version, Resource: snapshotResource, Verb: "list",
	}
	if repository == "" {
		return attributes, true
	}
	namespace, name, _ := strings.Cut(repository, "/")
	if len(validation.IsDNS1123Label(namespace)) > 0 {
		return nil, false
	}
	attributes.Verb, attributes.Subresource, attributes.Namespace = "get", contentSubresource, namespace
	if len(validation.IsDNS1123Subdomain(name)) == 0 {
		attributes.Name = name
	}
	return attributes, true
}

func extraOf(user authenticationv1.UserInfo) map[string]authorizationv1.ExtraValue {
	extra := make(map[string]authorizationv1.ExtraValue, len(user.Extra))
	for key, value := range maps.All(user.Extra) {
		extra[key] = authorizationv1.ExtraValue(value)
	}
	return extra
}

// tell says once that the API server gives no answers, and once that it does again: who pulls asks many times a second.
func (r *reviewer) tell(err error) error {
	switch {
	case err != nil && !r.unanswered.Swap(true):
		r.log.Error(err, "Tokens of those who read from the registry can't be checked: the operator must be allowed to create "+
			"tokenreviews and subjectaccessreviews, and the API server has to answer")
	case err == nil && r.unanswered.Swap(false):
		r.log.Info("Tokens of those who read from the registry are checked again")
	}
	return err
}
