package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// scrubChunk is how much of a blob is read at once.
const scrubChunk = 256 << 10

// abandonedAfter is the age from which a file that no upload writes to is taken for left behind.
const abandonedAfter = time.Hour

// ScrubStats tells what a scrub has looked at and found.
type ScrubStats struct {
	// Blobs and Manifests are the numbers of those that were read, and Bytes is their size.
	Blobs, Manifests int
	Bytes            int64
	// Damaged are those of other content than their digests say, and Missing those that manifests name and that are not there.
	Damaged, Missing int
	// Abandoned are files of uploads that nobody writes to.
	Abandoned int
}

// Scrub reads everything, whatever is known of it, at no more than that many bytes a second; zero is as fast as it goes. What is
// damaged is taken away, and its repositories are told of that, and of what is missing. Everything else goes on meanwhile. A
// scrub that is stopped is begun anew by the next.
func (s *Store) Scrub(ctx context.Context, rate int64) (ScrubStats, error) {
	return s.scrub(ctx, newPacer(rate))
}

func (s *Store) scrub(ctx context.Context, pace *pacer) (ScrubStats, error) {
	s.scrubbing.Lock()
	defer s.scrubbing.Unlock()
	c := &scrub{store: s, pace: pace, buffer: make([]byte, scrubChunk)}
	// Who was told of a loss and did nothing is told again.
	s.losses.remind()
	var failed []error
	for _, part := range []func(context.Context) error{c.pages, c.uploads, c.blobs, c.lookAgain, c.manifests, c.links} {
		// What one part can't do says nothing of the others.
		err := part(ctx)
		if err != nil {
			failed = append(failed, err)
		}
		if ctx.Err() != nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrDamaged) {
			break // The index is not there any more.
		}
	}
	if err := errors.Join(append(failed, c.failed...)...); err != nil {
		return c.stats, fmt.Errorf("scrub the registry: %w", err)
	}
	return c.stats, s.scrubbed.end(s)
}

type scrub struct {
	store  *Store
	pace   *pacer
	buffer []byte
	stats  ScrubStats
	// failed are the first blobs that were not looked at, for no fault of their own.
	failed []error
	// doubtful are those that could not be read, and are looked at again.
	doubtful []digest.Digest
}

// maxFailed bounds what a scrub tells of.
const maxFailed = 10

// fail keeps the error of one blob for the end. Only one that ends the scrub is returned.
func (c *scrub) fail(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return err
	}
	if err != nil && len(c.failed) < maxFailed {
		c.failed = append(c.failed, err)
	}
	return nil
}

// uploads removes files that nobody writes to, and what is in quarantine for too long.
func (c *scrub) uploads(context.Context) error {
	s := c.store
	entries, err := os.ReadDir(s.uploads)
	if ignoreNotExist(err) != nil {
		return fmt.Errorf("look for uploads that were left behind: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(s.uploads, entry.Name())
		info, err := entry.Info()
		if err != nil || !strings.HasPrefix(entry.Name(), stagePrefix) || s.staging.has(path) || time.Since(info.ModTime()) < abandonedAfter {
			continue
		}
		if err := ignoreNotExist(s.disk.Remove(path)); err != nil {
			return fmt.Errorf("remove what an upload left behind: %w", err)
		}
		c.stats.Abandoned++
	}
	return s.blobs.damaged.purge(false)
}

// blobs reads one directory of blobs after another. Which blobs there are is asked for each, as a scrub may take days.
func (c *scrub) blobs(ctx context.Context) error {
	dir := c.store.blobs.dir
	algorithms, err := names(dir)
	for _, algorithm := range algorithms {
		prefixes, listed := names(filepath.Join(dir, algorithm))
		err = errors.Join(err, listed)
		for _, prefix := range prefixes {
			blobs, listed := names(filepath.Join(dir, algorithm, prefix))
			err = errors.Join(err, listed)
			for _, name := range blobs {
				d, invalid := ParseDigest(algorithm + ":" + name)
				if invalid != nil || !strings.HasPrefix(name, prefix) {
					continue // the store did not put it there
				}
				if err := c.fail(ctx, c.blob(ctx, d)); err != nil {
					return err
				}
			}
		}
	}
	return err
}

// names lists a directory; what is no directory, or gone, has none.
func names(dir string) ([]string, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, ignoreNotExist(err)
	}
	entries, err := os.ReadDir(dir)
	all := make([]string, len(entries))
	for i, entry := range entries {
		all[i] = entry.Name()
	}
	return all, ignoreNotExist(err)
}

func (c *scrub) blob(ctx context.Context, d digest.Digest) error {
	s := c.store
	f, info, err := s.blobs.open(d)
	if errors.Is(err, ErrBlobNotFound) {
		return nil
	}
	sound := false
	if err == nil {
		sound, err = c.read(ctx, d, f, info)
		err = errors.Join(err, f.Close())
	}
	if err != nil && !errors.Is(err, ErrUnreadable) {
		return err
	}
	c.stats.Blobs++
	if sound {
		return nil
	}
	// Once more, and nobody may replace it meanwhile: it is a sin to take away what is sound.
	if err = c.judge(ctx, d); errors.Is(err, ErrUnreadable) && len(c.doubtful) < maxDoubts {
		c.doubtful = append(c.doubtful, d)
		return nil
	}
	return err
}

// judge compares a blob with its digest whatever is known of it.
func (c *scrub) judge(ctx context.Context, d digest.Digest) error {
	s := c.store
	defer s.locks.lock(blobKey(d))()
	s.blobs.proofs.forget(d)
	_, err := s.blobs.soundSize(ctx, d)
	if errors.Is(err, ErrDamaged) {
		c.stats.Damaged++
		if _, left := s.blobs.size(d); !errors.Is(left, ErrBlobNotFound) {
			return err // It could not be taken away.
		}
		return nil
	}
	return missingIsFine(err)
}

// lookAgain is for the blobs that could not be read.
func (c *scrub) lookAgain(ctx context.Context) error {
	if len(c.doubtful) == 0 {
		return nil
	}
	if err := c.pace.sleep(ctx, lookAgain); err != nil {
		return err
	}
	for _, d := range c.doubtful {
		if err := c.fail(ctx, c.judge(ctx, d)); err != nil {
			return err
		}
	}
	return nil
}

// read tells whether a file has the content that its digest says, as far as the disk gives it back.
func (c *scrub) read(ctx context.Context, d digest.Digest, f *os.File, info fs.FileInfo) (bool, error) {
	dropCache(f, 0, 0)
	hash := d.Algorithm().Hash()
	for offset := int64(0); ; {
		size, err := c.pace.take(ctx, int64(len(c.buffer)))
		if err != nil {
			return false, err
		}
		n, err := f.Read(c.buffer[:size])
		c.count(int64(n))
		c.pace.giveBack(size - int64(n))
		_, _ = hash.Write(c.buffer[:n])
		dropCache(f, offset, int64(n))
		offset += int64(n)
		if errors.Is(err, io.EOF) {
			return digest.NewDigest(d.Algorithm(), hash) == d && offset == info.Size(), nil
		}
		if err != nil {
			return false, unreadable(d, err)
		}
		c.store.blobs.doubts.read()
	}
}

func (c *scrub) count(n int64) {
	c.stats.Bytes += n
	c.store.scrubbed.bytes.Add(n)
}

func missingIsFine(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
