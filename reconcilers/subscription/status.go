package subscription

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/versions"
	"github.com/ocm-operator/ocm-operator/reconcilers/choice"
)

// Bounds of what the API takes.
const (
	maxReplicated = 2000
	maxHistory    = 10
	maxFailure    = 4096
)

// entry returns what the status knows of a version that was replicated to where the spec wants it.
func (r *run) entry(version string) (v1alpha1.ReplicatedVersion, bool) {
	status := &r.obj.Status
	if status.Component != r.component || status.ReplicatedRepositoryURL != r.target() {
		return v1alpha1.ReplicatedVersion{}, false
	}
	if r.index == nil {
		r.index = make(map[string]int, len(status.ReplicatedVersions))
		for i, known := range status.ReplicatedVersions {
			r.index[known.Version] = i
		}
	}
	i, ok := r.index[version]
	if !ok {
		return v1alpha1.ReplicatedVersion{}, false
	}
	return status.ReplicatedVersions[i], true
}

// done tells whether a candidate was replicated as the spec wants it now, with the keys of now.
func (r *run) done(found candidate) bool {
	known, ok := r.entry(found.version)
	return ok && known.SourceDigest == found.manifest.String() && r.obj.Status.SpecDigest == r.digest
}

// proven tells whether the status holds the proof of a candidate.
func (r *run) proven(found candidate, now time.Time) bool {
	status := r.obj.Status
	return status.Verified && status.ReplicatedVersion == found.version && !choice.Expired(status.Signatures, now)
}

// nextExpiry is when the first certificate isn't valid any more that the proof of the version in use relies on.
func nextExpiry(obj *v1alpha1.ComponentSubscription) time.Time {
	return choice.Expiry(obj.Status.Signatures)
}

// replicated is a version that was replicated, with what is known of it.
type replicated struct {
	candidate

	// local is the digest of its manifest at the destination.
	local digest.Digest
	// spec is the digest of what it was replicated for.
	spec string
	// component is the digest of what signatures of it cover, where that has to be known.
	component string
	// signatures are those that were checked.
	signatures []signing.Checked
}

// keep writes a version that was replicated into the status. What the status says of another component, of another place, or of
// versions that were proven with other keys, goes: it is found again when it is wanted.
func (r *run) keep(done replicated, now time.Time) {
	status := &r.obj.Status
	elsewhere := status.Component != r.component || status.ReplicatedRepositoryURL != r.target()
	if elsewhere || status.SpecDigest != done.spec {
		status.ReplicatedVersions, r.index, status.SpecDigest = nil, nil, done.spec
	}
	if status.Component != r.component {
		status.HighestVersion = ""
	}
	known, before := r.entry(done.version)
	entry := v1alpha1.ReplicatedVersion{
		Version: done.version, SourceDigest: done.manifest.String(), Digest: done.local.String(), ComponentDigest: done.component,
	}
	status.ReplicatedVersions, r.index = insert(status.ReplicatedVersions, entry, r.wants), nil
	switch {
	case before && known.SourceDigest == entry.SourceDigest && status.ReplicatedVersion == done.version:
		status.ReplicatedDigest = entry.Digest // repaired, it is as proven as it was
	case elsewhere, status.ReplicatedVersion == "", !lower(done.version, status.ReplicatedVersion):
		r.use(entry, done.signatures, now)
	}
}

// wants tells whether a version is, or may be, among those that the spec wants.
func (r *run) wants(version string) bool {
	all := r.memory.matching
	return slices.Contains(all[:min(len(all), r.obj.Spec.GetLimit()+choice.MaxTried)], version)
}

