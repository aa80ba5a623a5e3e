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
	// open is the number of uploads, and memory how much of what they have written is in no file yet.
	open, memory atomic.Int64

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

// remember makes room in memory.
func (s *staging) remember(n int64) bool {
	if s.memory.Add(n) > maxRemembered {
		s.memory.Add(-n)
		return false
	}
	return true
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
	// memory is what was written until it is too much, and then file has it: many uploads have what is there already.
	memory []byte
	file   diskFile
	hash   hash.Hash
	synced bool
	// n is how much was written, and held how much of that is accounted for as staged.
	n, held int64
	err     error
	ended   bool
	// beat is when the leases of the repository were told last that it is being written to.
	beat time.Time
}

const (
	// smallBlob is how much of an upload is kept in memory, and maxRemembered how much of all.
	smallBlob     = 64 << 10
	maxRemembered = 8 << 20
)

// stagePrefix is how the names of files of uploads begin.
const stagePrefix = "blob-"

// heartbeat is how often an upload says that it goes on.
const heartbeat = 5 * time.Second

// Stage begins the upload of a blob.
func (r *Repository) Stage(ctx context.Context) (*Stage, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	s := &Stage{repo: r, hash: sha256.New()}
	r.store.staging.open.Add(1)
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
	n, err := s.write(p)
	s.hash.Write(p[:n])
	s.n += int64(n)
	s.held += int64(n)
	if err != nil {
		s.repo.store.staging.bytes.Add(int64(n) - size)
		s.err = fmt.Errorf("write upload to %s: %w", s.repo.name, s.repo.full(s.n+size, err))
	}
	return n, s.err
}

// write keeps a little in memory, and everything in a file when it is more.
func (s *Stage) write(p []byte) (int, error) {
	if s.file == nil && len(s.memory)+len(p) <= smallBlob && s.repo.store.staging.remember(int64(len(p))) {
		s.memory = append(s.memory, p...)
		return len(p), nil
	}
	if err := s.spill(); err != nil {
		return 0, err
	}
	return s.file.Write(p)
}

// spill begins the file.
func (s *Stage) spill() error {
	if s.file != nil {
		return nil
	}
	f, err := s.repo.store.temporary(stagePrefix)
	if err != nil {
		return err
	}
	s.repo.store.staging.enter(f.Name())
	s.file = f
	if len(s.memory) > 0 {
		_, err = f.Write(s.memory)
	}
	s.forget()
	return err
}

func (s *Stage) forget() {
	s.repo.store.staging.memory.Add(-int64(len(s.memory)))
	s.memory = nil
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
	if err := s.spill(); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("write upload to %s: %w", s.repo.name, s.repo.full(s.n, err))
	}
	if s.n > smallBlob {
		// What is large does not wait for the disk together with others.
		if err := s.file.Sync(); err != nil {
			return ocispec.Descriptor{}, fmt.Errorf("sync upload to %s: %w", s.repo.name, s.repo.full(s.n, err))
		}
		s.synced = true
	}
	wait, err := s.place(ctx, d)
	if err == nil && (wait || s.repo.store.blobs.unsynced.crowded()) {
		err = s.repo.full(s.n, s.repo.store.settled(d))
	}
	return desc, err
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
		if got, err = s.again(want.Algorithm()); err != nil {
			return "", fmt.Errorf("read upload back: %w", err)
		}
	}
	if got != want {
		return "", &DigestMismatchError{Want: want, Got: got}
	}
	return got, nil
}

func (s *Stage) again(a digest.Algorithm) (digest.Digest, error) {
	if s.file == nil {
		return a.FromBytes(s.memory), nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	return a.FromReader(s.file)
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

// place makes the file a blob. The caller has to wait until it is on the disk when that is true.
func (s *Stage) place(ctx context.Context, d digest.Digest) (wait bool, err error) {
	store, k := s.repo.store, blobKey(d)
	defer store.locks.lock(k)()
	// Another upload of the same blob may have been faster.
	if linked, err := s.link(ctx, d); err != nil || linked {
		return false, err
	}
	// A blob that a manifest names already repairs an artifact, and there may be no other push that waits for it.
	if wait, err = store.referenced(k); err != nil {
		return false, err
	}
	u := &syncing{digest: d}
	if !s.synced {
		u.file = s.file
	}
	name := s.file.Name()
	if err := store.blobs.place(name, u, s.n); err != nil {
		return false, s.repo.full(s.n, err)
	}
	store.staging.leave(name)
	if s.synced {
		err = s.file.Close()
	}
	s.file = nil
	// The file counts as a blob now.
	s.release()
	store.losses.recover(k)
	store.leases.renew(s.repo.name, k)
	return wait || s.synced, err
}

// link is for whoever has the blob's lock. A file that is damaged is not linked, but replaced.
func (s *Stage) link(ctx context.Context, d digest.Digest) (bool, error) {
	blobs := s.repo.store.blobs
	_, err := blobs.soundSize(ctx, d)
	if errors.Is(err, ErrBlobNotFound) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnreadable) {
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
	if s.ended {
		return nil
	}
	s.ended = true
	s.err = fmt.Errorf("upload to %s: %w", s.repo.name, ErrClosed)
	s.release()
	s.forget()
	s.repo.store.staging.open.Add(-1)
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := errors.Join(s.file.Close(), ignoreNotExist(s.repo.store.disk.Remove(name)))
	s.file = nil
	s.repo.store.staging.leave(name)
	return err
}
