package componentversion

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
)

// maxAccepted bounds how many versions are remembered with their digests.
const maxAccepted = 32

// maxNamed bounds a foreign name in a message.
const maxNamed = 128

// permitted leaves out the versions that are lower than spec.version.downgradePolicy allows.
func (r *run) permitted(matching []string) ([]string, error) {
	rule := choice.Rule{Policy: r.obj.Spec.Version.DowngradePolicy, Current: r.current(), Highest: r.highest()}
	if kept := rule.Permitted(matching); len(kept) > 0 {
		return kept, nil
	}
	told := fmt.Sprintf("the newest version of %s that satisfies %q is %s, which is lower than %s, the highest one that was in use",
		r.obj.Spec.Component, r.obj.Spec.Version.Semver, matching[0], rule.Floor(matching))
	return nil, lifecycle.WithEvent(told, lifecycle.Fail(v1alpha1.DowngradeDeniedReason, fmt.Errorf(
		"%s: change spec.version.semver, or set spec.version.downgradePolicy to Deny or Allow to go back", told)))
}

// highest is the highest version of the component that was in use.
func (r *run) highest() string {
	if !r.sameComponent() {
		return ""
	}
	return choice.Highest(r.obj.Status.HighestVersion, r.obj.Status.ReconciledVersion)
}

// guard refuses a version that is not what it was when it was used first.
func (c *controller) guard(ctx context.Context, r *run) error {
	before, known := r.accepted(r.version)
	if !known || before.ManifestDigest == r.manifest.String() || r.obj.Annotations[v1alpha1.AcceptDigestAnnotation] == r.manifest.String() {
		r.reportPassedOver()
		return nil
	}
	signed, err := r.sameSigned(ctx, before)
	if err != nil {
		return err
	}
	open := r.excluded()
	if !signed || len(open) > 0 {
		return r.mutated(before, signed, open)
	}
	r.reportPassedOver() // a signature or something that is no content has changed
	return nil
}

// sameSigned tells whether a version that was verified just now has what signatures cover in common with what it was.
func (r *run) sameSigned(ctx context.Context, before v1alpha1.AcceptedVersion) (bool, error) {
	if r.proof == nil || before.ComponentDigest == "" {
		return false, nil
	}
	version, err := r.repository.Pinned(ctx, r.node(r.chosen()))
	if err != nil {
		return false, access.Verdict(v1alpha1.ComponentVersionInvalidReason, err)
	}
	now, err := access.ComponentDigest(version)
	return err == nil && now == before.ComponentDigest, nil
}

// excluded names the resources of the version, and of all that it refers to, that can be exchanged without a trace in what is
// signed.
func (r *run) excluded() []string {
	if r.proof == nil {
		return nil
	}
	var names []string
	for _, u := range r.proof.Unprotected {
		if u.Why == verify.Excluded {
			names = append(names, fmt.Sprintf("%s of %s", choice.Clip(u.Resource.Name, maxNamed), choice.Clip(describe(u.Component, u.Version), maxNamed)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mutated is the verdict about a version that has changed. The event leaves out the command, which would run into what is
// appended to events.
func (r *run) mutated(before v1alpha1.AcceptedVersion, signed bool, open []string) error {
	told := fmt.Sprintf("version %s of %s has changed: its manifest is %s now (%s), and was %s when it was used first",
		r.version, r.obj.Spec.Component, r.manifest, r.proved(), before.ManifestDigest)
	if signed {
		told += "; what is signed is the same, but no signature covers " + choice.Enumerate(open)
	}
	return lifecycle.WithEvent(told, lifecycle.Fail(v1alpha1.MutatedVersionReason, fmt.Errorf(
		"%s; a published version must stay what it is. If what it is now is right, accept it: kubectl annotate --overwrite -n %s componentversion/%s %s=%s",
		told, r.obj.Namespace, r.obj.Name, v1alpha1.AcceptDigestAnnotation, r.manifest)))
}

// proved says what is known of the chosen version.
func (r *run) proved() string {
	if len(r.obj.Spec.Verify) == 0 {
		return "nothing proves it: spec.verify is not set"
	}
	return "its signatures hold"
}

// accepted returns the digests that a version had when it was used first. They belong to the component and the repository.
// The version in use counts even if nobody took a note of it, unless its status is that of a controller that came before and
// knew no digests: then nothing is known.
func (r *run) accepted(version string) (v1alpha1.AcceptedVersion, bool) {
	current := r.current()
	if current == "" {
		return v1alpha1.AcceptedVersion{}, false
	}
	for _, known := range r.obj.Status.AcceptedVersions {
		if known.Version == version {
			return known, true
		}
	}
	used := r.inUse().manifest.String()
	return v1alpha1.AcceptedVersion{Version: version, ManifestDigest: used}, version == current && used != ""
}

// remember returns the versions that were used, the latest one last, with the one that is used now.
func (r *run) remember(used v1alpha1.AcceptedVersion) []v1alpha1.AcceptedVersion {
	var all []v1alpha1.AcceptedVersion
	if current := r.current(); current != "" {
		all = slices.Clone(r.obj.Status.AcceptedVersions)
		if inUse, known := r.accepted(current); known && !slices.Contains(all, inUse) {
			all = append(all, inUse)
		}
	}
	known := func(a v1alpha1.AcceptedVersion) bool { return a.Version == used.Version }
	if i := slices.IndexFunc(all, known); i >= 0 && all[i].ManifestDigest == used.ManifestDigest {
		used.ComponentDigest = cmp.Or(all[i].ComponentDigest, used.ComponentDigest)
	}
	all = append(slices.DeleteFunc(all, known), used)
	return all[max(0, len(all)-maxAccepted):]
}
