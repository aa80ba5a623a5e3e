package replication

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/e2e/e2etest"
	"github.com/ocm-operator/ocm-operator/ocm"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

const (
	// lookEvery is the pause between two rounds of a witness, so that others get at the cores too.
	lookEvery = 10 * time.Millisecond
	// unlistable is how long a tag may be listed that can't be read: distribution lists one before it leads anywhere, and its machine
	// may have other things to do in between. In the end each tag has to lead somewhere.
	unlistable = time.Minute
	// maxAnswer bounds what a witness reads of an answer.
	maxAnswer = 8 << 20
	// descriptors are where repositories of components are below the path of a repository.
	descriptors = "/component-descriptors/"
)

// witness looks at all tags below a path of a registry all the time: each must lead to all that belongs to it, as soon as it is there.
type witness struct {
	gate *gate
	path string
	stop func()

	ocm    *ocm.Repository
	rounds int
	// whole are the manifests that were there with everything, by repository@digest. Nothing is deleted meanwhile.
	whole map[string]bool
	// tags are where tags have led to, by repository:tag.
	tags map[string]string
	// early are tags that were listed and led nowhere, since when.
	early map[string]time.Time
	wrong map[string]bool
}

// witnesses begins to look, past the gate, until the test ends.
func witnesses(t *testing.T, g *gate, path string) *witness {
	t.Helper()
	repository, err := ocm.Open("http://"+g.direct+"/"+path, ocm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w := &witness{gate: g, path: path, ocm: repository, whole: map[string]bool{}, tags: map[string]string{}, early: map[string]time.Time{}, wrong: map[string]bool{}}
	var group sync.WaitGroup
	group.Go(func() {
		for ; ctx.Err() == nil; w.rounds++ {
			w.round(ctx)
			e2etest.Pause(ctx, lookEvery)
		}
	})
	w.stop = func() {
		cancel()
		group.Wait()
	}
	t.Cleanup(w.stop)
	return w
}

// finish ends the looking, looks once more, and fails the test for what was wrong. It returns how many tags there are.
func (w *witness) finish(t *testing.T) int {
	t.Helper()
	w.stop()
	clear(w.whole)
	w.round(t.Context())
	for tag, since := range w.early {
		w.wrong[fmt.Sprintf("%s is listed and has led nowhere for %s", tag, time.Since(since).Round(time.Millisecond))] = true
	}
	for _, wrong := range slices.Sorted(maps.Keys(w.wrong)) {
		t.Errorf("seen below %s/%s: %s", w.gate.direct, w.path, wrong)
	}
	t.Logf("witness of %s: %d rounds, %d tags, %d manifests with everything that belongs to them", w.path, w.rounds, len(w.tags), len(w.whole))
	return len(w.tags)
}

func (w *witness) round(ctx context.Context) {
	var catalog struct{ Repositories []string }
	if err := w.get(ctx, "_catalog?n=1000", &catalog); err != nil {
		w.fail(ctx, "catalog", err)
		return
	}
	for _, repository := range catalog.Repositories {
		if !strings.HasPrefix(repository, w.path+"/") {
			continue
		}
		var listing struct{ Tags []string }
		if err := w.get(ctx, repository+"/tags/list", &listing); err != nil {
			if !errors.Is(err, ocm.ErrNotFound) { // the repository has no tag yet
				w.fail(ctx, repository, err)
			}
			continue
		}
		for _, tag := range listing.Tags {
			w.fail(ctx, repository+":"+tag, w.tag(ctx, repository, tag))
		}
	}
}

// fail remembers what is wrong.
func (w *witness) fail(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		w.wrong[fmt.Sprintf("%s: %v", what, err)] = true
	}
}

// tag looks at everything that a tag leads to.
func (w *witness) tag(ctx context.Context, repository, tag string) error {
	raw, err := w.do(ctx, http.MethodGet, repository+"/manifests/"+tag)
	if errors.Is(err, ocm.ErrNotFound) && w.mayBeEarly(repository+":"+tag) {
		return nil
	}
	if err != nil {
		return err
	}
	delete(w.early, repository+":"+tag)
	found := digest.FromBytes(raw)
	if before, ok := w.tags[repository+":"+tag]; ok && before != found.String() {
		return fmt.Errorf("it led to %s and leads to %s", before, found)
	}
	w.tags[repository+":"+tag] = found.String()
	if w.whole[repository+"@"+found.String()] {
		return nil
	}
	if err := w.manifest(ctx, repository, raw); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(repository, w.path+descriptors); ok {
		return w.component(ctx, name, tag)
	}
	return nil
}

// mayBeEarly tells whether a tag that leads nowhere is new.
func (w *witness) mayBeEarly(tag string) bool {
	since, known := w.early[tag]
	if !known {
		since = time.Now()
		w.early[tag] = since
	}
	_, led := w.tags[tag]
	return !led && time.Since(since) < unlistable
}

// manifest looks at what a manifest or an index names.
func (w *witness) manifest(ctx context.Context, repository string, raw []byte) error {
	key := repository + "@" + digest.FromBytes(raw).String()
	if w.whole[key] {
		return nil
	}
	var m struct {
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return err
	}
	for _, child := range m.Manifests {
		inner, err := w.do(ctx, http.MethodGet, repository+"/manifests/"+child.Digest.String())
		if err != nil {
			return err
		}
		if err := w.manifest(ctx, repository, inner); err != nil {
			return err
		}
	}
	if m.Config != nil {
		m.Layers = append(m.Layers, *m.Config)
	}
	for _, blob := range m.Layers {
		if _, err := w.do(ctx, http.MethodHead, repository+"/blobs/"+blob.Digest.String()); err != nil {
			return err
		}
	}
	w.whole[key] = true
	return nil
}

// component looks at what a component version leads to beyond its own repository: artifacts and other components.
func (w *witness) component(ctx context.Context, name, version string) error {
	found, err := w.ocm.Get(ctx, name, version)
	if err != nil {
		return err
	}
	d := found.Descriptor()
	for i := range d.Component.Resources {
		if err := w.artifact(ctx, found, &d.Component.Resources[i]); err != nil {
			return err
		}
	}
	for _, reference := range d.Component.References {
		if _, err := w.ocm.Get(ctx, reference.ComponentName, reference.Version); err != nil {
			return fmt.Errorf("reference %s: %w", reference.Name, err)
		}
	}
	return nil
}

func (w *witness) artifact(ctx context.Context, found *ocm.ComponentVersion, resource *descriptor.Resource) error {
	if resource.Access.Type != "ociArtifact" {
		return nil
	}
	name, err := found.ImageReference(resource)
	if err != nil {
		return err
	}
	ref, err := oci.ParseReference("http://" + name)
	if err != nil {
		return err
	}
	if ref.Host != w.gate.host {
		return fmt.Errorf("resource %s is still at %s", resource.Name, ref.Host)
	}
	raw, err := w.do(ctx, http.MethodGet, ref.Path+"/manifests/"+ref.Tag)
	if err != nil {
		return fmt.Errorf("resource %s: %w", resource.Name, err)
	}
	return w.manifest(ctx, ref.Path, raw)
}

func (w *witness) get(ctx context.Context, path string, into any) error {
	raw, err := w.do(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// do asks the registry, past the gate.
func (w *witness) do(ctx context.Context, method, path string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+w.gate.direct+"/v2/"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", ocispec.MediaTypeImageManifest+", "+ocispec.MediaTypeImageIndex)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%s %s: %w", method, path, ocm.ErrNotFound)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s %s: status %d", method, path, answer.StatusCode)
	}
	return raw, nil
}
