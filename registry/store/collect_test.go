package store_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

type roots store.RootSet

func (r roots) Roots(context.Context) (store.RootSet, error) { return store.RootSet(r), nil }

func managed(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix) }
}

func collect(t testing.TB, s *store.Store, keep ...store.Root) store.CollectStats {
	t.Helper()
	stats, err := s.Collect(t.Context(), roots{Complete: true, Manifests: keep, Managed: managed("managed/")})
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

func TestCollect(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{Now: c.Now, LeaseTTL: time.Minute})
	one, two, user := repository(t, s, "managed/one"), repository(t, s, "managed/two"), repository(t, s, "user")
	old, oldLayer := artifact(t, one, "old", "v1")
	current, currentLayer := artifact(t, one, "current", "v2")
	other, otherLayer := artifact(t, two, "old", "v1")
	tagged, _ := artifact(t, user, "tagged", "v1")
	untagged, _ := artifact(t, user, "untagged")
	push(t, one, "never named by a manifest")
	keep := []store.Root{{Repository: "managed/one", Digest: current.Digest}, {Repository: "managed/two", Digest: other.Digest}}

	if stats := collect(t, s, keep...); stats != (store.CollectStats{}) {
		t.Errorf("leases did not keep anything: %+v", stats)
	}
	c.Advance(2 * time.Minute)
	stats := collect(t, s, keep...)
	if want := (store.CollectStats{Manifests: 2, Blobs: 2, Bytes: int64(len("untagged" + "never named by a manifest"))}); stats != want {
		t.Errorf("got %+v, want %+v", stats, want)
	}
	for name, m := range map[string]struct {
		repo *store.Repository
		d    digest.Digest
		kept bool
	}{
		"old": {one, old.Digest, false}, "current": {one, current.Digest, true}, "other": {two, other.Digest, true},
		"tagged": {user, tagged.Digest, true}, "untagged": {user, untagged.Digest, false},
	} {
		if _, _, err := m.repo.Manifest(t.Context(), m.d.String()); (err == nil) != m.kept {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := one.Manifest(t.Context(), "v1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a tag outlived what it points at: %v", err)
	}
	if _, err := read(t, one, oldLayer.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a repository keeps the link of a manifest that is gone: %v", err)
	}
	for r, d := range map[*store.Repository]digest.Digest{one: currentLayer.Digest, two: otherLayer.Digest} {
		if _, err := read(t, r, d); err != nil {
			t.Errorf("content that must stay: %v", err)
		}
	}

	c.Advance(2 * time.Minute)
	collect(t, s, keep[1])
	if names, _, err := s.Repositories(t.Context(), "", 10); err != nil || strings.Join(names, " ") != "managed/two user" {
		t.Errorf("repositories: %v, %v", names, err)
	}
	if got := s.Stats(); got.Blobs != 3 || got.Bytes != int64(len("old"+"tagged"+"{}")) {
		t.Errorf("got %+v", got)
	}
}

func TestCollectKeepsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{Now: c.Now, LeaseTTL: time.Minute})
	r := repository(t, s, "managed/app")
	manifest, layer := artifact(t, r, "content")
	_, body, err := r.Manifest(t.Context(), manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	asked, loose := push(t, r, "asked for"), push(t, r, "not asked for")
	c.Advance(50 * time.Second)
	for _, d := range []digest.Digest{asked.Digest, layer.Digest, digest.FromString("{}")} {
		if _, err := r.StatBlob(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	c.Advance(50 * time.Second)
	if stats := collect(t, s); stats.Manifests != 1 || stats.Blobs != 1 {
		t.Errorf("got %+v", stats)
	}
	if _, err := read(t, r, loose.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	// The client that was told that the blobs are there pushes the manifest only.
	if _, err := r.PutManifest(t.Context(), manifest.MediaType, body); err != nil {
		t.Error(err)
	}
	if got, err := read(t, r, layer.Digest); err != nil || got != "content" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCollectFollows(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{Now: c.Now, LeaseTTL: time.Minute})
	r := repository(t, s, "managed/app")
	child, _ := artifact(t, r, "child")
	signature, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, &child, push(t, r, "{}"), push(t, r, "signature")))
	if err != nil {
		t.Fatal(err)
	}
	inner, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, indexOf(t, child))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, indexOf(t, inner))
	if err != nil {
		t.Fatal(err)
	}
	c.Advance(2 * time.Minute)
	if stats := collect(t, s, store.Root{Repository: "managed/app", Digest: outer.Digest}); stats != (store.CollectStats{}) {
		t.Errorf("what a root reaches was removed: %+v", stats)
	}
	if _, _, err := r.Manifest(t.Context(), signature.Digest.String()); err != nil {
		t.Errorf("referrer: %v", err)
	}
	c.Advance(2 * time.Minute)
	if stats := collect(t, s); stats.Manifests != 4 || stats.Blobs != 3 {
		t.Errorf("got %+v", stats)
	}
	if got := s.Stats(); got.Blobs != 0 || got.Bytes != 0 {
		t.Errorf("got %+v", got)
	}
}

type rootsFunc func(ctx context.Context) (store.RootSet, error)

func (f rootsFunc) Roots(ctx context.Context) (store.RootSet, error) { return f(ctx) }

