package remote

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

// staging accounts for the disk that content takes on its way.
type staging struct {
	max   int64
	bytes atomic.Int64
}

// reserve makes room for bytes before they are written, so that what is on its way at the same time passes the bound
// together no more than one alone.
func (s *staging) reserve(n int64) error {
	if held := s.bytes.Add(n); s.max > 0 && held > s.max {
		s.bytes.Add(-n)
		return fmt.Errorf("%w: at most %d bytes may be on their way to the snapshot registry: wait for the others, or allow more with --registry-max-staged-size",
			ErrStagingFull, s.max)
	}
	return nil
}

// Stage is one blob on its way into a repository: a file that has no name, so that nothing is left of it however the process
// ends. It is written by one goroutine at a time.
type Stage struct {
	repository *Repository
	file       *os.File
	hash       hash.Hash
	n          int64
	err        error
}

var _ snapshot.Stage = (*Stage)(nil)

// Stage implements snapshot.Repository.
func (r *Repository) Stage(ctx context.Context) (snapshot.Stage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(r.store.options.Dir, "blob-")
	if err != nil {
		return nil, fmt.Errorf("begin an upload to the snapshot registry: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("begin an upload to the snapshot registry: %w", err), file.Close())
	}
	return &Stage{repository: r, file: file, hash: sha256.New()}, nil
}

// Write adds bytes to the blob. The error is ErrTooLarge when they are more than a blob may have, and ErrStagingFull when
// there is no room for them. After an error the stage is of no more use.
func (s *Stage) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	store := s.repository.store
	if most := store.options.MaxBlobBytes; most > 0 && int64(len(p)) > most-s.n {
		s.err = fmt.Errorf("content for the snapshot registry: %w: more than the %d bytes of --registry-max-blob-size", ErrTooLarge, most)
		return 0, s.err
	}
	if s.err = store.staging.reserve(int64(len(p))); s.err != nil {
		return 0, s.err
	}
	n, err := s.file.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	if err != nil {
		store.staging.bytes.Add(int64(n - len(p)))
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			err = fmt.Errorf("%w: give --registry-dir more disk: %w", ErrStagingFull, err)
		}
		s.err = fmt.Errorf("content for the snapshot registry: %w", err)
	}
	return n, s.err
}

// Commit implements snapshot.Stage. It ends the stage, with an error or without.
func (s *Stage) Commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	if err := s.err; err != nil {
		return ocispec.Descriptor{}, errors.Join(err, s.Close())
	}
	desc, err := s.commit(ctx, want)
	return desc, errors.Join(err, s.Close())
}

func (s *Stage) commit(ctx context.Context, want digest.Digest) (ocispec.Descriptor, error) {
	if s.file == nil {
		return ocispec.Descriptor{}, os.ErrClosed
	}
	got, err := s.check(want)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{MediaType: snapshot.MediaTypeOpaque, Digest: got, Size: s.n}
	return desc, s.repository.push(ctx, desc, s.file)
}

// check returns the digest of what was written.
func (s *Stage) check(want digest.Digest) (digest.Digest, error) {
	got := digest.NewDigest(digest.SHA256, s.hash)
	if want == "" {
		return got, nil
	}
	if err := want.Validate(); err != nil {
		return "", fmt.Errorf("digest %q: %w", string(want), err)
	}
	if want.Algorithm() != digest.SHA256 {
		var err error
		if got, err = want.Algorithm().FromReader(io.NewSectionReader(s.file, 0, s.n)); err != nil {
			return "", fmt.Errorf("read content for the snapshot registry back: %w", err)
		}
	}
	if got != want {
		return "", &snapshot.DigestMismatchError{What: "content", Want: want, Got: got}
	}
	return got, nil
}

// Close implements snapshot.Stage.
func (s *Stage) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.repository.store.staging.bytes.Add(-s.n)
	s.file = nil
	return err
}
