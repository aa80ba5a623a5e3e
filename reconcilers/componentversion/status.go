package componentversion

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
)

// Bounds of what the API takes.
const (
	maxUnprotected = 256
	maxName        = 1024
	maxAttributes  = 64
)

// Bounds of what foreign names may take of the status. An object may have about 1.5 MiB, of which the tree needs the most.
const (
	maxIdentityBytes    = 4 << 10
	maxUnprotectedBytes = 64 << 10
)

// record writes the version that is used now into the status, with everything that was found out about it.
func (r *run) record(expand bool) {
	status := &r.obj.Status
	used := v1alpha1.AcceptedVersion{Version: r.version, ManifestDigest: r.manifest.String()}
	if computed, err := access.ComponentDigest(r.tree.root.version); err == nil {
		used.ComponentDigest = computed // without it, whatever changes is a change
	}
	r.note(used)
	if r.confirmed != nil {
		r.recordProof(r.read(), r.confirmed, time.Now())
	}
	reference := r.tree.reference(r.obj.Namespace, expand)
	status.ComponentDescriptor = &reference
	status.ReconciledVersion = r.version
	status.ManifestDigest, status.ReplicatedRepositoryURL = r.local.String(), r.home()
	status.SourceManifestDigest, status.SourceRepositoryURL = "", ""
	if r.obj.Spec.Destination != nil {
		status.SourceManifestDigest, status.SourceRepositoryURL = r.manifest.String(), r.obj.Spec.Repository.URL
	}
}

// note remembers what a version is, and what it is used for. An object that was written by an older operator gets these notes
// once, though nothing else changes.
func (r *run) note(used v1alpha1.AcceptedVersion) {
	status := &r.obj.Status
	status.AcceptedVersions = r.remember(used)
	status.HighestVersion = choice.Highest(r.highest(), used.Version)
	status.SpecDigest = r.obj.Spec.Digest()
}

// recordProof writes into the status what was proven of a version that is used. The rest of the status may be about the version
// that was used before.
func (r *run) recordProof(used candidate, proven *verify.Proof, now time.Time) {
	status := &r.obj.Status
	proof := r.policy.Proof(used.manifest)
	if r.before.Proof != proof && status.Proof != proof {
		var names []string
		for _, signature := range proven.Signatures {
			names = append(names, signature.Name)
		}
		r.events.Normal(r.obj, meta.ProgressingReason, fmt.Sprintf("Verified version %s by signature %s", used.version, strings.Join(names, ", ")))
	}
	var before []v1alpha1.VerifiedSignature
	if r.isHeld(used) {
		before = r.before.Signatures
	}
	status.Verified, status.Proof = true, proof
	status.Signatures = choice.Signatures(proven.Signatures, before, now)
	status.UnprotectedResources, status.UnprotectedResourcesCount = unprotected(proven.Unprotected), count(proven.Unprotected)
}

// unprove says that nothing is proven about the version in use.
func unprove(status *v1alpha1.ComponentVersionStatus) {
	status.Verified, status.Proof, status.Signatures = false, "", nil
	status.UnprotectedResources, status.UnprotectedResourcesCount = nil, 0
}

// unprotected returns the resources that nothing protects as the status has them: each once, sorted, and no more than fit.
func unprotected(found []verify.Unprotected) []v1alpha1.UnprotectedResource {
	var out []v1alpha1.UnprotectedResource
	for _, u := range found {
		resource := v1alpha1.UnprotectedResource{
			Component: choice.Clip(u.Component, maxName), Version: choice.Clip(u.Version, maxName),
			Name: choice.Clip(u.Resource.Name, maxName), ResourceVersion: choice.Clip(u.Resource.Version, maxName),
			Reason: string(u.Why),
		}
		if identity := u.Resource.ExtraIdentity; len(identity) <= maxAttributes && sizeOf(identity) <= maxIdentityBytes {
			resource.ExtraIdentity = maps.Clone(identity)
		}
		out = append(out, resource)
	}
	slices.SortFunc(out, compareUnprotected)
	same := func(a, b v1alpha1.UnprotectedResource) bool { return compareUnprotected(a, b) == 0 }
	return fitting(slices.CompactFunc(out, same))
}

func count(found []verify.Unprotected) int32 { return int32(min(len(found), math.MaxInt32)) }

// fitting returns the first of the resources, as many as the status has room for.
func fitting(all []v1alpha1.UnprotectedResource) []v1alpha1.UnprotectedResource {
	all = all[:min(len(all), maxUnprotected)]
	left := maxUnprotectedBytes
	for i, u := range all {
		left -= len(u.Component) + len(u.Version) + len(u.Name) + len(u.ResourceVersion) + sizeOf(u.ExtraIdentity)
		if left < 0 {
			return all[:i]
		}
	}
	return all
}

func sizeOf(identity map[string]string) (size int) {
	for key, value := range identity {
		size += len(key) + len(value)
	}
	return size
}

func compareUnprotected(a, b v1alpha1.UnprotectedResource) int {
	return cmp.Or(
		cmp.Compare(a.Component, b.Component), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.ResourceVersion, b.ResourceVersion), cmp.Compare(fmt.Sprint(a.ExtraIdentity), fmt.Sprint(b.ExtraIdentity)),
		cmp.Compare(a.Reason, b.Reason),
	)
}
