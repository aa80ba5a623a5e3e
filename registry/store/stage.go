package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// staging accounts for the disk that uploads in progress take. A start of the store begins with none, as it removes those of
// the process before.
type staging struct {
	max   int64
	bytes atomic.Int64

	mu sync.Mutex
	// files are those that somebody writes to.
	files map[string]bool
}

func (s *staging) enter(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[file] = true
}

func (s *staging) leave(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, file)
}

func (s *staging) has(file string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[file]
}

func (s *staging) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.files))
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

// Stage is the upload of one blob. It is written by one goroutine at a time.
type Stage struct {
	repo *Repository
	file diskFile
	hash hash.Hash
	// n is how much was written, and held how much of that is accounted for as staged.
	n, held int64
	err     error
	// beat is when the leases of the repository were told last that it is being written to.
	beat time.Time
}

// stagePrefix is how the names of files of uploads begin.
const stagePrefix = "blob-"

// heartbeat is how often an upload says that it goes on.
const heartbeat = 5 * time.Second

// Stage begins the upload of a blob.
func (r *Repository) Stage(ctx context.Context) (*Stage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	f, err := r.store.temporary(stagePrefix)
	if err != nil {
		return nil, fmt.Errorf("begin upload to %s: %w", r.name, r.full(0, err))
	}
	r.store.staging.enter(f.Name())
	s := &Stage{repo: r, file: f, hash: sha256.New()}
	s.goesOn()
	return s, nil
}

// goesOn keeps what the same push has written before from going under pressure.
func (s *Stage) goesOn() {
	if now := s.repo.store.now(); now.Sub(s.beat) >= heartbeat {
		s.beat = now
		s.repo.store.leases.writing(s.repo.name, now)
	}
}

// Expect tells that n more bytes will come. The error is the one that Write would return at some of them: ErrTooLarge,
// ErrStagingFull or ErrStorageFull. Nothing is kept for them, and the stage can be used as before.
func (s *Stage) Expect(n int64) error {
	if s.err != nil || n <= 0 {
		return s.err
	}
	if err := s.fits(n); err != nil {
		return err
	}
	if err := s.repo.store.take(s.repo.name, s.n, n, true); err != nil {
		return fmt.Errorf("begin upload to %s: %w", s.repo.name, err)
	}
	s.repo.store.staging.bytes.Add(-n)
	return nil
}

// fits holds the blob to its greatest size.
func (s *Stage) fits(n int64) error {
	if most := s.repo.store.maxBlob; most > 0 && n > most-s.n {
		return fmt.Errorf("write upload to %s: %w: more than %d bytes", s.repo.name, ErrTooLarge, most)
	}
	return nil
}

// Write adds bytes to the blob. The error is ErrTooLarge when they are more than a blob may have, ErrStagingFull when there is no
// room for them among the uploads in progress, and ErrStorageFull when there is none at all. After an error the stage is of no
// more use.
func (s *Stage) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	size := int64(len(p))
	if s.err = s.fits(size); s.err != nil {
		return 0, s.err
	}
	if err := s.repo.store.take(s.repo.name, s.n, size, false); err != nil {
		s.err = fmt.Errorf("write upload to %s: %w", s.repo.name, err)
		return 0, s.err
	}
	s.goesOn()
	n, err := s.file.Write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	s.held += int64(n)
	if err != nil {
		s.repo.store.staging.bytes.Add(int64(n) - size)
		s.err = fmt.Errorf("write upload to %s: %w", s.repo.name, s.repo.full(s.n+size, err))
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
		return ocispec.Descriptor{}, fmt.Errorf("sync upload to %s: %w", s.repo.name, s.repo.full(s.n, err))
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
	if adopted, err := s.adoptKnown(d); err != nil || adopted {
		return adopted, err
	}
	defer s.repo.store.locks.lock(blobKey(d))()
	return s.link(ctx, d)
}

// adoptKnown links a blob that was compared before. Nothing is replaced then, so many may do so at once: most artifacts have
// the same configuration.
func (s *Stage) adoptKnown(d digest.Digest) (bool, error) {
	defer s.repo.store.locks.share(blobKey(d))()
	blobs := s.repo.store.blobs
	f, _, err := blobs.known(d)
	if errors.Is(err, ErrBlobNotFound) || err == nil && f == nil {
		return false, nil
	}
	if err == nil {
		err = errors.Join(f.Close(), blobs.settle(filepath.Dir(blobs.path(d))))
	}
	if err != nil {
		return false, err
	}
	s.repo.store.leases.renew(s.repo.name, blobKey(d))
	return true, nil
}

func (s *Stage) place(ctx context.Context, d digest.Digest) error {
	defer s.repo.store.locks.lock(blobKey(d))()
	// Another upload of the same blob may have been faster.
	if linked, err := s.link(ctx, d); err != nil || linked {
		return err
	}
	if err := s.repo.store.blobs.place(s.file.Name(), d, s.n); err != nil {
		return s.repo.full(s.n, err)
	}
	// The file counts as a blob now.
	s.release()
	s.repo.store.losses.recover(blobKey(d))
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

func (s *Stage) release() {
	s.repo.store.staging.bytes.Add(-s.held)
	s.held = 0
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
	s.release()
	err = errors.Join(err, ignoreNotExist(s.repo.store.disk.Remove(name)))
	s.repo.store.staging.leave(name)
	return err
}
