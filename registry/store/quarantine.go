package store

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
)

const (
	// maxQuarantined and maxQuarantinedBytes bound what is kept of damaged blobs.
	maxQuarantined      = 16
	maxQuarantinedBytes = 1 << 30
	// quarantinedFor is how long a damaged blob is kept for somebody to look at.
	quarantinedFor = 7 * 24 * time.Hour
)

// quarantine keeps damaged blobs for people who want to know what has happened to them. Nobody gets them by their digests.
type quarantine struct {
	dir  string
	disk disk
	now  func() time.Time
	most int64

	mu    sync.Mutex
	files []damagedFile // the oldest first
	bytes atomic.Int64
	// total counts those that came since the start.
	total atomic.Int64
}

// damagedFile is named <algorithm>-<digits>-<nanoseconds since 1970>.
type damagedFile struct {
	name string
	size int64
	at   time.Time
}

// load reads what an earlier process has left, and removes what is too old or too much.
func (q *quarantine) load() error {
	entries, err := os.ReadDir(q.dir)
	if ignoreNotExist(err) != nil {
		return fmt.Errorf("read quarantine: %w", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, entry := range entries {
		_, suffix, _ := strings.Cut(strings.TrimPrefix(entry.Name(), "sha"), "-")
		_, nanoseconds, _ := strings.Cut(suffix, "-")
		at, invalid := strconv.ParseInt(nanoseconds, 10, 64)
		info, err := entry.Info()
		if err != nil || invalid != nil || !info.Mode().IsRegular() {
			continue // not ours
		}
		q.files = append(q.files, damagedFile{name: entry.Name(), size: info.Size(), at: time.Unix(0, at)})
		q.bytes.Add(info.Size())
	}
	slices.SortFunc(q.files, func(a, b damagedFile) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.name, b.name)) })
	return q.shrink(maxQuarantined, q.most)
}

// take moves a file here, or removes it when it alone is too much.
func (q *quarantine) take(path string, d digest.Digest, size int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if size > q.most || q.keep(path, d, size) != nil {
		// It must not stay where it would be found as what it is not.
		if err := ignoreNotExist(q.disk.RemoveAll(path)); err != nil {
			return err
		}
	}
	q.total.Add(1)
	return nil
}

// keep moves a file here, for which there may be no room. It needs the lock.
func (q *quarantine) keep(path string, d digest.Digest, size int64) error {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return errors.Join(errNoFile, err)
	}
	left := q.shrink(maxQuarantined-1, q.most-size)
	if len(q.files) >= maxQuarantined || q.bytes.Load() > q.most-size {
		return left
	}
	if err := makeDir(q.disk, q.dir); err != nil {
		return err
	}
	f := damagedFile{size: size, at: q.now()}
	if n := len(q.files); n > 0 && !f.at.After(q.files[n-1].at) {
		f.at = q.files[n-1].at.Add(1)
	}
	f.name = fmt.Sprintf("%s-%s-%d", d.Algorithm(), d.Encoded(), f.at.UnixNano())
	if err := q.disk.Rename(path, filepath.Join(q.dir, f.name)); err != nil {
		return err
	}
	q.files = append(q.files, f)
	q.bytes.Add(size)
	return nil
}

// shrink removes the oldest files until there are no more than given. It needs the lock.
func (q *quarantine) shrink(files int, bytes int64) error {
	old := q.now().Add(-quarantinedFor)
	var failed []error
	for i := 0; i < len(q.files) && (len(q.files) > files || q.bytes.Load() > bytes || q.files[i].at.Before(old)); {
		if err := ignoreNotExist(q.disk.Remove(filepath.Join(q.dir, q.files[i].name))); err != nil {
			// The others go nevertheless.
			failed = append(failed, fmt.Errorf("remove from quarantine: %w", err))
			i++
			continue
		}
		q.bytes.Add(-q.files[i].size)
		q.files = slices.Delete(q.files, i, i+1)
	}
	return errors.Join(failed...)
}

// purge removes what is too old, or everything.
func (q *quarantine) purge(all bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if all {
		return q.shrink(0, 0)
	}
	return q.shrink(maxQuarantined, q.most)
}

func (q *quarantine) holds() (files, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int64(len(q.files)), q.bytes.Load()
}

// quarantine takes a damaged blob away. It is for whoever has the blob's lock.
func (b *blobs) quarantine(d digest.Digest) error {
	size, err := b.size(d)
	if errors.Is(err, ErrUnreadable) {
		size, err = b.proven(d), nil
	}
	if err != nil {
		return err
	}
	end := b.change(d)
	if err := b.damaged.take(b.path(d), d, size); err != nil {
		end(size, size)
		return fmt.Errorf("quarantine blob %s: %w", d, err)
	}
	b.proofs.forget(d)
	end(size, absent)
	b.unsynced.forget(d)
	b.doubts.settle(d)
	return nil
}
