package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

// item is something that the scenario pushes, with all that it needs.
type item struct {
	repo, mediaType, tag string
	digest               digest.Digest
	body                 []byte
	blobs                []string
}

func (i *item) key() string { return i.repo + "@" + i.digest.String() }

func (i *item) push(ctx context.Context, s *store.Store) error {
	r, err := s.Repository(i.repo)
	if err != nil {
		return err
	}
	for _, content := range i.blobs {
		if _, err := pushBlob(ctx, r, []byte(content), ""); err != nil {
			return err
		}
	}
	return i.put(ctx, r)
}

// pushMissing asks first, as clients do.
func (i *item) pushMissing(ctx context.Context, s *store.Store) error {
	r, err := s.Repository(i.repo)
	if err != nil {
		return err
	}
	for _, content := range i.blobs {
		_, err := r.StatBlob(ctx, digest.FromString(content))
		if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
			_, err = pushBlob(ctx, r, []byte(content), "")
		}
		if err != nil {
			return err
		}
	}
	return i.put(ctx, r)
}

func (i *item) put(ctx context.Context, r *store.Repository) error {
	var tags []string
	if i.tag != "" {
		tags = []string{i.tag}
	}
	_, err := r.PutManifestAs(ctx, i.digest, i.mediaType, i.body, tags...)
	return err
}

// wanted is what is known of the store at one moment of the scenario.
type wanted struct {
	// manifests are those that were pushed; false is that they were not, or not yet, acknowledged, or may have been removed.
	manifests map[*item]bool
	// gone are those whose removal was acknowledged.
	gone map[*item]bool
	// tags are what each points at; nil is unknown.
	tags map[string]*item
	// hurt are blobs that were damaged on the disk.
	hurt map[string]bool
}

func newWanted() *wanted {
	return &wanted{manifests: map[*item]bool{}, gone: map[*item]bool{}, tags: map[string]*item{}, hurt: map[string]bool{}}
}

func (w *wanted) begin(i *item) {
	if !w.manifests[i] {
		w.manifests[i] = false
	}
	delete(w.gone, i)
	if i.tag != "" {
		w.tags[i.repo+":"+i.tag] = nil
	}
}

func (w *wanted) acknowledge(i *item) {
	w.manifests[i] = true
	if i.tag != "" {
		w.tags[i.repo+":"+i.tag] = i
	}
	for _, content := range i.blobs {
		delete(w.hurt, content)
	}
}

func (w *wanted) doubt(i *item) {
	w.manifests[i] = false
	for tag, target := range w.tags {
		if target == i {
			w.tags[tag] = nil
		}
	}
}

