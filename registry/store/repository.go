package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.etcd.io/bbolt"
)

// Repository is one repository of a store. It is a name to look things up under; it needs no
// creation and no closing.
type Repository struct {
	store *Store
	name  string
}

// Repository returns the repository of that name. It fails with a *NameError only.
func (s *Store) Repository(name string) (*Repository, error) {
	if !ValidName(name) {
		return nil, &NameError{Kind: "repository name", Value: name}
	}
	return &Repository{store: s, name: name}, nil
}

// Name returns the name of the repository.
func (r *Repository) Name() string { return r.name }

// OpenBlob opens a blob that is linked to the repository, and returns its size. The reader is an
// *os.File, so that a server may hand it to the kernel. Its bytes are compared with the digest the first time, and again
// whenever the file was changed; the error is ErrDamaged when they are others.
func (r *Repository) OpenBlob(ctx context.Context, dgst digest.Digest) (io.ReadSeekCloser, int64, error) {
	if err := r.checkLinked(ctx, dgst); err != nil {
		return nil, 0, err
	}
	f, size, err := r.store.blobs.known(dgst)
	if err == nil && f == nil {
		// One reads it all, and the others wait for that.
		defer r.store.locks.lock(blobKey(dgst))()
		f, size, err = r.store.blobs.sound(ctx, dgst)
	}
	if err != nil {
		return nil, 0, r.missing(dgst, err)
	}
	return f, size, nil
}

// StatBlob returns the size of a blob that is linked to the repository. Its lease begins anew:
// whoever is told that a blob is there will not push it. So the file is looked at as OpenBlob does.
func (r *Repository) StatBlob(ctx context.Context, dgst digest.Digest) (int64, error) {
	if _, err := ParseDigest(string(dgst)); err != nil {
		return 0, err
	}
	defer r.store.locks.lock(blobKey(dgst))()
	if err := r.checkLinked(ctx, dgst); err != nil {
		return 0, err
	}
	size, err := r.store.blobs.soundSize(ctx, dgst)
	if err != nil {
		return 0, r.missing(dgst, err)
	}
	r.store.leases.renew(r.name, blobKey(dgst))
	return size, nil
}

// MountBlob links a blob of another repository to this one. Whether the caller may read the
// other one is the caller's to know. The error is ErrDamaged when the blob is not what it was.
func (r *Repository) MountBlob(ctx context.Context, from *Repository, dgst digest.Digest) (ocispec.Descriptor, error) {
	if _, err := ParseDigest(string(dgst)); err != nil {
		return ocispec.Descriptor{}, err
	}
	defer r.store.locks.lock(blobKey(dgst))()
	if err := from.checkLinked(ctx, dgst); err != nil {
		return ocispec.Descriptor{}, err
	}
	size, err := r.store.blobs.soundSize(ctx, dgst)
	if err != nil {
		return ocispec.Descriptor{}, from.missing(dgst, err)
	}
	r.store.leases.renew(r.name, blobKey(dgst))
	return ocispec.Descriptor{MediaType: "application/octet-stream", Digest: dgst, Size: size}, nil
}

// DeleteBlob takes back the link of a blob that no manifest of the repository names. The error
// is ErrInUse when one does.
func (r *Repository) DeleteBlob(ctx context.Context, dgst digest.Digest) error {
	if _, err := ParseDigest(string(dgst)); err != nil {
		return err
	}
	s, k := r.store, blobKey(dgst)
	defer s.locks.lock(k)()
	if err := r.checkLinked(ctx, dgst); err != nil {
		return err
	}
	if !s.leases.leasedBy(r.name, k) {
		return fmt.Errorf("repository %s: %s: %w", r.name, dgst, ErrInUse)
	}
	used, references := false, int64(0)
	err := s.view(func(tx *bbolt.Tx) error {
		if repo, found := readRepo(tx, r.name); found {
			used = repo.linked(k)
		}
		references = refs(tx, k)
		return nil
	})
	if err != nil {
		return err
	}
	if used {
		return fmt.Errorf("repository %s: %s: %w", r.name, dgst, ErrInUse)
	}
	s.leases.drop(r.name, k)
	if s.leases.refresh(false); references > 0 || s.leases.leased(k) {
		return nil
	}
	_, err = s.blobs.remove(dgst)
	return err
}

// checkLinked returns ErrBlobNotFound unless the repository may read the blob.
func (r *Repository) checkLinked(ctx context.Context, dgst digest.Digest) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if _, err := ParseDigest(string(dgst)); err != nil {
		return err
	}
	k := blobKey(dgst)
	if r.store.leases.leasedBy(r.name, k) {
		return nil
	}
	return r.store.view(func(tx *bbolt.Tx) error {
		if repo, found := readRepo(tx, r.name); found && repo.linked(k) {
			return nil
		}
		return fmt.Errorf("repository %s: %s: %w", r.name, dgst, ErrBlobNotFound)
	})
}

