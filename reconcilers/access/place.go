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

// Exclusive names what only one transfer at a time can write to: a transport archive, however its address is written by whom. It is
// empty for everything else.
func (r *Repository) Exclusive() string {
	if r.archive == nil {
		return ""
	}
	return archiveScheme + r.archive.name
}