// use makes a version the one that the status is about.
func (r *run) use(entry v1alpha1.ReplicatedVersion, checked []signing.Checked, now time.Time) {
	status := &r.obj.Status
	before := status.Signatures
	if status.ReplicatedVersion != entry.Version || status.ReplicatedDigest != entry.Digest {
		before = nil
	}
	status.Component, status.SourceRepositoryURL, status.ReplicatedRepositoryURL = r.component, r.obj.Spec.Source.URL, r.target()
	status.ReplicatedVersion, status.LastAppliedVersion, status.ReplicatedDigest = entry.Version, entry.Version, entry.Digest
	status.Verified, status.Signatures = len(checked) > 0, choice.Signatures(checked, before, now)
	status.HighestVersion = choice.Highest(status.HighestVersion, entry.Version)
}

// insert puts an entry among others, which are sorted, the newest first, and bounded: the oldest one goes that nobody wants, or else
// the oldest one.
func insert(all []v1alpha1.ReplicatedVersion, entry v1alpha1.ReplicatedVersion, wants func(version string) bool) []v1alpha1.ReplicatedVersion {
	out := slices.DeleteFunc(slices.Clone(all), func(known v1alpha1.ReplicatedVersion) bool { return known.Version == entry.Version })
	for len(out) >= maxReplicated {
		last := len(out) - 1
		for last > 0 && wants(out[last].Version) {
			last--
		}
		if last == 0 && wants(out[0].Version) {
			last = len(out) - 1
		}
		out = slices.Delete(out, last, last+1)
	}
	at, _ := slices.BinarySearchFunc(out, entry, func(a, b v1alpha1.ReplicatedVersion) int { return newestFirst(a.Version, b.Version) })
	return slices.Insert(out, at, entry)
}

// newestFirst orders versions.
func newestFirst(a, b string) int {
	switch {
	case lower(b, a):
		return -1
	case lower(a, b):
		return 1
	}
	return cmp.Compare(a, b)
}

// lower tells whether a version is lower than another one, which may be none.
func lower(version, other string) bool { return other != "" && versions.Lower(version, other) }

// remember puts a replication that ended first in the history. It returns false for a failure that is known.
func (r *run) remember(ended v1alpha1.Replication) bool {
	status := &r.obj.Status
	if ended.Result == v1alpha1.ReplicationFailed {
		// A failure that repeats itself would push everything else out.
		of := func(known v1alpha1.Replication) bool { return known.Version == ended.Version }
		i := slices.IndexFunc(status.History, of)
		repeated := i >= 0 && status.History[i].Result == ended.Result && status.History[i].Message == ended.Message
		if !r.memory.tells(ended.Version, ended.Message) || repeated {
			return false
		}
	}
	status.History = slices.Insert(status.History, 0, ended)
	status.History = status.History[:min(len(status.History), maxHistory)]
	return true
}

// fails remembers what failed last. One that repeats itself keeps its time.
func (r *run) fails(version, reason string, err error) {
	failure := &v1alpha1.ReplicationFailure{Version: version, Reason: reason, Message: choice.Clip(err.Error(), maxFailure)}
	if last := r.obj.Status.LastFailure; last != nil && last.Version == version && last.Reason == reason && last.Message == failure.Message {
		return
	}
	failure.Time = metav1.NewTime(time.Now()).Rfc3339Copy()
	r.obj.Status.LastFailure = failure
}

// halt ends what is done for an object that is suspended, deleted or gone. Its status says no longer that something goes on.
func (c *controller) halt(obj *v1alpha1.ComponentSubscription) {
	c.pool.Drop(ownerOf(obj))
	known := c.memories.forget(obj)
	if obj.UID == "" || known.uid != obj.UID {
		known = &memory{}
	}
	known.resume(obj)
	if known.attempt == nil && obj.Status.Progress == nil || obj.UID == "" {
		return
	}
	obj.Status.Progress = nil
	conditions.Delete(obj, meta.ReconcilingCondition)
	if conditions.IsUnknown(obj, meta.ReadyCondition) {
		conditions.MarkFalse(obj, meta.ReadyCondition, v1alpha1.SuspendedReason, "%s", fmt.Sprintf(
			"the replication of version %s was stopped, as spec.suspend says; it goes on where it was when that is false", obj.Status.LastAttemptedVersion))
	}
}
