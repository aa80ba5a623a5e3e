// Package configuration reconciles Configurations: it writes the values of an environment into the files of a source, by
// the rules that came with the component.
package configuration

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/configure"
)

// +kubebuilder:rbac:roleName=Configuration,groups=delivery.ocm.software,resources=configurations,verbs=get;list;watch
// +kubebuilder:rbac:roleName=Configuration,groups=delivery.ocm.software,resources=configurations/status,verbs=patch

// Plugin returns the feature.
func Plugin(o mutation.Options) plugin.Plugin {
	return mutation.Plugin(mutation.Kind[*v1alpha1.Configuration]{
		Name: v1alpha1.ConfigurationKind,
		New:  func() *v1alpha1.Configuration { return &v1alpha1.Configuration{} },
		List: func() client.ObjectList { return &v1alpha1.ConfigurationList{} },
		Parts: func(obj *v1alpha1.Configuration) (*v1alpha1.MutationSpec, *v1alpha1.MutationStatus) {
			return &obj.Spec, &obj.Status
		},
		DigestAnnotation: v1alpha1.ConfigurationDigestAnnotation,
		Plan:             plan,
	}, o)
}

// plan configures with the defaults of the ConfigData and the values of the object.
func plan(ctx context.Context, r *mutation.Run) ([]transform.Substitution, error) {
	rules, err := r.Rules()
	if err != nil {
		return nil, err
	}
	return configure.Substitutions(ctx, rules, r.Values)
}
