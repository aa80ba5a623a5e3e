package store

import (
	"github.com/opencontainers/go-digest"
	"go.etcd.io/bbolt"
)

// ReadManifestAt reads a part of a manifest that Manifest has returned, so that whoever sends it to a slow client need not keep
// all of it in memory meanwhile. It neither proves the bytes again nor keeps the manifest from being collected. Less is read
// only at the end. The error matches ErrNotFound when the manifest is gone.
func (r *Repository) ReadManifestAt(d digest.Digest, p []byte, off int64) (int, error) {
	n := 0
	err := r.store.view(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, r.name)
		if !found {
			return r.notFound(d.String())
		}
		rec, err := repo.record(d)
		if err != nil {
			return err
		}
		stored := body(tx, d)
		if rec == nil || stored == nil {
			return r.notFound(d.String())
		}
		if off >= 0 && off < int64(len(stored)) {
			n = copy(p, stored[off:])
		}
		return nil
	})
	return n, err
}
