package componentversion

import (
	"cmp"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
)

// A version is found in one place and read from another where there is a destination: as the copy has other accesses, its
// manifest has another digest. What was accepted, guarded and passed over goes by the digest that was found; what is pinned,
// proven and read goes by the digest that it is read by. Without a destination the two are the same.

// foundIn is the repository that the version of a status was found in.
func foundIn(status *v1alpha1.ComponentVersionStatus) string {
	return cmp.Or(status.SourceRepositoryURL, status.ReplicatedRepositoryURL)
}

// foundAs is the digest that the version of a status had where it was found.
func foundAs(status *v1alpha1.ComponentVersionStatus) digest.Digest {
	return digest.Digest(cmp.Or(status.SourceManifestDigest, status.ManifestDigest))
}

// current is the version in use. It counts only for the component and the repository that it was found in: where it is read from
// doesn't change what was accepted.
func (r *run) current() string {
	if !r.sameComponent() || foundIn(&r.obj.Status) != r.obj.Spec.Repository.URL {
		return ""
	}
	return r.obj.Status.ReconciledVersion
}

// sameComponent tells whether the status is about the component that is wanted.
func (r *run) sameComponent() bool {
	descriptor := r.obj.Status.ComponentDescriptor
	return descriptor != nil && descriptor.Name == r.obj.Spec.Component
}

// inUse is the version in use as it was found.
func (r *run) inUse() candidate { return candidate{r.current(), foundAs(&r.obj.Status)} }

// isInUse tells whether a candidate is the version in use, unchanged where it was found.
func (r *run) isInUse(found candidate) bool {
	return r.current() != "" && found == r.inUse()
}

// held is the version in use as it is read; it is empty if that was in another place than the spec wants.
func (r *run) held() candidate {
	if r.current() == "" || r.obj.Status.ReplicatedRepositoryURL != r.home() {
		return candidate{}
	}
	return candidate{r.current(), digest.Digest(r.obj.Status.ManifestDigest)}
}

// isHeld tells whether what will be read is the version in use, in the same place and pinned to the same manifest.
func (r *run) isHeld(read candidate) bool { return read.version != "" && read == r.held() }

// home is the URL of the repository that versions are read from.
func (r *run) home() string {
	if destination := r.obj.Spec.Destination; destination != nil {
		return destination.URL
	}
	return r.obj.Spec.Repository.URL
}

// from is the repository that versions are read from; nil if it could not be opened.
func (r *run) from() *access.Repository {
	if r.obj.Spec.Destination != nil {
		return r.destination
	}
	return r.repository
}

// chosen is the version as it was found, and read the same as it is read from now on.
func (r *run) chosen() candidate { return candidate{r.version, r.manifest} }

func (r *run) read() candidate { return candidate{r.version, r.local} }
