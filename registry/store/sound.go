package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// proofs remember which files hold what their names say, and in which state they were then. They are not kept on the disk:
// who can change a blob there could change them too.
type proofs struct {
	mu     sync.Mutex
	states map[digest.Digest]state
}

func (p *proofs) of(d digest.Digest) state {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.states[d]
}

func (p *proofs) remember(d digest.Digest, s state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The digest may be a part of something large that would stay with it.
	p.states[digest.Digest(strings.Clone(string(d)))] = s
}

func (p *proofs) forget(d digest.Digest) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.states, d)
}

// known opens a blob if its file is in the state in which it was proven; otherwise the file is nil.
func (b *blobs) known(d digest.Digest) (*os.File, int64, error) {
	f, info, err := b.open(d)
	if err != nil {
		return nil, 0, err
	}
	if b.proofs.of(d) != stateOf(info) {
		return nil, 0, f.Close()
	}
	return f, info.Size(), nil
}

// sound opens a blob, whose bytes are compared with its digest when it is the first time, or the file was changed since.
// What is damaged is moved to quarantine, so that it can be pushed again; the error is ErrDamaged then. It is for whoever has the blob's
// lock.
func (b *blobs) sound(ctx context.Context, d digest.Digest) (*os.File, int64, error) {
	f, info, err := b.open(d)
	if err != nil {
		return nil, 0, err
	}
	if err := b.prove(ctx, d, f, info); err != nil {
		err = errors.Join(err, f.Close())
		if errors.Is(err, ErrDamaged) {
			err = errors.Join(err, b.quarantine(d))
			b.lost(blobKey(d), fmt.Sprintf("blob %s is damaged, and was moved to quarantine", d))
		}
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// soundSize is sound for those who don't read.
func (b *blobs) soundSize(ctx context.Context, d digest.Digest) (int64, error) {
	f, size, err := b.sound(ctx, d)
	if err != nil {
		return 0, err
	}
	return size, f.Close()
}

func (b *blobs) prove(ctx context.Context, d digest.Digest, f *os.File, info fs.FileInfo) error {
	now := stateOf(info)
	if b.proofs.of(d) == now {
		return nil
	}
	hash := d.Algorithm().Hash()
	if _, err := io.Copy(hash, &stoppable{ctx, f}); err != nil {
		return unreadable(d, err)
	}
	if got := digest.NewDigest(d.Algorithm(), hash); got != d {
		return fmt.Errorf("%w: blob is taken away: %w", ErrDamaged, &DigestMismatchError{Want: d, Got: got})
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read blob %s: %w", d, err)
	}
	b.proofs.remember(d, now)
	return nil
}

// unreadable tells a disk that has lost the bytes of a blob from other reasons why they were not read.
func unreadable(d digest.Digest, err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EBADMSG) {
		return fmt.Errorf("%w: blob %s can't be read, and is taken away: %w", ErrDamaged, d, err)
	}
	return fmt.Errorf("read blob %s: %w", d, err)
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to know of it
	r   io.Reader
}

// Read implements io.Reader.
func (s *stoppable) Read(p []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}
