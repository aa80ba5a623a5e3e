package access

import "github.com/ocm-operator/ocm-operator/ocm/oci"

// Host is the host of the repository with its port; it is empty for an archive.
func (r *Repository) Host() string {
	location, err := oci.ParseURL(r.URL())
	if err != nil || isArchive(r.URL()) {
		return ""
	}
	return location.Host
}

// Fingerprint is a digest of where the repository is and how it is accessed. It changes with the address, the credentials and
// the connection, and not with what is stored there.
func (r *Repository) Fingerprint() string { return digestOf(r.key) }
