package ocm

import (
	"errors"

	"github.com/ocm-operator/ocm-operator/ocm/ctf"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// OpenCTF returns the repository in a directory or an archive (tar or
// compressed tar) in the common transport format. Resources that are elsewhere
// are read from there, with the given options. The caller must close the
// repository; an archive that was changed is written then.
func OpenCTF(path string, o Options) (*Repository, error) {
	store, err := ctf.Open(path, o.ctf())
	if err != nil {
		return nil, err
	}
	return o.inArchive(store)
}

// CreateCTF is like OpenCTF, but makes an empty directory if there is nothing,
// or an archive if the path ends in .tar, .tgz or .tar.gz.
func CreateCTF(path string, o Options) (*Repository, error) {
	store, err := ctf.Create(path, o.ctf())
	if err != nil {
		return nil, err
	}
	return o.inArchive(store)
}

// InCTF returns the repository in a store, which closing it closes.
func InCTF(store *ctf.Store, o Options) (*Repository, error) { return o.inArchive(store) }

func (o Options) ctf() ctf.Options {
	return ctf.Options{ManifestBytes: o.Limits.ManifestBytes, Entries: o.Limits.ArchiveEntries, ArchiveBytes: o.Limits.ArchiveBytes, TempDir: o.TempDir}
}

func (o Options) inArchive(store *ctf.Store) (*Repository, error) {
	// Archives name repositories in one way only.
	o.NameMapping = URLPath
	if err := o.complete(); err != nil {
		return nil, errors.Join(err, store.Discard())
	}
	return o.repository(&transportArchive{store: store}, o.client("")), nil
}

// isMissingArchive tells whether there is no archive at all, and not just nothing
// of a component in it.
func isMissingArchive(err error) bool {
	_, ok := errors.AsType[*ctf.MissingError](err)
	return ok
}

// transportArchive is a place in a directory or an archive.
type transportArchive struct {
	store *ctf.Store
}

func (a *transportArchive) URL() string { return a.store.Path() }

func (a *transportArchive) Repository(path string) (oci.Storage, error) {
	return a.store.Repository(path)
}

func (a *transportArchive) Close() error { return a.store.Close() }
