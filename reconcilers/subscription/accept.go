package subscription

import (
	"context"
	"fmt"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// accept takes a version where nothing is copied. One that has another content than when it was accepted first is left alone, as it
// would be at a destination.
func (c *controller) accept(ctx context.Context, r *run, w wanted) error {
	r.obj.Status.LastAttemptedVersion = w.version
	component, err := c.content(ctx, r, w.candidate)
	if err != nil {
		return err
	}
	known, before := r.entry(w.version)
	if before && known.SourceDigest != w.manifest.String() && r.obj.Spec.OverwritePolicy != v1alpha1.OverwriteAllow && component != known.ComponentDigest {
		err := fmt.Errorf("version %s of %s has changed: its manifest is %s now, and was %s when it was accepted; publish a new version, or set spec.overwritePolicy to Allow",
			w.version, r.component, w.manifest, known.SourceDigest)
		r.memory.fail(w.candidate, lifecycle.Fail(v1alpha1.MutatedVersionReason, err))
		if r.memory.tells(w.version, err.Error()) {
			r.fails(w.version, v1alpha1.MutatedVersionReason, err)
		}
		return nil
	}
	done := replicated{candidate: w.candidate, local: w.manifest, spec: r.digest, component: component}
	if w.proof != nil {
		done.signatures = w.proof.Signatures
	}
	r.keep(done, c.now())
	r.memory.bring(w.candidate)
	if !before || known.SourceDigest != w.manifest.String() {
		r.memory.news = append(r.memory.news, news{version: w.version})
	}
	return nil
}

// content returns the digest of what signatures of a version cover. One that can't be normalised has none, and is its manifest.
func (c *controller) content(ctx context.Context, r *run, found candidate) (string, error) {
	version, err := r.source.Pinned(ctx, r.node(found))
	if err != nil {
		return "", unread(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("read version %s of %s: %w", found.version, r.component, err))
	}
	component, err := access.ComponentDigest(version)
	if err != nil {
		return found.manifest.String(), nil //nolint:nilerr // see above
	}
	return component, nil
}
