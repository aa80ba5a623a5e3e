// Package localization reconciles Localizations: it writes into the files of a source where the images of a component
// version really are.
package localization

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/mutation"
	"github.com/ocm-operator/ocm-operator/reconcilers/plugin"
	"github.com/ocm-operator/ocm-operator/transform"
	"github.com/ocm-operator/ocm-operator/transform/configure"
	"github.com/ocm-operator/ocm-operator/transform/localize"
)

// +kubebuilder:rbac:roleName=Localization,groups=delivery.ocm.software,resources=localizations,verbs=get;list;watch
// +kubebuilder:rbac:roleName=Localization,groups=delivery.ocm.software,resources=localizations/status,verbs=patch

// Plugin returns the feature.
func Plugin(o mutation.Options) plugin.Plugin {
	return mutation.Plugin(mutation.Kind[*v1alpha1.Localization]{
		Name: v1alpha1.LocalizationKind,
		New:  func() *v1alpha1.Localization { return &v1alpha1.Localization{} },
		List: func() client.ObjectList { return &v1alpha1.LocalizationList{} },
		Parts: func(obj *v1alpha1.Localization) (*v1alpha1.MutationSpec, *v1alpha1.MutationStatus) {
			return &obj.Spec, &obj.Status
		},
		DigestAnnotation: v1alpha1.LocalizationDigestAnnotation,
		Plan:             plan,
	}, o)
}

// plan localizes. A Localization that has values configures instead, because manifests exist that rely on it.
func plan(ctx context.Context, r *mutation.Run) ([]transform.Substitution, error) {
	if r.HasValues() {
		rules, err := r.Rules()
		if err != nil {
			return nil, err
		}
		return configure.Substitutions(ctx, rules, r.Values)
	}
	if len(r.Config.Localization) == 0 {
		return nil, lifecycle.Fail(v1alpha1.InvalidConfigDataReason, fmt.Errorf("the ConfigData has no localization rules: add some, or leave the Localization out"))
	}
	return localize.Substitutions(ctx, r.Config.Localization, r.Image, r.Mapper())
}