func TestCollectWaitsForRoots(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{Now: c.Now, LeaseTTL: time.Minute})
	r := repository(t, s, "managed/app")
	manifest, _ := artifact(t, r, "content")
	c.Advance(time.Hour)
	if _, err := s.Collect(t.Context(), roots{Managed: managed("managed/")}); !errors.Is(err, store.ErrRootsIncomplete) {
		t.Errorf("got %v", err)
	}
	down := errors.New("cache is not in sync")
	if _, err := s.Collect(t.Context(), rootsFunc(func(context.Context) (store.RootSet, error) { return store.RootSet{}, down })); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	if _, _, err := r.Manifest(t.Context(), manifest.Digest.String()); err != nil {
		t.Errorf("something was removed: %v", err)
	}
}

// TestCollectTakesLong: what was pushed after a collection knew its roots may be a root by now, even if its lease ends before the
// collection does.
func TestCollectTakesLong(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{Now: c.Now, LeaseTTL: time.Minute})
	r := repository(t, s, "managed/app")
	old, _ := artifact(t, r, "old")
	c.Advance(time.Hour)
	var pushed ocispec.Descriptor
	stats, err := s.Collect(t.Context(), rootsFunc(func(context.Context) (store.RootSet, error) {
		pushed, _ = artifact(t, r, "pushed meanwhile")
		c.Advance(time.Hour)
		return store.RootSet{Complete: true, Managed: managed("managed/")}, nil
	}))
	if err != nil || stats.Manifests != 1 {
		t.Errorf("got %+v, %v", stats, err)
	}
	if err := checkArtifact(t.Context(), r, pushed.Digest.String()); err != nil {
		t.Errorf("what was pushed meanwhile: %v", err)
	}
	if _, _, err := r.Manifest(t.Context(), old.Digest.String()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what nobody wants: %v", err)
	}
	c.Advance(time.Hour)
	if stats := collect(t, s); stats.Manifests != 1 || stats.Blobs != 2 {
		t.Errorf("the next collection removed %+v", stats)
	}
}

func TestCollectorRuns(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan error)
	c := store.Collector{Store: s, Roots: roots{Complete: true}, Interval: time.Millisecond, Report: func(_ store.CollectStats, err error) { reports <- err }}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for range 2 {
		if err := <-reports; err != nil {
			t.Error(err)
		}
	}
	cancel()
	for {
		select {
		case <-reports:
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

// shortLease ends many times in one test.
const shortLease = 400 * time.Millisecond

// TestPushesBesideCollections pushes, replaces and reads artifacts while collections run without
// a pause and leases are as short as they get. No pusher may be told that something is there that is
// then gone, and nothing may dangle at the end.
func TestPushesBesideCollections(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{LeaseTTL: shortLease})
	var mu sync.Mutex
	current := map[string]digest.Digest{}
	live := rootsFunc(func(context.Context) (store.RootSet, error) {
		mu.Lock()
		defer mu.Unlock()
		set := store.RootSet{Complete: true, Managed: managed("managed/")}
		for name, d := range current {
			set.Manifests = append(set.Manifests, store.Root{Repository: name, Digest: d})
		}
		return set, nil
	})
	group, ctx := errgroup.WithContext(t.Context())
	for worker := range 4 {
		group.Go(func() error {
			for i := range 150 {
				name := fmt.Sprintf("managed/%d-%d", worker, i%3)
				begin := time.Now()
				d, err := replace(ctx, t, s, name, strconv.Itoa(i%7))
				if err != nil && time.Since(begin) >= shortLease {
					// On a busy machine a lease may end under way, and a client begins again.
					continue
				}
				if err != nil {
					return fmt.Errorf("%s, round %d: %w", name, i, err)
				}
				mu.Lock()
				current[name] = d
				mu.Unlock()
			}
			return nil
		})
	}
	pushed := make(chan error, 1)
	go func() { pushed <- group.Wait() }()
	collections := 0
	for running := true; running; collections++ {
		select {
		case err := <-pushed:
			if running = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		if _, err := s.Collect(t.Context(), live); err != nil {
			t.Fatal(err)
		}
	}
	for name, d := range current {
		if err := checkArtifact(t.Context(), repository(t, s, name), d.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d collections beside 600 pushes", collections)
}

// replace pushes as a client does: it asks first and uploads only what is missing.
func replace(ctx context.Context, t testing.TB, s *store.Store, name, content string) (digest.Digest, error) {
	t.Helper()
	r, err := s.Repository(name)
	if err != nil {
		return "", err
	}
	var all []ocispec.Descriptor
	for _, blob := range []string{"{}", content} {
		d := ocispec.Descriptor{Digest: digest.FromString(blob), Size: int64(len(blob))}
		if _, err := r.StatBlob(ctx, d.Digest); errors.Is(err, store.ErrNotFound) {
			_, err = pushBlob(ctx, r, []byte(blob), d.Digest)
			if err != nil {
				return "", err
			}
		} else if err != nil {
			return "", err
		}
		all = append(all, d)
	}
	desc, err := r.PutManifest(ctx, ocispec.MediaTypeImageManifest, image(t, nil, all[0], all[1]), "latest")
	if err != nil {
		return "", err
	}
	return desc.Digest, checkArtifact(ctx, r, desc.Digest.String())
}
