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

// some returns a few of those that are known, whichever, but for those to be left out.
func (p *proofs) some(n int, without func(digest.Digest) bool) []digest.Digest {
	p.mu.Lock()
	defer p.mu.Unlock()
	var few []digest.Digest
	for d := range p.states {
		if len(few) >= n {
			break
		}
		if !without(d) {
			few = append(few, d)
		}
	}
	return few
}

// known opens a blob if its file is in the state in which it was proven; otherwise the file is nil.
func (b *blobs) known(d digest.Digest) (*os.File, int64, error) {
	f, info, err := b.open(d)
	if errors.Is(err, ErrUnreadable) {
		// What that means is for those to find out who have the lock.
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if b.proofs.of(d) != stateOf(info) {
		return nil, 0, f.Close()
	}
	return f, info.Size(), nil
}

// sound opens a blob, whose bytes are compared with its digest when it is the first time, or the file was changed since.
// What is damaged is moved to quarantine, so that it can be pushed again; the error is ErrDamaged then. What can't be read is
// ErrUnreadable until that is believed. It is for whoever has the blob's lock.
func (b *blobs) sound(ctx context.Context, d digest.Digest) (*os.File, int64, error) {
	f, info, err := b.open(d)
	if err == nil {
		if err = b.prove(ctx, d, f, info); err == nil {
			b.doubts.settle(d)
			return f, info.Size(), nil
		}
		// It stays open until nobody asks any more whether it is the same file.
		defer func() { _ = f.Close() }()
	}
	if err = b.doubt(d, err); !errors.Is(err, ErrDamaged) {
		return nil, 0, err
	}
	if b.replaced(d, info) {
		return nil, 0, &unreadableError{d, errors.New("somebody changed the file while it was read; ask again")}
	}
	err = errors.Join(err, b.quarantine(d))
	b.lost(blobKey(d), fmt.Sprintf("blob %s is damaged, and was taken away", d))
	return nil, 0, err
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
	got, err := b.digest(ctx, d, f)
	if err == nil && got != d {
		if got, err = b.mismatch(ctx, d, f, got); err == nil && got != d {
			return fmt.Errorf("%w: blob is taken away: %w", ErrDamaged, &DigestMismatchError{Want: d, Got: got})
		}
	}
	if err != nil {
		return err
	}
	b.proofs.remember(d, now)
	return nil
}

// mismatch reads a blob once more, from the disk: bytes that were not the same twice are the fault of who has moved them.
func (b *blobs) mismatch(ctx context.Context, d digest.Digest, f *os.File, first digest.Digest) (digest.Digest, error) {
	dropCache(f, 0, 0)
	got, err := b.digest(ctx, d, f)
	if err == nil && got != d && got != first {
		err = &unreadableError{d, fmt.Errorf("it was read as %s, and then as %s", first, got)}
	}
	return got, err
}

// digest reads a blob from its begin, to where it is left afterwards.
func (b *blobs) digest(ctx context.Context, d digest.Digest, f *os.File) (digest.Digest, error) {
	hash := d.Algorithm().Hash()
	if _, err := io.Copy(hash, &stoppable{ctx, f}); err != nil {
		return "", unreadable(d, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", unreadable(d, err)
	}
	b.doubts.read()
	return digest.NewDigest(d.Algorithm(), hash), nil
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