// sum is the same when the same is wanted.
func (w *wanted) sum() string {
	var lines []string
	for i, known := range w.manifests {
		lines = append(lines, fmt.Sprintln(i.key(), known, w.gone[i]))
	}
	for tag, i := range w.tags {
		if i != nil {
			tag += i.key()
		}
		lines = append(lines, tag)
	}
	for content := range w.hurt {
		lines = append(lines, content)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// scenario is everything that happens to a store, on a disk that notes it.
type scenario struct {
	t     *testing.T
	rec   *recorder
	clock *clock
	store *store.Store
	items []*item
	// last is what is kept at the end, when all else is removed.
	last *item
}

func (sc *scenario) dir() string { return filepath.Join(sc.rec.base, "registry") }

func (sc *scenario) open() {
	sc.t.Helper()
	s, err := store.Open(sc.dir(), store.OnDisk(sc.rec, store.Options{Now: sc.clock.Now}))
	if err != nil {
		sc.t.Fatal(err)
	}
	sc.store = s
}

func (sc *scenario) item(repo, tag string, subject *item, blobs ...string) *item {
	sc.t.Helper()
	var descs []ocispec.Descriptor
	for _, content := range blobs {
		descs = append(descs, ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(content), Size: int64(len(content))})
	}
	var of *ocispec.Descriptor
	if subject != nil {
		of = &ocispec.Descriptor{MediaType: subject.mediaType, Digest: subject.digest, Size: int64(len(subject.body))}
	}
	body := image(sc.t, of, descs[0], descs[1:]...)
	return sc.enter(&item{repo: repo, mediaType: ocispec.MediaTypeImageManifest, tag: tag, digest: digest.FromBytes(body), body: body, blobs: blobs})
}

func (sc *scenario) enter(i *item) *item {
	sc.items = append(sc.items, i)
	return i
}

// acknowledged runs a push, and notes its begin and its end.
func (sc *scenario) acknowledged(i *item, push func() error) error {
	sc.rec.doubt("begin push "+i.key(), func(w *wanted) { w.begin(i) })
	err := push()
	if err == nil {
		sc.rec.expect("pushed "+i.key(), func(w *wanted) { w.acknowledge(i) })
	}
	return err
}

func (sc *scenario) push(items ...*item) {
	sc.t.Helper()
	var group errgroup.Group
	for _, i := range items {
		group.Go(func() error {
			return sc.acknowledged(i, func() error { return i.push(sc.t.Context(), sc.store) })
		})
	}
	if err := group.Wait(); err != nil {
		sc.t.Fatal(err)
	}
}

func (sc *scenario) repository(name string) *store.Repository {
	sc.t.Helper()
	return repository(sc.t, sc.store, name)
}

// mounted pushes a manifest over a layer that another repository has.
func (sc *scenario) mounted(i *item, from string) {
	sc.t.Helper()
	err := sc.acknowledged(i, func() error {
		r := sc.repository(i.repo)
		for _, content := range i.blobs {
			if _, err := r.MountBlob(sc.t.Context(), sc.repository(from), digest.FromString(content)); err != nil {
				return err
			}
		}
		return i.put(sc.t.Context(), r)
	})
	if err != nil {
		sc.t.Fatal(err)
	}
}

func (sc *scenario) remove(i *item) {
	sc.t.Helper()
	sc.rec.doubt("begin removal of "+i.key(), func(w *wanted) { w.doubt(i) })
	if err := sc.repository(i.repo).DeleteManifest(sc.t.Context(), i.digest); err != nil {
		sc.t.Fatal(err)
	}
	sc.rec.expect("removed "+i.key(), func(w *wanted) { w.gone[i] = true })
}

// collect keeps some and removes all others, when their leases are over.
func (sc *scenario) collect(keep ...*item) {
	sc.t.Helper()
	sc.clock.Advance(2 * time.Hour)
	sc.rec.doubt("begin collection", func(w *wanted) {
		for i := range w.manifests {
			if !slices.Contains(keep, i) {
				w.doubt(i)
			}
		}
	})
	if _, err := sc.store.Collect(sc.t.Context(), rootsOf(keep)); err != nil {
		sc.t.Fatal(err)
	}
}

func rootsOf(keep []*item) roots {
	set := roots{Complete: true, Managed: func(string) bool { return true }}
	for _, i := range keep {
		set.Manifests = append(set.Manifests, store.Root{Repository: i.repo, Digest: i.digest})
	}
	return set
}

// kill ends the process before an operation of a push, and starts another one. The disk still has what the first one wrote.
func (sc *scenario) kill(what, path string, i *item) {
	sc.t.Helper()
	sc.rec.dies = func(did, where string) bool { return did == what && strings.Contains(where, path) }
	if err := sc.acknowledged(i, func() error { return i.push(sc.t.Context(), sc.store) }); !errors.Is(err, errKilled) {
		sc.t.Fatalf("the process was not killed at %s %s: %v", what, path, err)
	}
	// What is closed can't reach the disk any more.
	_ = sc.store.Close()
	sc.rec.dies, sc.rec.dead = nil, false
	sc.open()
}

// damage changes a blob on the disk, and has the store find it.
func (sc *scenario) damage(i *item, content string) {
	sc.t.Helper()
	d := digest.FromString(content)
	path, bad := blobPath(sc.dir(), d), bytes.Repeat([]byte("?"), len(content))
	sc.rec.doubt("before damage", func(w *wanted) { w.hurt[content] = true })
	err := sc.rec.do("damage", path, func() error { return os.WriteFile(path, bad, 0o600) }, func(m *model) {
		n := m.get(sc.rec.rel(path))
		n.data, n.synced = bad, bad
	})
	if err != nil {
		sc.t.Fatal(err)
	}
	if _, _, err := sc.repository(i.repo).OpenBlob(sc.t.Context(), d); !errors.Is(err, store.ErrDamaged) {
		sc.t.Fatalf("damaged blob: %v", err)
	}
}

// repaired damages a blob of an artifact, and kills the process that repairs it before that is on the disk. The next one finds the
// blob, and another artifact is made of it.
func (sc *scenario) repaired(i *item, content string) {
	sc.t.Helper()
	for n, what := range []string{"sync", "sync directory"} {
		sc.damage(i, content)
		other := sc.item("team/r", fmt.Sprint("v", n), nil, i.blobs...)
		sc.kill(what, map[string]string{"sync": "uploads/blob-", "sync directory": "blobs/sha256/"}[what], i)
		sc.mounted(other, i.repo)
		sc.push(i)
	}
}

// play does everything that the store can do, and returns what was noted of it.
func play(t *testing.T, lazy ...string) *scenario {
	t.Helper()
	sc := &scenario{t: t, clock: &clock{}, rec: &recorder{Disk: store.OSDisk(), base: t.TempDir(), lazy: map[string]bool{}}}
	for _, kind := range lazy {
		sc.rec.lazy[kind] = true
	}
	sc.open()
	const config, shared = "{}", "a layer that several have"
	first := sc.item("team/a", "v1", nil, config, shared)
	adopted := sc.item("team/b", "v1", nil, config, shared)
	mounted := sc.item("team/c", "", nil, config, shared)
	sc.last = mounted
	moved := sc.item("team/a", "v1", nil, config, "what the tag moves to")
	signature := sc.item("team/a", "", first, config, "signature")
	together := []*item{sc.item("team/a", "both", nil, config, "at once"), sc.item("team/b", "both", nil, config, "at once")}
	// Without a blob nothing but the index has to be on the disk.
	empty := indexOf(t, []ocispec.Descriptor{}...)
	sc.push(sc.enter(&item{repo: "team/empty", mediaType: ocispec.MediaTypeImageIndex, tag: "v1", digest: digest.FromBytes(empty), body: empty}))
	sc.push(first)
	sc.push(adopted)
	sc.mounted(mounted, "team/a")
	sc.push(signature)
	sc.push(together...)
	sc.push(moved)
	body := indexOf(t, ocispec.Descriptor{MediaType: first.mediaType, Digest: first.digest, Size: int64(len(first.body))})
	list := sc.enter(&item{repo: "team/a", mediaType: ocispec.MediaTypeImageIndex, tag: "list", digest: digest.SHA512.FromBytes(body), body: body})
	sc.push(list)
	sc.remove(adopted)
	sc.push(adopted)
	sc.remove(together[1])
	kept := []*item{first, signature, mounted, list}
	sc.collect(kept...)
	sc.push(moved)
	sc.push(together...)
	for _, at := range []struct{ what, path string }{
		{"create", "uploads/blob-"}, {"sync", "uploads/blob-"}, {"rename", "blobs/sha256"}, {"sync directory", "blobs/sha256/"}, {"begin commit", "index.db"},
	} {
		killed := sc.item("team/k", "v1", nil, config, "killed before "+at.what)
		sc.kill(at.what, at.path, killed)
		sc.push(killed)
	}
	sc.damage(first, shared)
	sc.push(first)
	sc.repaired(first, shared)
	// What is large takes a way of its own.
	sc.push(sc.item("team/large", "v1", nil, config, strings.Repeat("more than is kept in memory ", 2400)))
	if err := sc.store.Close(); err != nil {
		t.Fatal(err)
	}
	sc.open()
	sc.push(sc.item("team/z", "v1", nil, config, "after a stop in order"))
	sc.collect(first)
	for _, i := range sc.items {
		sc.push(i)
	}
	if err := sc.store.Close(); err != nil {
		t.Fatal(err)
	}
	return sc
}

// problem is a disk after which the store is not what it has to be.
type problem struct {
	step, outcome string
	err           error
}

// cut cuts the power after every event, with every outcome, and returns what is wrong then. Disks that are the same, with
// the same expectations, are looked at once. It stops at most problems.
func (sc *scenario) cut(seed uint64, most int) (problems []problem, disks int) {
	sc.t.Helper()
	type look struct {
		image [sha256.Size]byte
		want  string
	}
	seen, rng := map[look]bool{}, rand.New(rand.NewPCG(seed, 0))
	m, w := &model{root: newDir()}, newWanted()
	var group errgroup.Group
	group.SetLimit(4)
	found := make(chan problem, 1<<16)
	for _, e := range sc.rec.events {
		if e.disk != nil {
			e.disk(m)
		}
		if e.want != nil {
			e.want(w)
		}
		if e.less {
			continue
		}
		for _, o := range outcomes(rng) {
			files := m.image(o)
			at := look{sum(files), w.sum()}
			if seen[at] || len(found) >= most {
				continue
			}
			seen[at] = true
			then := &wanted{manifests: maps.Clone(w.manifests), gone: maps.Clone(w.gone), tags: maps.Clone(w.tags), hurt: maps.Clone(w.hurt)}
			group.Go(func() error {
				if err := sc.look(files, then); err != nil {
					found <- problem{e.what, o.name, err}
				}
				return nil
			})
		}
	}
	_ = group.Wait()
	close(found)
	for p := range found {
		problems = append(problems, p)
	}
	return problems, len(seen)
}

// look starts a store over what is left on a disk, and checks all that it has to be.
func (sc *scenario) look(files map[string][]byte, w *wanted) (err error) {
	dir, err := os.MkdirTemp(sc.rec.base, "look-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := writeImage(dir, files); err != nil {
		return err
	}
	dir = filepath.Join(dir, "registry")
	c := &clock{}
	c.Advance(24 * time.Hour)
	s, err := store.Open(dir, store.Options{NoSync: true, Now: c.Now})
	if err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	ctx := sc.t.Context()
	if err := w.check(ctx, s); err != nil {
		return err
	}
	var keep []*item
	for i, acknowledged := range w.manifests {
		if acknowledged {
			keep = append(keep, i)
		}
	}
	c.Advance(2 * time.Hour)
	if _, err := s.Collect(ctx, rootsOf(keep)); err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	if err := w.check(ctx, s); err != nil {
		return fmt.Errorf("after a collection: %w", err)
	}
	for _, i := range sc.items {
		w.begin(i)
		if err := i.pushMissing(ctx, s); err != nil {
			return fmt.Errorf("push %s again: %w", i.key(), err)
		}
		w.acknowledge(i)
	}
	if err := w.check(ctx, s); err != nil {
		return fmt.Errorf("pushed again: %w", err)
	}
	c.Advance(2 * time.Hour)
	if _, err := s.Collect(ctx, rootsOf([]*item{sc.last})); err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	return leftOver(dir, sc.last)
}

// check compares the store with what is wanted.
func (w *wanted) check(ctx context.Context, s *store.Store) error {
	for i, acknowledged := range w.manifests {
		r, err := s.Repository(i.repo)
		if err != nil {
			return err
		}
		_, body, err := r.Manifest(ctx, i.digest.String())
		switch {
		case errors.Is(err, store.ErrNotFound) && !acknowledged:
			continue
		case err == nil && w.gone[i]:
			return fmt.Errorf("%s is there again", i.key())
		case err != nil:
			return fmt.Errorf("%s: %w", i.key(), err)
		case !bytes.Equal(body, i.body):
			return fmt.Errorf("%s has other bytes", i.key())
		}
		for _, content := range i.blobs {
			got, err := readAll(ctx, r, digest.FromString(content))
			if w.hurt[content] && (errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound)) {
				continue
			}
			if err != nil || got != content {
				return fmt.Errorf("layer %q of %s is %q: %w", content, i.key(), got, err)
			}
		}
	}
	return w.checkTags(ctx, s)
}

