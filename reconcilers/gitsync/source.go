package gitsync

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/remote"
	"github.com/ocm-operator/ocm-operator/git/tree"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// crossNamespaceFlag lets GitSyncs refer to objects in other namespaces.
const crossNamespaceFlag = "--git-cross-namespace-refs"

// resolveSource checks the spec as far as the API server can't, and finds the snapshot whose content is pushed.
func (c *controller) resolveSource(ctx context.Context, r *run) error {
	subPath, err := tree.CleanPath(r.obj.Spec.SubPath)
	if err != nil {
		return invalidSpec(fmt.Errorf("spec.subPath: %w", err))
	}
	r.subPath = subPath
	if r.location, err = remote.ParseURL(r.obj.Spec.Repository.URL); err != nil {
		return invalidSpec(fmt.Errorf("spec.repository.url: %w", err))
	}
	if err := checkBranches(r.obj); err != nil {
		return invalidSpec(err)
	}
	ref, err := c.sourceOf(ctx, r.obj)
	if err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	if err := c.allow(r.obj, ref); err != nil {
		return err
	}
	content, err := c.resolver.Snapshot(ctx, r.obj.Namespace, ref)
	if missing, ok := errors.AsType[*source.NotReadyError](err); ok && missing.Missing && missing.Ref.Kind != v1alpha1.SnapshotKind {
		err = fmt.Errorf("%w: create it, or correct spec.sourceRef", err)
	}
	if err != nil {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, err)
	}
	if named := r.obj.Spec.SnapshotRef; named != nil && content.SnapshotName != named.Name {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, &source.NotReadyError{
			Ref: source.Ref{Kind: v1alpha1.SnapshotKind, Namespace: r.obj.Namespace, Name: named.Name}, Why: fmt.Sprintf("is no longer what %s writes", content.Ref),
		})
	}
	r.content = content
	return nil
}

func invalidSpec(err error) error { return lifecycle.Stall(v1alpha1.InvalidSpecReason, err) }

// allow refuses references into other namespaces: whoever may create a GitSync could take content out of a namespace that is closed to
// them, into a repository of their own.
func (c *controller) allow(obj *v1alpha1.GitSync, ref v1alpha1.ObjectReference) error {
	to := source.RefTo(ref, obj.Namespace)
	if to.Kind == v1alpha1.ComponentVersionKind {
		return invalidSpec(errors.New("spec.sourceRef is a ComponentVersion, which has no content of its own: refer to a Resource, a Localization or a Configuration"))
	}
	if to.Namespace == obj.Namespace || c.crossNamespaceRefs || c.resolver.NoCrossNamespaceRefs {
		return source.Verdict(v1alpha1.SourceRefNotReadyReason, c.resolver.Allow(obj.Namespace, to))
	}
	return lifecycle.Stall(v1alpha1.AccessDeniedReason, fmt.Errorf(
		"spec.sourceRef leads to %s, and content of another namespace is not pushed: create the GitSync there, or start the operator with %s", to, crossNamespaceFlag))
}

// sourceOf returns the object that writes the snapshot.
func (c *controller) sourceOf(ctx context.Context, obj *v1alpha1.GitSync) (v1alpha1.ObjectReference, error) {
	if ref := obj.Spec.SourceRef; ref != nil {
		return *ref, nil
	}
	if obj.Spec.SnapshotRef == nil {
		return v1alpha1.ObjectReference{}, invalidSpec(errors.New("nothing says what is pushed: set spec.sourceRef or spec.snapshotRef"))
	}
	to := source.Ref{Kind: v1alpha1.SnapshotKind, Namespace: obj.Namespace, Name: obj.Spec.SnapshotRef.Name}
	snapshot := &v1alpha1.Snapshot{}
	err := c.reader.Get(ctx, client.ObjectKey{Namespace: to.Namespace, Name: to.Name}, snapshot)
	if apierrors.IsNotFound(err) {
		return v1alpha1.ObjectReference{}, &source.NotReadyError{Ref: to, Why: "does not exist", Missing: true}
	}
	if err != nil {
		return v1alpha1.ObjectReference{}, fmt.Errorf("get %s: %w", to, err)
	}
	for _, owner := range snapshot.GetOwnerReferences() {
		group, err := schema.ParseGroupVersion(owner.APIVersion)
		if err == nil && group.Group == v1alpha1.GroupVersion.Group {
			return v1alpha1.ObjectReference{Kind: owner.Kind, Namespace: obj.Namespace, Name: owner.Name}, nil
		}
	}
	return v1alpha1.ObjectReference{}, invalidSpec(fmt.Errorf(
		"%s belongs to no Resource, Localization or Configuration, one of which has to vouch for its content: refer to another one in spec.snapshotRef", to))
}

// maxBranch is what the status has room for.
const maxBranch = 255

// checkBranches refuses names of branches that git refuses.
func checkBranches(obj *v1alpha1.GitSync) error {
	for _, field := range []struct{ name, branch string }{
		{"spec.commitTemplate.baseBranch", obj.BaseBranch()},
		{"spec.commitTemplate.targetBranch", obj.TargetBranch()},
		{"spec.pullRequestTemplate.base", obj.PullRequestBase()},
	} {
		if why := badBranch(field.branch); why != "" {
			return fmt.Errorf("%s: %q is no name of a branch: %s", field.name, choice.Clip(field.branch, maxBranch), why)
		}
	}
	if obj.Spec.AutomaticPullRequestCreation && obj.TargetBranch() == obj.PullRequestBase() {
		return fmt.Errorf("branch %s would be proposed to itself: set spec.commitTemplate.targetBranch or spec.pullRequestTemplate.base to another branch", obj.TargetBranch())
	}
	if obj.Spec.AutomaticPullRequestCreation && obj.TargetBranch() == obj.BaseBranch() {
		return fmt.Errorf("branch %s would be built upon itself and proposed: set spec.commitTemplate.targetBranch to another branch", obj.TargetBranch())
	}
	return nil
}
