package endurance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/snapshot"
)

// pullEvery is the pause between two rounds of a puller, so that others get at the cores too.
const pullEvery = 20 * time.Millisecond

// puller pulls everything that the embedded registry has, all the time, and remembers what was wrong with it. That the
// registry does not answer is not wrong: it is killed.
type puller struct {
	w            *world
	registry     *registry
	repositories []string
	ctx          context.Context
	stop         func()

	proved            map[string]string // the digest of what a tag named when it was pulled whole
	rounds, cut, went int
	wrong             map[string]bool
}

// pullAlways begins to pull the repositories of the Snapshots that some namespaces have now.
func (w *world) pullAlways(namespaces ...string) *puller {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	p := &puller{w: w, registry: w.registry(), ctx: ctx, proved: map[string]string{}, wrong: map[string]bool{}}
	for _, namespace := range namespaces {
		for _, obj := range w.objectsIn(namespace, v1alpha1.SnapshotKind) {
			p.repositories = append(p.repositories, snapshot.RepositoryName(namespace, obj.GetName()))
		}
	}
	var group sync.WaitGroup
	group.Go(func() {
		for ; ctx.Err() == nil; p.rounds++ {
			p.round(false)
			e2etest.Pause(ctx, pullEvery)
		}
	})
	p.stop = func() {
		cancel()
		group.Wait()
	}
	w.t.Cleanup(p.stop)
	return p
}

// round pulls what is new, and everything once more if that is wanted.
func (p *puller) round(again bool) {
	for _, repository := range p.repositories {
		tags, err := p.registry.tags(p.ctx, repository)
		if p.failed(repository, err) {
			continue
		}
		for _, tag := range tags {
			p.failed(repository+":"+tag, p.pull(repository, tag, again))
		}
	}
}

func (p *puller) pull(repository, tag string, again bool) error {
	manifest, err := p.registry.resolve(p.ctx, repository, tag)
	if err != nil {
		return err
	}
	place := repository + ":" + tag
	if p.proved[place] == manifest && !again {
		return nil
	}
	content, err := p.registry.pull(p.ctx, repository, manifest)
	if err != nil {
		return err
	}
	found, err := content.places()
	if err != nil {
		return err
	}
	if content.version != tag || len(found) == 0 {
		return fmt.Errorf("manifest %s is labelled %s and has content of %v", manifest, content.version, found)
	}
	for where, version := range found {
		if version != tag {
			return fmt.Errorf("manifest %s has content of version %s in %s", manifest, version, where)
		}
	}
	if before := p.proved[place]; before != "" && before != manifest {
		return fmt.Errorf("it was %s and is %s: content of a version is always the same", before, manifest)
	}
	p.proved[place] = manifest
	p.went++
	return nil
}

// failed tells whether there is nothing to go on with, and remembers what is wrong.
func (p *puller) failed(what string, err error) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, errUnreachable), p.ctx.Err() != nil:
		p.cut++
	default:
		p.wrong[fmt.Sprintf("%s: %v", what, err)] = true
	}
	return true
}

// finish ends the pulling, pulls everything once more, and fails the test for what was wrong. Each repository has to have
// that many versions.
func (p *puller) finish(versions int) {
	t := p.w.t
	t.Helper()
	p.stop()
	p.ctx = t.Context()
	p.registry.client.CloseIdleConnections()
	before := p.cut
	p.round(true)
	if p.cut > before {
		t.Error("the embedded registry does not answer in the end")
	}
	for wrong := range p.wrong {
		t.Errorf("the embedded registry has served something wrong: %s", wrong)
	}
	// A version that was overtaken while the operator did not run is never delivered; here each one is waited for.
	if want := versions * len(p.repositories); len(p.proved) != want {
		t.Errorf("%d versions were pulled, want %d", len(p.proved), want)
	}
	t.Logf("%d rounds over %d repositories: %d versions pulled whole, %d requests cut off", p.rounds, len(p.repositories), len(p.proved), p.cut)
}
