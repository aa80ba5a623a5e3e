package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ocm-operator/ocm-operator/e2e/measure"
	"github.com/ocm-operator/ocm-operator/e2e/server"
)

// Ways to copy, as in the table.
const (
	ours    = "ours"
	plain   = "plain copy"
	oras    = "oras"
	machine = "machine"
)

// direction measures copies from one registry to another.
func (b *bench) direction(ctx context.Context, w *measure.World, from, to string) error {
	source, err := w.Start(ctx, from, false)
	if err != nil {
		return err
	}
	if err := b.cargo.publish(ctx, source); err != nil {
		return fmt.Errorf("publish what is copied: %w", err)
	}
	bottom, err := b.startBottom(ctx, w)
	if err != nil {
		return err
	}
	tell := func(name string) string { return from + " to " + to + name }
	names := []string{machine, plain, oras, ours, plain, ours}
	turns := make([]measure.Turn, len(names))
	served := make([]measure.Series, len(names))
	for i, how := range names {
		copier, err := w.Self(ctx, copyCommand)
		if err != nil {
			return err
		}
		turns[i] = func(ctx context.Context, _ int) (own measure.Sample, err error) {
			var servers measure.Sample
			if how == machine {
				own, servers, err = b.copyFiles(ctx, copier, bottom)
			} else {
				own, servers, err = b.copyOnce(ctx, w, copier, source, to, how, i > 3)
			}
			served[i] = append(served[i], servers)
			return own, err
		}
	}
	results, err := measure.TakeTurns(ctx, b.rounds, turns...)
	if err != nil {
		return err
	}
	of := func(i int) contestant { return contestant{own: results[i], servers: served[i]} }
	b.add(&row{
		name: tell(""), contestants: map[string]contestant{machine: of(0), plain: of(1), oras: of(2), ours: of(3)},
		goals: []goal{{plain, 0.8}, {oras, 1}},
		about: fmt.Sprintf("%d MiB in %d blobs, %d at once, %d images and a component; ours looks for each blob before it sends it, leaves comparing digests "+
			"to the target once that has proven to do it, and then asks the target for every descriptor; machine: files to a sink that hashes, writes a file "+
			"and syncs it", b.bytes>>20, b.blobs, b.concurrency, b.images),
	})
	b.add(&row{
		name: tell(", read back"), contestants: map[string]contestant{plain: of(4), ours: of(5)}, goals: []goal{{plain, 0.8}},
		about: "the same, and what resources promise a digest of is read at the target and compared, as ComponentSubscriptions do: local blobs, which have a fifth " +
			"of the bytes, and manifests of images; layers the registry has compared itself when it took them",
	})
	return nil
}

// copyOnce copies into a registry that is empty, and is gone afterwards.
func (b *bench) copyOnce(ctx context.Context, w *measure.World, copier *server.Process, source *measure.Contestant, to, how string, readBack bool) (own, servers measure.Sample, err error) {
	destination, err := w.Start(ctx, to, false)
	if err != nil {
		return own, servers, err
	}
	j := job{How: how, Source: endOf(source), Target: endOf(destination), Artifacts: b.cargo.artifacts(), Concurrency: b.concurrency, ReadBack: readBack}
	own, servers, err = b.account(ctx, copier, j, source.Process, destination.Process)
	if err == nil {
		// What is tagged last is there.
		err = destination.Pull(ctx, "/v2/"+target(from+"/"+descriptor)+"/manifests/"+version, -1)
	}
	return own, servers, errors.Join(err, destination.Process.Kill(), os.RemoveAll(destination.Dir))
}

// account lets a copier work, and returns what it took of it and of the servers.
func (b *bench) account(ctx context.Context, copier *server.Process, j job, around ...*server.Process) (own, servers measure.Sample, err error) {
	servers, err = measure.Account(func() (measure.Sample, error) {
		own, err = measure.Account(func() (measure.Sample, error) {
			return measure.Once(b.bytes, func() error { return order(ctx, copier, j) })
		}, copier)
		return own, err
	}, around...)
	return own, servers, err
}

// bottom are the least that servers can do: one has the blobs as files, the other takes them.
type bottom struct{ source, sink *measure.Contestant }

func (b *bench) startBottom(ctx context.Context, w *measure.World) (*bottom, error) {
	field, err := w.Field(ctx, false, measure.Machine, measure.Machine)
	if err != nil {
		return nil, err
	}
	for _, x := range b.cargo.blobs() {
		if err := b.cargo.writeFile(filepath.Join(field[0].Dir, x.digest.Encoded()), x); err != nil {
			return nil, err
		}
	}
	return &bottom{field[0], field[1]}, nil
}

func (b *bench) copyFiles(ctx context.Context, copier *server.Process, x *bottom) (own, servers measure.Sample, err error) {
	j := job{How: machine, Source: endOf(x.source), Target: endOf(x.sink), Concurrency: b.concurrency}
	for _, x := range b.cargo.blobs() {
		j.Files = append(j.Files, file{Name: x.digest.Encoded(), Size: x.size})
	}
	return b.account(ctx, copier, j, x.source.Process, x.sink.Process)
}

// maxGrowth is by how much our memory may grow with what is copied.
const maxGrowth = 16 << 20

// memory measures by how much copiers grow while they copy. All have copied something before: what a process makes once is
// there.
func (b *bench) memory(ctx context.Context, w *measure.World) error {
	little := &bench{size: quick, seed: b.seed + 1}
	var err error
	if little.cargo, err = newCargo(little.size, little.seed); err != nil {
		return err
	}
	runs := []*bench{little, b}
	sources, err := w.Field(ctx, false, measure.Distribution, measure.Distribution)
	if err != nil {
		return err
	}
	for i, x := range runs {
		if err := x.cargo.publish(ctx, sources[i]); err != nil {
			return fmt.Errorf("publish what is copied: %w", err)
		}
	}
	grown := map[string]int64{}
	for _, how := range []string{plain, oras, ours} {
		copier, err := w.Self(ctx, copyCommand)
		if err != nil {
			return err
		}
		for i, x := range runs {
			grown[how], err = measure.Growth(ctx, copier, func() error {
				_, _, err := x.copyOnce(ctx, w, copier, sources[i], measure.Ours, how, true)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	b.bounds = append(b.bounds, &bound{
		name: "growth of memory", ours: grown[ours], plain: grown[plain], oras: grown[oras], most: maxGrowth,
		about: fmt.Sprintf("RssAnon of the copying process at most, above what it was before it copied %d MiB, %d blobs at once; "+
			"ours and the plain copy also read it back", b.bytes>>20, b.concurrency),
	})
	return nil
}
