package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
)

const maxGrowth = 16 << 20

// memory measures by how much servers grow with large transfers at once.
func (b *bench) memory(ctx context.Context, w *measure.World) error {
	content, err := newSource(w.Dir, b.largest, b.Seed)
	if err != nil {
		return err
	}
	grown := map[string]int64{}
	for _, run := range []struct {
		name   string
		secure bool
	}{{ours, false}, {ours, true}, {other, false}, {other, true}} {
		c, err := w.Start(ctx, run.name, run.secure)
		if err != nil {
			return err
		}
		if grown[run.name+strconv.FormatBool(run.secure)], err = b.growth(ctx, c, content); err != nil {
			return err
		}
	}
	about := fmt.Sprintf("RssAnon at most, above what it was before %d pushes and then %d pulls of %d MiB at once", b.parallel, b.parallel, content.bytes>>20)
	b.Report.Bound(
		&measure.Bound{Name: "growth of memory", Show: measure.Mebibytes, Values: map[string]int64{ours: grown[ours+"false"], other: grown[other+"false"]}, Most: maxGrowth, About: about},
		&measure.Bound{Name: "growth of memory, TLS", Show: measure.Mebibytes, Values: map[string]int64{ours: grown[ours+"true"], other: grown[other+"true"]}, Most: maxGrowth, About: about})
	return nil
}

func (b *bench) growth(ctx context.Context, c *measure.Contestant, content *source) (int64, error) {
	// Whatever a server makes once is there before.
	a := newArtifact(b.Seed, c.Name, 0)
	if err := a.push(ctx, c); err != nil {
		return 0, err
	}
	if err := c.Pull(ctx, "/v2/"+a.repository+"/blobs/"+digest.FromBytes(a.layer).String(), smallBytes); err != nil {
		return 0, err
	}
	return measure.Growth(ctx, c.Process, func() error { return b.atOnce(ctx, c, content) })
}

// atOnce pushes blobs at once, and then pulls them at once.
func (b *bench) atOnce(ctx context.Context, c *measure.Contestant, content *source) error {
	f, err := os.Open(content.path)
	if err != nil {
		return fmt.Errorf("open the large file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	pushes, pushing := errgroup.WithContext(ctx)
	digests := make([]digest.Digest, b.parallel)
	for i := range digests {
		sent, d, err := content.view(f)
		if err != nil {
			return errors.Join(err, pushes.Wait())
		}
		digests[i] = d
		pushes.Go(func() error { return c.PushBlob(pushing, largeRepo, d, sent) })
	}
	if err := pushes.Wait(); err != nil {
		return err
	}
	pulls, pulling := errgroup.WithContext(ctx)
	for _, d := range digests {
		pulls.Go(func() error { return c.Pull(pulling, "/v2/"+largeRepo+"/blobs/"+d.String(), content.bytes) })
	}
	return pulls.Wait()
}
