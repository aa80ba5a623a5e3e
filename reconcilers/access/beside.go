package access

// Beside returns the repository of an archive with blobs that it lacks read from a destination: one that was made for who has them
// already leaves them out. Verifying it proves both together, before anything is copied. A registry is returned as it is: what it
// lacks is lost.
func (r *Repository) Beside(destination *Repository) *Repository {
	if destination == nil || !isArchive(r.URL()) {
		return r
	}
	both := *r
	both.Repository = r.Repository.Beside(destination.Repository)
	// What is remembered of the archive alone lacks what it lacks.
	both.key = r.key + " beside " + destination.key
	return &both
}
