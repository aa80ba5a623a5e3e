package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/e2e/operator"
	"github.com/ocm-operator/ocm-operator/registry/store"
)

const (
	maxStart = 2 * time.Second
	maxIdle  = 150 << 20
	// fillers make the artifacts of a large store together.
	fillers = 64
	// settle is how long a server is left alone before its memory is read.
	settle = time.Second
)

// many measures the start and the memory of a store with very many artifacts.
func (b *bench) many(ctx context.Context, w *measure.World) error {
	dir := filepath.Join(w.Dir, "many")
	begin := time.Now()
	if err := b.fillStore(ctx, dir); err != nil {
		return fmt.Errorf("make %d snapshots: %w", b.snapshots, err)
	}
	b.Say("%d snapshots were made in %s", b.snapshots, time.Since(begin).Round(time.Second))
	var (
		starts         []time.Duration
		resident, anon []int64
	)
	for range b.starts {
		took, usage, own, err := b.startOnce(ctx, w, dir)
		if err != nil {
			return err
		}
		starts, resident, anon = append(starts, took), append(resident, usage.Resident), append(anon, own)
	}
	b.Report.Bound(
		&measure.Bound{
			Name: "start", Show: milliseconds, Values: map[string]int64{ours: int64(measure.Median(starts))}, Most: int64(maxStart),
			About: fmt.Sprintf("with %d snapshots, from the start of the process to the first answer; median of %d", b.snapshots, b.starts),
		},
		&measure.Bound{
			Name: "idle memory", Show: measure.Mebibytes, Values: map[string]int64{ours: measure.Median(resident)}, Most: maxIdle,
			About: fmt.Sprintf("with %d snapshots, VmRSS a second after the start; of that %.0f MiB are no pages of files", b.snapshots, float64(measure.Median(anon))/(1<<20)),
		})
	return nil
}

// fillStore makes snapshots as the operator does, in process, but leaves it to the kernel when to write them.
func (b *bench) fillStore(ctx context.Context, dir string) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	// They were made some hours ago: what was pushed within the hour has claims in memory, besides.
	earlier := func() time.Time { return time.Now().Add(-12 * time.Hour) }
	s, err := store.Open(dir, store.Options{NoSync: true, Now: earlier})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var numbers measure.Counter
	group, ctx := errgroup.WithContext(ctx)
	for range fillers {
		group.Go(func() error {
			for n := numbers.Next(); n <= int64(b.snapshots); n = numbers.Next() {
				if err := put(ctx, s, newArtifact(b.Seed, ours, n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func put(ctx context.Context, s *store.Store, a artifact) error {
	repository, err := s.Repository(a.repository)
	if err != nil {
		return err
	}
	for _, content := range [][]byte{a.layer, a.config} {
		stage, err := repository.Stage(ctx)
		if err != nil {
			return err
		}
		if _, err := stage.Write(content); err != nil {
			return errors.Join(err, stage.Close())
		}
		if _, err := stage.Commit(ctx, ""); err != nil {
			return err
		}
	}
	_, err = repository.PutManifest(ctx, measure.ManifestType, a.manifest(), "v1")
	return err
}

func (b *bench) startOnce(ctx context.Context, w *measure.World, dir string) (time.Duration, operator.Usage, int64, error) {
	begin := time.Now()
	c, err := w.StartIn(ctx, ours, dir, false)
	if err != nil {
		return 0, operator.Usage{}, 0, err
	}
	if err := c.Pull(ctx, "/v2/"+artifactName(1)+"/manifests/v1", -1); err != nil {
		return 0, operator.Usage{}, 0, err
	}
	took := time.Since(begin)
	timer := time.NewTimer(min(settle, time.Duration(b.snapshots)*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return 0, operator.Usage{}, 0, context.Cause(ctx)
	}
	usage, err := operator.UsageOf(c.Process.PID())
	own, err2 := measure.Anonymous(c.Process)
	return took, usage, own, errors.Join(err, err2, c.Stop())
}
