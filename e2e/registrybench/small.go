package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

// stock is how many artifacts small pulls choose from.
const stock = 64

// small measures many small artifacts at once.
func (b *bench) small(ctx context.Context, w *measure.World) error {
	field, err := w.Field(ctx, false, machine, ours, other)
	if err != nil {
		return err
	}
	if err := b.smallPush(ctx, field); err != nil {
		return fmt.Errorf("small push: %w", err)
	}
	if err := b.smallPull(ctx, field); err != nil {
		return fmt.Errorf("small pull: %w", err)
	}
	return nil
}

// smallPush pushes artifacts of two kinds: those that share their configuration, and images, whose configuration is a blob of its own.
func (b *bench) smallPush(ctx context.Context, field []*measure.Contestant) error {
	var numbers measure.Counter
	repeat := func(c *measure.Contestant, work func(ctx context.Context) error) measure.Turn {
		return func(ctx context.Context, _ int) (measure.Sample, error) {
			return c.Account(func() (measure.Sample, error) { return measure.Crowd(ctx, b.workers, b.turn, work) })
		}
	}
	push := func(c *measure.Contestant) measure.Turn {
		return repeat(c, func(ctx context.Context) error { return newArtifact(b.Seed, c.Name, numbers.Next()).push(ctx, c) })
	}
	pushImage := func(c *measure.Contestant) measure.Turn {
		return repeat(c, func(ctx context.Context) error {
			return newArtifact(b.Seed, c.Name, numbers.Next()).configured().push(ctx, c)
		})
	}
	write := repeat(field[0], func(context.Context) error { return b.writeSynced(field[0].Dir, numbers.Next()) })
	results, err := measure.TakeTurns(ctx, b.rounds, write, push(field[1]), push(field[2]), pushImage(field[1]), pushImage(field[2]))
	if err != nil {
		return err
	}
	b.Report.Add(&measure.Row{
		Name: "durable small push", Results: contest{machine: results[0], ours: results[1], other: results[2]}.results(artifacts), Goals: against(other, 8),
		About: fmt.Sprintf("artifacts with a layer of 4 KiB and the empty configuration that all share, each in a repository of its own, with five requests, "+
			"%d at once; machine: files of 4 KiB, each synced with its directory", b.workers),
	})
	b.Report.Add(&measure.Row{
		Name: "durable small image push", Results: contest{machine: results[0], ours: results[3], other: results[4]}.results(artifacts),
		About: "the same with a configuration of its own for each, so two new blobs instead of one",
	})
	return nil
}

// writeSynced is the least that one durable write takes.
func (b *bench) writeSynced(dir string, n int64) error {
	content := make([]byte, smallBytes)
	measure.Fill(content, b.Seed, machine, n)
	f, err := os.Create(filepath.Join(dir, strconv.FormatInt(n, 10)))
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (b *bench) smallPull(ctx context.Context, field []*measure.Contestant) error {
	turns := make([]measure.Turn, len(field))
	for i, c := range field {
		var numbers measure.Counter
		work := func(ctx context.Context) error {
			if err := c.Pull(ctx, "/any?bytes=400", 400); err != nil {
				return err
			}
			return c.Pull(ctx, "/any?bytes="+strconv.Itoa(smallBytes), smallBytes)
		}
		if c.Name != machine {
			layers, err := b.supply(ctx, c)
			if err != nil {
				return err
			}
			work = func(ctx context.Context) error {
				n := int(numbers.Next() % stock)
				repository := "/v2/" + artifactName(stockNumber(n))
				if err := c.Pull(ctx, repository+"/manifests/v1", -1); err != nil {
					return err
				}
				return c.Pull(ctx, repository+"/blobs/"+layers[n].String(), smallBytes)
			}
		}
		turns[i] = func(ctx context.Context, _ int) (measure.Sample, error) {
			return c.Account(func() (measure.Sample, error) { return measure.Crowd(ctx, b.workers, b.turn, work) })
		}
	}
	results, err := measure.TakeTurns(ctx, b.rounds, turns...)
	if err != nil {
		return err
	}
	b.Report.Add(&measure.Row{
		Name: "small pull", Results: contest{machine: results[0], ours: results[1], other: results[2]}.results(artifacts), Goals: against(other, 5),
		About: fmt.Sprintf("manifest by tag and layer of 4 KiB, two requests, %d at once; machine: two answers of the same size by net/http alone", b.workers),
	})
	return nil
}

// stockNumber is out of the way of those that were pushed to be measured.
func stockNumber(n int) int64 { return -1 - int64(n) }

// supply pushes what is pulled, and returns the layers.
func (b *bench) supply(ctx context.Context, c *measure.Contestant) ([]digest.Digest, error) {
	layers := make([]digest.Digest, stock)
	for n := range layers {
		a := newArtifact(b.Seed, c.Name, stockNumber(n))
		if err := a.push(ctx, c); err != nil {
			return nil, err
		}
		layers[n] = digest.FromBytes(a.layer)
	}
	return layers, nil
}
