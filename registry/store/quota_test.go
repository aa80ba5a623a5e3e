package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// heard are notices in the order in which they came.
type heard chan store.Notice

func (h heard) notify(n store.Notice) { h <- n }

func (h heard) expect(t *testing.T, kind store.NoticeKind, repository string) store.Notice {
	t.Helper()
	select {
	case n := <-h:
		if n.Kind != kind || n.Repository != repository {
			t.Errorf("heard %+v, want %d of %s", n, kind, repository)
		}
		return n
	case <-time.After(time.Minute):
		t.Fatalf("nobody said %d of %s", kind, repository)
		return store.Notice{}
	}
}

// fill pushes an artifact of that many bytes, which no other has.
func fill(ctx context.Context, r *store.Repository, seed byte, size int, tags ...string) (ocispec.Descriptor, error) {
	content := make([]byte, size)
	for i := range content {
		content[i] = seed
	}
	layer, err := pushBlob(ctx, r, content, "")
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	body := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"a/b","digest":%q,"size":%d},"layers":[]}`,
		ocispec.MediaTypeImageManifest, layer.Digest, layer.Size)
	return r.PutManifest(ctx, ocispec.MediaTypeImageManifest, []byte(body), tags...)
}

func mustFill(t *testing.T, r *store.Repository, seed byte, size int, tags ...string) digest.Digest {
	t.Helper()
	desc, err := fill(t.Context(), r, seed, size, tags...)
	if err != nil {
		t.Fatal(err)
	}
	return desc.Digest
}

// collecting runs a collector that nothing but pressure wakes.
func collecting(t *testing.T, s *store.Store, roots store.Roots) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := store.Collector{Store: s, Roots: roots, Interval: time.Hour}
	go func() { done <- c.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); s.Collectors() == 0 && time.Now().Before(deadline); {
		runtime.Gosched()
	}
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestQuotaRefuses fills a store. What is there is served, what does not fit is refused before or while it comes, and leaves
// nothing; the repository hears of it once, and again when there is room.
func TestQuotaRefuses(t *testing.T) {
	t.Parallel()
	h, c := make(heard, 16), &clock{}
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, Now: c.Now, Notify: h.notify})
	a, b := repository(t, s, "managed/a"), repository(t, s, "managed/b")
	first := mustFill(t, a, 'a', 900)
	before := s.Stats()
	for range 3 {
		_, err := fill(t.Context(), b, 'b', 200)
		if full := new(store.StorageFullError); !errors.Is(err, store.ErrStorageFull) || !errors.As(err, &full) || full.Max != 1000 ||
			!strings.Contains(err.Error(), "1000 B") || !strings.Contains(err.Error(), "--registry-max-size") {
			t.Errorf("got %v", err)
		}
	}
	stage, err := b.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Expect(200); !errors.Is(err, store.ErrStorageFull) {
		t.Errorf("announced: %v", err)
	}
	if err := errors.Join(stage.Expect(100), stage.Close()); err != nil {
		t.Errorf("announced what fits: %v", err)
	}
	if after := s.Stats(); after != before {
		t.Errorf("the store had %+v and has %+v", before, after)
	}
	notice := h.expect(t, store.Refused, "managed/b")
	if detail, refused := s.Refused("managed/b"); !refused || detail != notice.Detail || len(h) > 0 {
		t.Errorf("refused: %q, %t, and %d more notices", detail, refused, len(h))
	}
	if _, refused := s.Refused("managed/a"); refused {
		t.Error("another repository is refused")
	}
	if _, _, err := a.Manifest(t.Context(), first.String()); err != nil {
		t.Errorf("what is there: %v", err)
	}
	c.Advance(2 * time.Hour)
	collecting(t, s, roots{Complete: true, Managed: managed("managed/")})
	mustFill(t, b, 'b', 200) // waits for the room that the collector makes
	h.expect(t, store.Room, "managed/b")
	if _, refused := s.Refused("managed/b"); refused {
		t.Error("a repository whose push succeeded is refused")
	}
	if got := s.Counters().Refused; got != 4 {
		t.Errorf("%d writes were refused, want 4", got)
	}
}

// TestReserveIsKept fills a disk but for the reserve, and then that: blobs stop first, manifests last.
func TestReserveIsKept(t *testing.T) {
	t.Parallel()
	var free atomic.Int64
	free.Store(64 << 20)
	s := open(t, t.TempDir(), store.OnUsage(store.Options{}, func() (int64, int64) { return free.Load(), 100 << 30 }))
	r := repository(t, s, "a")
	_, err := pushBlob(t.Context(), r, []byte("blob"), "")
	if !errors.Is(err, store.ErrStorageFull) || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "64 MiB that are kept free") {
		t.Errorf("a blob: %v", err)
	}
	index := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, index); err != nil {
		t.Errorf("a manifest while the reserve is there: %v", err)
	}
	free.Store(1 << 20)
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageIndex, index, "v1"); !errors.Is(err, store.ErrStorageFull) {
		t.Errorf("a tag on a full disk: %v", err)
	}
	if err := r.DeleteManifest(t.Context(), digest.FromBytes(index)); err != nil {
		t.Errorf("deleting makes room, and has to work without: %v", err)
	}
}

// TestPressureTakesOldHistoryFirst gives up superseded roots, those first that nobody has read for the longest time, until the
// low mark is reached. Current ones stay whatever happens.
func TestPressureTakesOldHistoryFirst(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, HighWater: 80, LowWater: 75, Now: c.Now})
	a, b := repository(t, s, "managed/a"), repository(t, s, "managed/b")
	first, unread, last := mustFill(t, a, '1', 180), mustFill(t, a, '2', 180), mustFill(t, b, '3', 180)
	keep := []store.Root{
		{Repository: "managed/a", Digest: first, Superseded: true},
		{Repository: "managed/a", Digest: unread, Superseded: true},
		{Repository: "managed/b", Digest: last, Superseded: true},
		{Repository: "managed/a", Digest: mustFill(t, a, '4', 180)},
		{Repository: "managed/b", Digest: mustFill(t, b, '5', 180)},
	}
	for _, r := range []store.Root{keep[0], keep[2]} {
		c.Advance(time.Minute)
		if _, _, err := repository(t, s, r.Repository).Manifest(t.Context(), r.Digest.String()); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, superseded int, there ...bool) {
		t.Helper()
		if stats := collect(t, s, keep...); stats.Superseded != superseded {
			t.Errorf("%s: %+v, want %d superseded", when, stats, superseded)
		}
		for i, root := range keep {
			if got := s.Holds(root.Repository, root.Digest); got != there[i] {
				t.Errorf("%s: root %d is there: %t", when, i, got)
			}
		}
	}
	check("what nobody read", 1, true, false, true, true, true)
	check("below the high mark", 0, true, false, true, true, true)
	keep = append(keep, store.Root{Repository: "managed/a", Digest: mustFill(t, a, '6', 180)})
	check("what was read first", 1, false, false, true, true, true, true)
	keep = append(keep, store.Root{Repository: "managed/a", Digest: mustFill(t, a, '7', 180)})
	c.Advance(time.Minute)
	check("the last one", 1, false, false, false, true, true, true, true)
	keep = append(keep, store.Root{Repository: "managed/a", Digest: mustFill(t, a, '8', 180)})
	check("only current ones", 0, false, false, false, true, true, true, true, true)
	c.Advance(2 * time.Hour)
	if stats := collect(t, s); stats.Superseded != 0 || s.Stats().Blobs != 0 {
		t.Errorf("without roots: %+v, %+v", stats, s.Stats())
	}
}

// TestPressureSparesPushes collects under pressure beside a push that takes long: what it wrote at its begin is older than the
// time of grace, and stays.
func TestPressureSparesPushes(t *testing.T) {
	t.Parallel()
	c := &clock{}
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, Now: c.Now})
	slow, idle := repository(t, s, "managed/slow"), repository(t, s, "managed/idle")
	push(t, idle, strings.Repeat("i", 400))
	begun := push(t, slow, strings.Repeat("s", 460))
	stage, err := slow.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		c.Advance(30 * time.Second)
		if _, err := stage.Write([]byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		collect(t, s)
	}
	layer, err := stage.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slow.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, begun, layer)); err != nil {
		t.Errorf("the push lost what it had written: %v", err)
	}
	if got := s.Stats(); got.Blobs != 2 {
		t.Errorf("what nobody needs is still there: %+v", got)
	}
}

// TestRoomIsOfferedTogether tells no more repositories of room than fit together.
func TestRoomIsOfferedTogether(t *testing.T) {
	t.Parallel()
	h := make(heard, 64)
	s := open(t, t.TempDir(), store.Options{MaxBytes: 1000, Notify: h.notify})
	big := repository(t, s, "big")
	layer := push(t, big, strings.Repeat("b", 900))
	for i := range 4 {
		if _, err := fill(t.Context(), repository(t, s, fmt.Sprintf("r%d", i)), byte(i), 300); !errors.Is(err, store.ErrStorageFull) {
			t.Fatal(err)
		}
	}
	for range 4 {
		if n := <-h; n.Kind != store.Refused {
			t.Errorf("heard %+v", n)
		}
	}
	s.OfferRoom()
	if len(h) != 0 {
		t.Errorf("room is offered that is not there: %+v", <-h)
	}
	if err := big.DeleteBlob(t.Context(), layer.Digest); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s.OfferRoom()
	}
	offered := map[string]bool{}
	for len(h) > 0 {
		if n := <-h; n.Kind == store.Room {
			offered[n.Repository] = true
		}
	}
	if len(offered) != 3 {
		t.Errorf("room for 3 of 300 bytes was offered to %v", offered)
	}
}

// TestQuotaHoldsBesideManyWriters pushes from many sides into a store that is too small, while a collector frees what was
// replaced. The bound is never passed, who was told that a push succeeded has it, and nothing is left of others.
func TestQuotaHoldsBesideManyWriters(t *testing.T) {
	t.Parallel()
	const most = 20_000
	var live liveRoots
	s := open(t, t.TempDir(), store.Options{MaxBytes: most, Grace: time.Millisecond})
	collecting(t, s, &live)
	group, ctx := errgroup.WithContext(t.Context())
	var refused, pushed atomic.Int64
	for worker := range 8 {
		group.Go(func() error {
			name := fmt.Sprintf("managed/%d", worker)
			r := repository(t, s, name)
			for i := range 40 {
				desc, err := fill(ctx, r, byte(worker*40+i), 1000+i*40)
				if held := s.Stats().Bytes; held > most {
					return fmt.Errorf("the store holds %d bytes", held)
				}
				switch {
				case errors.Is(err, store.ErrStorageFull), errors.As(err, new(*store.MissingBlobError)):
					refused.Add(1)
				case err != nil:
					return err
				default:
					pushed.Add(1)
					live.replace(name, desc.Digest)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for name, d := range live.all() {
		if err := checkArtifact(t.Context(), repository(t, s, name), d.String()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := s.Stats(); got.Staged != 0 || got.StagedBytes != 0 || s.Capacity().Used > most {
		t.Errorf("something is left: %+v", got)
	}
	t.Logf("%d pushed, %d refused", pushed.Load(), refused.Load())
}

// liveRoots has the current artifact of each repository.
type liveRoots struct {
	mu      sync.Mutex
	current map[string]digest.Digest
}

func (l *liveRoots) replace(name string, d digest.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == nil {
		l.current = map[string]digest.Digest{}
	}
	l.current[name] = d
}

func (l *liveRoots) all() map[string]digest.Digest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.current)
}

// Roots implements store.Roots.
func (l *liveRoots) Roots(context.Context) (store.RootSet, error) {
	set := store.RootSet{Complete: true, Managed: managed("managed/")}
	for name, d := range l.all() {
		set.Manifests = append(set.Manifests, store.Root{Repository: name, Digest: d})
	}
	return set, nil
}

// BenchmarkStageWrite writes pieces of 32 KiB, as copies do, into stores with and without a bound.
func BenchmarkStageWrite(b *testing.B) {
	piece := make([]byte, 32<<10)
	for name, most := range map[string]int64{"unbounded": 0, "bounded": 1 << 50} {
		b.Run(name, func(b *testing.B) {
			s := open(b, b.TempDir(), store.Options{MaxBytes: most})
			r := repository(b, s, "a")
			b.SetBytes(64 * int64(len(piece)))
			for b.Loop() {
				stage, err := r.Stage(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for range 64 {
					if _, err := stage.Write(piece); err != nil {
						b.Fatal(err)
					}
				}
				if err := stage.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRoom is what a write pays for its place.
func BenchmarkRoom(b *testing.B) {
	s := open(b, b.TempDir(), store.Options{MaxBytes: 1 << 50})
	for b.Loop() {
		if err := s.Take("a", 32<<10); err != nil {
			b.Fatal(err)
		}
	}
}
