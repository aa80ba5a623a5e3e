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
	ours    = measure.Ours
	plain   = "plain"
	oras    = "oras"
	machine = measure.Machine
)

// entry is a contestant that takes turns: a way to copy, by a copier of its own. Some read back what they have copied.
type entry struct {
	how      string
	readBack bool
	// served is what the servers took meanwhile.
	served measure.Series
}

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
	entries := []*entry{{how: machine}, {how: plain}, {how: oras}, {how: ours}, {how: plain, readBack: true}, {how: ours, readBack: true}}
	turns := make([]measure.Turn, len(entries))
	for i, e := range entries {
		copier, err := w.Self(ctx, copyCommand)
		if err != nil {
			return err
		}
		turns[i] = b.turn(w, e, copier, source, bottom, to)
	}
	// What a process does once, it does in a round that does not count.
	if _, err := measure.TakeTurns(ctx, 1, turns...); err != nil {
		return err
	}
	for _, e := range entries {
		e.served = nil
	}
	results, err := measure.TakeTurns(ctx, b.rounds, turns...)
	if err != nil {
		return err
	}
	b.tell(from+" to "+to, entries, results)
	return nil
}

// turn is that of an entry.
func (b *bench) turn(w *measure.World, e *entry, copier *server.Process, source *measure.Contestant, bottom *bottom, to string) measure.Turn {
	return func(ctx context.Context, _ int) (own measure.Sample, err error) {
		var servers measure.Sample
		if e.how == machine {
			own, servers, err = b.copyFiles(ctx, copier, bottom)
		} else {
			own, servers, err = b.copyOnce(ctx, w, copier, source, to, e)
		}
		e.served = append(e.served, servers)
		return own, err
	}
}

// tell adds what a direction has come to: a row of those who copy, and one of those who read it back, too.
func (b *bench) tell(name string, entries []*entry, results []measure.Series) {
	copied := &measure.Row{
		Name: name, Results: map[string]measure.Result{}, Goals: []measure.Goal{{Against: plain, Least: 0.8}, {Against: oras, Least: 1}},
		About: fmt.Sprintf("%d MiB in %d blobs, %d at once, %d images and a component, after a round that does not count; ours looks for each blob before it sends it, "+
			"leaves comparing digests to the target once that has proven to do it, and then asks the target for every descriptor; oras-go copies one artifact after the other; "+
			"machine: files to a sink that hashes, writes a file and syncs it", b.bytes>>20, b.blobs, b.concurrency, b.images),
	}
	proven := &measure.Row{
		Name: name + ", read back", Results: map[string]measure.Result{}, Goals: []measure.Goal{{Against: plain, Least: 0.8}},
		About: "the same, and what resources promise a digest of is read at the target and compared, as ComponentSubscriptions do: local blobs, which have a fifth " +
			"of the bytes, and manifests of images; layers the registry has compared itself when it took them",
	}
	for i, e := range entries {
		row := copied
		if e.readBack {
			row = proven
		}
		row.Results[e.how] = measure.Result{Series: results[i], Text: show(results[i], e.served)}
	}
	b.Report.Add(copied)
	b.Report.Add(proven)
}

// show writes the speed, and the CPU time of the copier and of both servers.
func show(own, servers measure.Series) string {
	return fmt.Sprintf("%.0f MB/s, %.2f + %.2f CPU s/GiB", own.Rate()/1e6, own.CPU()*(1<<30), servers.CPU()*(1<<30))
}

// copyOnce copies into a registry that is empty, and is gone afterwards.
func (b *bench) copyOnce(ctx context.Context, w *measure.World, copier *server.Process, source *measure.Contestant, to string, e *entry) (own, servers measure.Sample, err error) {
	destination, err := w.Start(ctx, to, false)
	if err != nil {
		return own, servers, err
	}
	j := job{How: e.how, Source: endOf(source), Target: endOf(destination), Artifacts: b.cargo.artifacts(), Concurrency: b.concurrency, ReadBack: e.readBack}
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
	little := &bench{size: quick}
	var err error
	if little.cargo, err = newCargo(little.size, b.Seed+1); err != nil {
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
				_, _, err := x.copyOnce(ctx, w, copier, sources[i], measure.Ours, &entry{how: how, readBack: true})
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	b.Report.Bound(&measure.Bound{
		Name: "growth of memory", Show: measure.Mebibytes, Values: grown, Most: maxGrowth,
		About: fmt.Sprintf("RssAnon of the copying process at most, above what it was before it copied %d MiB, %d blobs at once; "+
			"ours and the plain copy also read it back", b.bytes>>20, b.concurrency),
	})
	return nil
}
