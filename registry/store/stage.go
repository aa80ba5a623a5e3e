package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// staging accounts for the disk that uploads in progress take. A start of the store begins with none, as it removes those of
// the process before.
type staging struct {
	max          int64
	count, bytes atomic.Int64
}

// reserve makes room for bytes before they are written, so that uploads at the same time pass the bound together no more than
// one alone.
func (s *staging) reserve(n int64) error {
	if held := s.bytes.Add(n); s.max > 0 && held > s.max {
		s.bytes.Add(-n)
		return fmt.Errorf("%w: all uploads in progress hold at most %d bytes: wait for the others, or allow more and give the registry more disk", ErrStagingFull, s.max)
	}
	return nil
}

// full says what to do about a disk that has no room.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: give the registry more disk: %w", ErrStagingFull, err)
	}
	return err
}

// Stage is the upload of one blob. It is written by one goroutine at a time.
type Stage struct {
	repo *Repository
	file diskFile
	hash hash.Hash
	n    int64
	err  error
}

// Stage begins the upload of a blob.
func (r *Repository) Stage(ctx context.Context) (*Stage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f, err := r.store.temporary("blob-")
	if err != nil {
		return nil, fmt.Errorf("begin upload to %s: %w", r.name, err)
	}
	r.store.staging.count.Add(1)
	return &Stage{repo: r, file: f, hash: sha256.New()}, nil
}

// Write adds bytes to the blob. The error is ErrTooLarge when they are more than a blob may have, and ErrStagingFull when
// there is no room for them. After an error the stage is of no more use.
func (s *Stage) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if most := s.repo.store.maxBlob; most > 0 && int64(len(p)) > most-s.n {
		s.err = fmt.Errorf("write upload to %s: %w: more than %d bytes", s.repo.name, ErrTooLarge, most)
		return 0, s.err
	}
	if err := s.repo.store.staging.reserve(int64(len(p))); err != nil {
		s.err = fmt.Errorf("write upload to %s: %w", s.repo.name, err)
		return 0, s.err
	}
	n, err := s.file.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	if err != nil {
		s.repo.store.staging.bytes.Add(int64(n - len(p)))
		s.err = fmt.Errorf("write upload to %s: %w", s.repo.name, full(err))
	}
	return n, s.err
}

// Size returns how many bytes were written.
func (s *Stage) Size() int64 { return s.n }

// Commit makes the blob part of the repository. When want is not empty, it has to be the
// digest of what was written; else the error is a *DigestMismatchError. Commit ends the stage
// either way, and after an error of Write, which it returns, too.
func (s *Stage) Commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	if err := s.err; err != nil {
		return ocispec.Descriptor{}, errors.Join(err, s.Close())
	}
	desc, err := s.commit(ctx, want)
	return desc, errors.Join(err, s.Close())
}

func (s *Stage) commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	if err := context.Cause(ctx); err != nil {
		return ocispec.Descriptor{}, err
	}
	d, err := s.check(want)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: d, Size: s.n}
	if adopted, err := s.adopt(ctx, d); err != nil || adopted {
		return desc, err
	}
	if err := s.file.Sync(); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("sync upload to %s: %w", s.repo.name, full(err))
	}
	return desc, s.place(ctx, d)
}

// check returns the digest of what was written.
func (s *Stage) check(want digest.Digest) (digest.Digest, error) {
	got := digest.NewDigest(digest.SHA256, s.hash)
	if want == "" {
		return got, nil
	}
	want, err := ParseDigest(string(want))
	if err != nil {
		return "", err
	}
	if want.Algorithm() != digest.SHA256 {
		// Which algorithm a client uses is known at the end only; the rare one reads again.
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return "", fmt.Errorf("read upload back: %w", err)
		}
		if got, err = want.Algorithm().FromReader(s.file); err != nil {
			return "", fmt.Errorf("read upload back: %w", err)
		}
	}
	if got != want {
		return "", &DigestMismatchError{Want: want, Got: got}
	}
	return got, nil
}

// adopt links the blob that is there already, which spares writing it again.
func (s *Stage) adopt(ctx context.Context, d digest.Digest) (bool, error) {
	defer s.repo.store.locks.lock(blobKey(d))()
	return s.link(ctx, d)
}

func (s *Stage) place(ctx context.Context, d digest.Digest) error {
	defer s.repo.store.locks.lock(blobKey(d))()
	// Another upload of the same blob may have been faster.
	if linked, err := s.link(ctx, d); err != nil || linked {
		return err
	}
	if err := s.repo.store.blobs.place(s.file.Name(), d, s.n); err != nil {
		return err
	}
	s.repo.store.leases.renew(s.repo.name, blobKey(d))
	return nil
}

// link is for whoever has the blob's lock. A file that is damaged is not linked, but replaced.
func (s *Stage) link(ctx context.Context, d digest.Digest) (bool, error) {
	blobs := s.repo.store.blobs
	_, err := blobs.soundSize(ctx, d)
	if errors.Is(err, ErrBlobNotFound) || errors.Is(err, ErrDamaged) {
		return false, nil
	}
	if err == nil {
		err = blobs.settle(filepath.Dir(blobs.path(d)))
	}
	if err != nil {
		return false, err
	}
	s.repo.store.leases.renew(s.repo.name, blobKey(d))
	return true, nil
}

// Close drops what was not committed. It is safe to call after Commit, and twice.
func (s *Stage) Close() error {
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := s.file.Close()
	s.file = nil
	s.err = fmt.Errorf("upload to %s: %w", s.repo.name, ErrClosed)
	s.repo.store.staging.count.Add(-1)
	s.repo.store.staging.bytes.Add(-s.n)
	return errors.Join(err, ignoreNotExist(s.repo.store.disk.Remove(name)))
}