func (w *wanted) checkTags(ctx context.Context, s *store.Store) error {
	for name, i := range w.tags {
		repo, tag, _ := strings.Cut(name, ":")
		r, err := s.Repository(repo)
		if err != nil {
			return err
		}
		desc, _, err := r.Manifest(ctx, tag)
		if i == nil && (err == nil || errors.Is(err, store.ErrNotFound)) {
			continue
		}
		if err != nil || desc.Digest != i.digest {
			return fmt.Errorf("tag %s points at %s: %w", name, desc.Digest, err)
		}
	}
	return nil
}

func readAll(ctx context.Context, r *store.Repository, d digest.Digest) (string, error) {
	f, _, err := r.OpenBlob(ctx, d)
	if err != nil {
		return "", err
	}
	var content bytes.Buffer
	_, err = content.ReadFrom(f)
	return content.String(), errors.Join(err, f.Close())
}

// leftOver compares the files of a store with what one artifact needs. What is in quarantine is there for people.
func leftOver(dir string, i *item) error {
	want := map[string]bool{"index.db": true}
	for _, content := range i.blobs {
		d := digest.FromString(content)
		want["blobs/sha256/"+d.Encoded()[:2]+"/"+d.Encoded()] = true
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil && !want[rel] && !strings.HasPrefix(rel, "quarantine/") {
			err = fmt.Errorf("%s is left over", rel)
		}
		delete(want, rel)
		return err
	})
	if err == nil && len(want) > 0 {
		err = fmt.Errorf("files are missing: %v", slices.Sorted(maps.Keys(want)))
	}
	return err
}

// TestPowerLoss cuts the power at every moment of a scenario. It was tried with stores that leave out one thing, and found each: the
// sync of an upload, of the directory of a blob after it got its name there, of the directories above that, of the
// directory of a blob that is adopted, of the registry's own directory at the start, and of its parent.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	sc := play(t)
	problems, disks := sc.cut(seed, 10)
	for _, p := range problems {
		t.Errorf("power is cut after %q, and of what was not synced %s is on the disk: %v", p.step, p.outcome, p.err)
	}
	t.Logf("%d steps left %d different disks; the seed is %d", len(sc.rec.events), disks, seed)
}

// TestPowerLossIsNoticed runs the scenario on disks that lie, so that the test above is known to see what it is for.
func TestPowerLossIsNoticed(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"dir", "file", "commit"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			if problems, _ := play(t, kind).cut(1, 1); len(problems) == 0 {
				t.Errorf("nobody notices that %s syncs do nothing", kind)
			}
		})
	}
}
