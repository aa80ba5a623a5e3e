package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// patience is how long collections may take to bring the disk below the quota.
const patience = 30 * time.Second

// audit compares everything that is remembered with what the registry serves, while nobody else asks.
func (w *world) audit(parent context.Context) error {
	w.busy.Lock()
	defer w.busy.Unlock()
	group, ctx := errgroup.WithContext(parent)
	group.SetLimit(16)
	for _, a := range w.ledger.all() {
		group.Go(func() error {
			a.use.RLock()
			defer a.use.RUnlock()
			w.counts.audited.Add(1)
			return w.judge(ctx, a)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return w.auditTags(parent)
}

// auditTags compares the lists of tags with the ledger.
func (w *world) auditTags(ctx context.Context) error {
	known := map[string]map[string]state{}
	for _, a := range w.ledger.all() {
		if known[a.repository] == nil {
			known[a.repository] = map[string]state{}
		}
		known[a.repository][a.tag] = a.state
	}
	for repository, states := range known {
		listed, err := w.client.tags(ctx, repository)
		if err != nil {
			return err
		}
		for tag, state := range states {
			if state == acknowledged && !listed[tag] {
				return wrong("tag %s of %s was acknowledged and is not listed", tag, repository)
			}
		}
		for tag := range listed {
			// What was released long ago is not remembered, and may be there still.
			if state, remembered := states[tag]; remembered && state == deleted || !remembered && !managed(repository) {
				return wrong("tag %s of %s is listed and was deleted, or never acknowledged", tag, repository)
			}
		}
	}
	return nil
}

// within holds what is on the disk against the quota. A registry that was killed does not know at first what uploads have left
// behind, so it has the time of some collections.
func (w *world) within(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		total, err := w.taken()
		if err != nil || w.quota == 0 || total <= w.quota {
			return err
		}
		select {
		case <-ctx.Done():
			return wrong("%d bytes are on the disk, and %d are allowed", total, w.quota)
		case <-ticker.C:
		}
	}
}

// taken is how much is on the disk.
func (w *world) taken() (int64, error) {
	var total int64
	for _, part := range []string{"blobs", "uploads"} {
		err := filepath.WalkDir(filepath.Join(w.dir, part), func(_ string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return ignoreGone(err)
			}
			info, err := entry.Info()
			if err == nil {
				total += info.Size()
			}
			return ignoreGone(err)
		})
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}

// ignoreGone is for files that a collection took while they were looked at.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// settle brings what no answer came for to an end, and repairs what is damaged, so that it is known what has to be on the disk.
func (w *world) settle(ctx context.Context, random *rand.Rand) error {
	for _, a := range w.ledger.all() {
		if a.state == acknowledged && a.hurt != "" {
			if err := w.push(ctx, a, random); err != nil && !errors.Is(err, errFull) {
				return fmt.Errorf("repair what is damaged: %w", err)
			}
		}
		if a.state != attempted && (a.state != acknowledged || a.hurt == "") {
			continue
		}
		done, err := w.client.remove(ctx, a)
		if err != nil || !done {
			return fmt.Errorf("delete what was not acknowledged: %w", err)
		}
		a.state = deleted
		w.ledger.retire(a)
	}
	return nil
}

// balance holds the disk against what has to be there: every blob that an artifact names, each once, and nothing else.
func (w *world) balance(dir string) error {
	want := map[string]int64{}
	for _, a := range w.ledger.all() {
		if a.state != acknowledged {
			continue
		}
		for d, content := range a.blobs {
			want[d.Encoded()] = int64(len(content))
		}
	}
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size, expected := want[entry.Name()]
		if !expected || size != info.Size() {
			return wrong("%s is left on the disk with %d bytes", path, info.Size())
		}
		delete(want, entry.Name())
		return nil
	})
	if err == nil && len(want) > 0 {
		err = wrong("%d blobs are not on the disk", len(want))
	}
	return errors.Join(err, noUploads(dir))
}

// noUploads is an error when something is left of an upload.
func noUploads(dir string) error {
	left, err := os.ReadDir(filepath.Join(dir, "uploads"))
	if err == nil && len(left) > 0 {
		err = wrong("%d uploads are left on the disk, like %s", len(left), left[0].Name())
	}
	return err
}

// reopen opens the store without the registry, and reads everything once more.
func (w *world) reopen(ctx context.Context, dir string) (err error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	blobs := map[digest.Digest]bool{}
	for _, a := range w.ledger.all() {
		if a.state != acknowledged {
			continue
		}
		repo, err := s.Repository(a.repository)
		if err != nil {
			return err
		}
		for _, m := range a.manifests {
			if _, _, err := repo.Manifest(ctx, m.digest.String()); err != nil {
				return err
			}
		}
		for d := range a.blobs {
			blobs[d] = true
			if _, err := repo.StatBlob(ctx, d); err != nil {
				return err
			}
		}
	}
	if got := s.Stats().Blobs; got != int64(len(blobs)) {
		return wrong("the store counts %d blobs, and %d are named", got, len(blobs))
	}
	return nil
}
