package subscription

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// accept takes a version where nothing is copied. One that has another content than when it was accepted first is left alone, as it
// would be at a destination.
func (c *controller) accept(ctx context.Context, r *run, w wanted) error {
	r.obj.Status.LastAttemptedVersion = w.version
	known, before := r.entry(w.version)
	if before && known.SourceDigest != w.manifest.String() && r.obj.Spec.OverwritePolicy != v1alpha1.OverwriteAllow {
		same, err := c.sameContent(ctx, r, candidate{w.version, digest.Digest(known.SourceDigest)}, w.candidate)
		if err != nil {
			return err
		}
		if !same {
			err := fmt.Errorf("version %s of %s has changed: its manifest is %s now, and was %s when it was accepted; publish a new version, or set spec.overwritePolicy to Allow",
				w.version, r.component, w.manifest, known.SourceDigest)
			r.memory.fail(w.candidate, lifecycle.Fail(v1alpha1.MutatedVersionReason, err))
			r.fails(w.version, v1alpha1.MutatedVersionReason, err)
			return nil
		}
	}
	done := replicated{candidate: w.candidate, local: w.manifest, spec: r.digest}
	if w.proof != nil {
		done.signatures = w.proof.Signatures
	}
	r.keep(done, c.now())
	if !before || known.SourceDigest != w.manifest.String() {
		r.events.Normal(r.obj, meta.SucceededReason, fmt.Sprintf("Accepted version %s of %s", w.version, r.source.URL()))
	}
	return nil
}

// sameContent tells whether two manifests of a version have what signatures cover in common. A manifest that is gone has not.
func (c *controller) sameContent(ctx context.Context, r *run, before, now candidate) (bool, error) {
	var digests [2]string
	for i, one := range []candidate{before, now} {
		version, err := r.source.Pinned(ctx, r.node(one))
		if isGone(err) {
			return false, nil
		}
		if err != nil {
			return false, unread(v1alpha1.PullingLatestVersionFailedReason, fmt.Errorf("read version %s of %s: %w", one.version, r.component, err))
		}
		if digests[i], err = access.ComponentDigest(version); err != nil {
			return false, nil //nolint:nilerr // what has no digest is the same as nothing
		}
	}
	return digests[0] == digests[1], nil
}