// Manifest reads a manifest by tag or digest. Its lease begins anew, so that a pull that began
// can end, and so that whoever is told that a manifest is there may rely on it.
func (r *Repository) Manifest(ctx context.Context, ref string) (ocispec.Descriptor, []byte, error) {
	if err := context.Cause(ctx); err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	dgst, err := ParseDigest(ref)
	if err == nil {
		return r.manifest(dgst)
	}
	if !ValidTag(ref) {
		return ocispec.Descriptor{}, nil, &NameError{Kind: "tag or digest", Value: ref}
	}
	// A tag may move, and what it pointed at may go, between the two look-ups.
	for range 3 {
		if dgst, err = r.resolve(ref); err != nil {
			return ocispec.Descriptor{}, nil, err
		}
		desc, body, err := r.manifest(dgst)
		if !errors.Is(err, ErrNotFound) {
			return desc, body, err
		}
	}
	return ocispec.Descriptor{}, nil, r.notFound(ref)
}

func (r *Repository) notFound(ref string) error {
	return fmt.Errorf("repository %s: %s: %w", r.name, ref, ErrManifestNotFound)
}

func (r *Repository) resolve(tag string) (digest.Digest, error) {
	var dgst digest.Digest
	err := r.store.view(func(tx *bbolt.Tx) error {
		if repo, found := readRepo(tx, r.name); found {
			dgst = repo.tag(tag)
		}
		return nil
	})
	if err == nil && dgst == "" {
		err = r.notFound(tag)
	}
	return dgst, err
}

func (r *Repository) manifest(dgst digest.Digest) (desc ocispec.Descriptor, raw []byte, err error) {
	defer r.store.locks.lock(manifestKey(dgst))()
	err = r.store.view(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, r.name)
		if !found {
			return r.notFound(dgst.String())
		}
		rec, err := repo.record(dgst)
		if err != nil {
			return err
		}
		if rec == nil {
			return r.notFound(dgst.String())
		}
		stored := body(tx, dgst)
		if stored == nil {
			r.store.lose(manifestKey(dgst), goneManifest(dgst))
			return r.notFound(dgst.String())
		}
		raw = bytes.Clone(stored)
		desc = ocispec.Descriptor{MediaType: rec.MediaType, Digest: dgst, Size: int64(len(raw))}
		return nil
	})
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if got := dgst.Algorithm().FromBytes(raw); got != dgst {
		// Never a wrong answer: the disk gave back other bytes than were written.
		err := fmt.Errorf("%w: manifest in %s: %w", ErrDamaged, r.name, &DigestMismatchError{Want: dgst, Got: got})
		return ocispec.Descriptor{}, nil, errors.Join(err, r.store.dropBody(dgst))
	}
	r.store.leases.renew(r.name, manifestKey(dgst))
	r.store.reads.note(r.name, dgst, r.store.now())
	return desc, raw, nil
}

// DeleteTag removes a tag; what it points at stays until nothing keeps it.
func (r *Repository) DeleteTag(ctx context.Context, tag string) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if !ValidTag(tag) {
		return &NameError{Kind: "tag", Value: tag}
	}
	return r.store.update(func(tx *bbolt.Tx) error {
		repo, found := readRepo(tx, r.name)
		if !found || repo.tag(tag) == "" {
			return r.notFound(tag)
		}
		return repo.deleteTag(tag)
	})
}

// DeleteManifest removes a manifest and the tags that point at it. Its blobs stay for the time
// of a lease.
func (r *Repository) DeleteManifest(ctx context.Context, dgst digest.Digest) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if _, err := ParseDigest(string(dgst)); err != nil {
		return err
	}
	defer r.store.locks.lock(manifestKey(dgst))()
	var rec *record
	err := r.store.update(func(tx *bbolt.Tx) (err error) {
		repo, found := readRepo(tx, r.name)
		if !found {
			return r.notFound(dgst.String())
		}
		if rec, err = repo.record(dgst); err != nil {
			return err
		}
		if rec == nil {
			return r.notFound(dgst.String())
		}
		for _, b := range rec.Blobs {
			r.store.leases.renew(r.name, blobKey(b.Digest))
		}
		if err := repo.untag(dgst); err != nil {
			return err
		}
		if err := repo.remove(dgst, rec); err != nil {
			return err
		}
		return repo.dropIfEmpty()
	})
	if err == nil {
		r.store.leases.drop(r.name, manifestKey(dgst))
	}
	return err
}
