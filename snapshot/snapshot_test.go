package snapshot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
	"github.com/ocm-operator/ocm-operator/snapshot"
	"github.com/ocm-operator/ocm-operator/snapshot/archive"
	"github.com/ocm-operator/ocm-operator/snapshot/snapshottest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func embedded(t testing.TB, dir string) snapshot.Store {
	t.Helper()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return snapshot.Embedded(s)
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	snapshottest.Run(t, func(t *testing.T) snapshot.Store {
		t.Helper()
		return embedded(t, t.TempDir())
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	name := snapshot.Name("Resource", "podinfo")
	if !regexp.MustCompile(`^podinfo-[a-z2-7]{7}$`).MatchString(name) || name != snapshot.Name("Resource", "podinfo") {
		t.Errorf("name %q", name)
	}
	if name == snapshot.Name("Localization", "podinfo") {
		t.Error("two kinds share a name")
	}
	long := strings.Repeat("a", 252)
	if one, two := snapshot.Name("Resource", long+"b"), snapshot.Name("Resource", long+"c"); one == two || len(one) != 253 || one[:240] != long[:240] {
		t.Errorf("long names %q, %q", one, two)
	}
	if got := snapshot.Name("Resource", strings.Repeat("a", 244)+".example"); strings.Contains(got, ".-") || len(got) > 253 {
		t.Errorf("cut at a dot: %q", got)
	}
	if got := snapshot.RepositoryName("team", "podinfo-abcdefg"); got != "team/podinfo-abcdefg" {
		t.Errorf("repository %q", got)
	}
	one, two := snapshot.RepositoryName("team", snapshot.Name("Resource", long+"b")), snapshot.RepositoryName("team", snapshot.Name("Resource", long+"c"))
	if one == two || !strings.HasPrefix(one, "team/") || !store.ValidName(one) || len(one) > 190 {
		t.Errorf("long repositories %q, %q", one, two)
	}
}

func TestChartTag(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{"6.3.5": "6.3.5", "1.0.0+build.7": "1.0.0_build.7", "1.0.0-rc.1+a": "1.0.0-rc.1_a"} {
		if got := snapshot.ChartTag(version); got != want || !store.ValidTag(got) {
			t.Errorf("ChartTag(%q) = %q, want %q", version, got, want)
		}
	}
}

func TestTag(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"6.3.5": "6.3.5", "v1.0.0": "v1.0.0", "1.0.0+build.1": "1.0.0.build-build.1", "1.0.0-rc.1+a+b": "1.0.0-rc.1.build-a.build-b",
		"": "latest", "a/b:c d": "a-b-c-d", "-x": "_-x", ".x": "_.x", "é": "_-",
	} {
		if got := snapshot.Tag(version); got != want || !store.ValidTag(got) {
			t.Errorf("%q: got %q, want %q", version, got, want)
		}
	}
	one, two := snapshot.Tag(strings.Repeat("1", 200)+"a"), snapshot.Tag(strings.Repeat("1", 200)+"b")
	if one == two || !store.ValidTag(one) || !store.ValidTag(two) {
		t.Errorf("long versions: %q, %q", one, two)
	}
	if got := snapshot.Tag(strings.Repeat(" ", 200)); !store.ValidTag(got) {
		t.Errorf("a long version of separators: %q", got)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("team", "podinfo", "1.0.0+build")
	f.Add("a-b", "x.y-z", "")
	f.Add("a", "b", strings.Repeat("\xff", 300))
	f.Fuzz(func(t *testing.T, namespace, owner, version string) {
		if tag := snapshot.Tag(version); !store.ValidTag(tag) {
			t.Errorf("tag of %q is %q", version, tag)
		}
		label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
		for element := range strings.SplitSeq(owner, ".") {
			if !label.MatchString(element) {
				return
			}
		}
		if !label.MatchString(namespace) || len(owner) > 253 {
			return
		}
		name := snapshot.Name("Resource", owner)
		if repository := snapshot.RepositoryName(namespace, name); len(name) > 253 || !store.ValidName(repository) || !strings.HasPrefix(repository, namespace+"/") {
			t.Errorf("%q/%q is kept as %q in %q", namespace, owner, name, repository)
		}
	})
}

// TestLayout holds the artifacts to what Flux and Helm look for. The digests are golden: when one
// changes, every snapshot of every installation is written again.
func TestLayout(t *testing.T) {
	t.Parallel()
	meta := snapshot.Meta{
		Component: "example.com/podinfo", ComponentVersion: "6.3.5", Resource: "manifests", ResourceVersion: "6.3.5+1",
		SourceDigest: digest.FromString("source").String(),
	}
	annotations := map[string]string{
		"delivery.ocm.software/component": "example.com/podinfo", "delivery.ocm.software/component-version": "6.3.5",
		"delivery.ocm.software/resource": "manifests", "delivery.ocm.software/resource-version": "6.3.5+1",
		"delivery.ocm.software/source-digest": meta.SourceDigest,
		"org.opencontainers.image.version":    "6.3.5",
		"org.opencontainers.image.revision":   "6.3.5@" + meta.SourceDigest,
	}
	cases := map[string]struct {
		kind                           snapshot.Kind
		mediaType, config, chart       string
		wantLayer, wantConfig, wantArt string
	}{
		"directory": {kind: snapshot.Directory, mediaType: "ignored", config: "{}", wantLayer: "application/vnd.cncf.flux.content.v1.tar+gzip", wantConfig: "application/vnd.cncf.flux.config.v1+json"},
		"chart":     {kind: snapshot.Chart, config: `{"name":"podinfo"}`, chart: `{"name":"podinfo"}`, wantLayer: "application/vnd.cncf.helm.chart.content.v1.tar+gzip", wantConfig: "application/vnd.cncf.helm.config.v1+json"},
		"opaque":    {kind: snapshot.Opaque, mediaType: "text/plain", config: "{}", wantLayer: "text/plain", wantConfig: "application/vnd.oci.empty.v1+json", wantArt: "text/plain"},
		"unknown":   {kind: snapshot.Opaque, config: "{}", wantLayer: "application/octet-stream", wantConfig: "application/vnd.oci.empty.v1+json", wantArt: "application/octet-stream"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := snapshottest.Repository(t, embedded(t, t.TempDir()), "team/app")
			m := meta
			m.Kind, m.MediaType, m.ChartConfig = c.kind, c.mediaType, []byte(c.chart)
			result, err := snapshot.Write(t.Context(), r, m, func(w io.Writer) error {
				_, err := io.WriteString(w, "content")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			desc, body, err := r.Manifest(t.Context(), "6.3.5.build-1")
			if err != nil || desc.Digest != result.ManifestDigest {
				t.Fatalf("tag: %v, %v", desc, err)
			}
			var got ocispec.Manifest
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			want := ocispec.Manifest{
				MediaType: ocispec.MediaTypeImageManifest, ArtifactType: c.wantArt, Annotations: annotations,
				Config: ocispec.Descriptor{MediaType: c.wantConfig, Digest: digest.FromString(c.config), Size: int64(len(c.config))},
				Layers: []ocispec.Descriptor{{MediaType: c.wantLayer, Digest: digest.FromString("content"), Size: 7}},
			}
			want.SchemaVersion = 2
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest (-want +got):\n%s", diff)
			}
			opened, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			if opened.MediaType != c.wantLayer || opened.Annotations["delivery.ocm.software/resource"] != "manifests" {
				t.Errorf("opened %+v", opened)
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	r := snapshottest.Repository(t, embedded(t, t.TempDir()), "a")
	for name, m := range map[string]snapshot.Meta{
		"unknown kind": {Kind: 7}, "bad metadata": {Kind: snapshot.Chart, ChartConfig: []byte("name: x")},
		"large metadata": {Kind: snapshot.Chart, ChartConfig: bytes.Repeat([]byte(" "), 2<<20)},
	} {
		asked := false
		if _, err := snapshot.Write(t.Context(), r, m, func(io.Writer) error { asked = true; return nil }); err == nil || asked {
			t.Errorf("%s: %v, content was asked for: %v", name, err, asked)
		}
	}
}

// TestDamage changes what is on the disk: nothing that was changed may be read to its end, or be called there, and it can be
// written again.
func TestDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(content []byte) []byte{
		"flipped": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)-1] },
		"longer":  func(b []byte) []byte { return append(b, 0) },
		"empty":   func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := snapshottest.Repository(t, embedded(t, dir), "a")
			content := bytes.Repeat([]byte("content "), 10_000)
			result := snapshottest.Write(t, r, content)
			hex := result.LayerDigest.Encoded()
			if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", hex[:2], hex), damage(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, "")
			if mismatch := new(snapshot.DigestMismatchError); found || !errors.As(err, &mismatch) || mismatch.Want != result.LayerDigest {
				t.Errorf("exists: %v, %v", found, err)
			}
			if again := snapshottest.Write(t, r, content); again != result {
				t.Errorf("written again: %+v, was %+v", again, result)
			}
			if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", hex[:2], hex), damage(bytes.Clone(content)), 0o600); err != nil {
				t.Fatal(err)
			}
			opened, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
			if err == nil {
				_, err = io.Copy(io.Discard, opened)
				err = errors.Join(err, opened.Close())
			}
			if mismatch := new(snapshot.DigestMismatchError); !errors.As(err, &mismatch) || mismatch.Want != result.LayerDigest {
				t.Errorf("got %v", err)
			}
			if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, ""); err != nil || found {
				t.Errorf("exists: %v, %v", found, err)
			}
			snapshottest.Write(t, r, content)
			if opened, err = snapshot.Open(t.Context(), r, result.ManifestDigest); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(opened); err != nil || !bytes.Equal(got, content) {
				t.Errorf("written again it is read with %v", err)
			}
			if err := opened.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWipe takes all blobs away from a running store, as whoever cleans up a disk does. Snapshots notice and
// can be written again, to the same digests.
func TestWipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := snapshottest.Repository(t, embedded(t, dir), "team/app")
	one, two := snapshottest.Write(t, r, []byte("one")), snapshottest.Write(t, r, []byte("two"))
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatalf("blobs %v, %v", blobs, err)
	}
	for _, path := range blobs {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, result := range []snapshot.Result{one, two} {
		if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, result.LayerDigest); found || err != nil {
			t.Errorf("after the wipe: %v, %v", found, err)
		}
		if _, err := snapshot.Open(t.Context(), r, result.ManifestDigest); !errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("opened after the wipe: %v", err)
		}
	}
	for content, want := range map[string]snapshot.Result{"one": one, "two": two} {
		if got := snapshottest.Write(t, r, []byte(content)); got != want {
			t.Errorf("written again: %+v, was %+v", got, want)
		}
		if found, err := snapshot.Exists(t.Context(), r, want.ManifestDigest, want.LayerDigest); !found || err != nil {
			t.Errorf("written again: %v, %v", found, err)
		}
		opened, err := snapshot.Open(t.Context(), r, want.ManifestDigest)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(opened)
		if err := errors.Join(err, opened.Close()); err != nil || string(got) != content {
			t.Errorf("read again: %q, %v", got, err)
		}
	}
}

// TestDamagedManifest changes a manifest in the index of the registry: the snapshot is as good as gone, and
// writing it again repairs it.
func TestDamagedManifest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	result := snapshottest.Write(t, snapshottest.Repository(t, snapshot.Embedded(s), "a"), []byte("content"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := storetest.DamageManifest(dir, result.ManifestDigest); err != nil {
		t.Fatal(err)
	}
	r := snapshottest.Repository(t, embedded(t, dir), "a")
	_, err = snapshot.Open(t.Context(), r, result.ManifestDigest)
	if mismatch := new(snapshot.DigestMismatchError); !errors.As(err, &mismatch) || mismatch.Want != result.ManifestDigest || !errors.Is(err, store.ErrDamaged) {
		t.Errorf("opened: %v", err)
	}
	if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, ""); found || err != nil {
		t.Errorf("damaged: %v, %v", found, err)
	}
	if again := snapshottest.Write(t, r, []byte("content")); again != result {
		t.Errorf("written again: %+v, was %+v", again, result)
	}
	if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, result.LayerDigest); !found || err != nil {
		t.Errorf("written again: %v, %v", found, err)
	}
}

// liar answers every question with the same bytes.
type liar struct {
	snapshot.Repository
	manifest, blob []byte
}

func (l liar) Manifest(context.Context, string) (ocispec.Descriptor, []byte, error) {
	return ocispec.Descriptor{}, l.manifest, nil
}

func (l liar) OpenBlob(context.Context, digest.Digest) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader(l.blob)), int64(len(l.blob)), nil
}

func (l liar) StatBlob(context.Context, digest.Digest) (int64, error) { return int64(len(l.blob)), nil }

func TestOpenChecksManifest(t *testing.T) {
	t.Parallel()
	d := digest.FromString("what was asked for")
	_, err := snapshot.Open(t.Context(), liar{manifest: []byte(`{}`)}, d)
	if mismatch := new(snapshot.DigestMismatchError); !errors.As(err, &mismatch) || mismatch.Want != d {
		t.Errorf("got %v", err)
	}
	if _, err := snapshot.Open(t.Context(), liar{}, "latest"); err == nil {
		t.Error("a tag was taken for a digest")
	}
	if _, err := snapshot.Open(t.Context(), liar{manifest: make([]byte, 5<<20)}, d); err == nil {
		t.Error("a manifest of 5 MiB was parsed")
	}
}

// broken is a repository whose content ends with an error.
type broken struct {
	snapshot.Repository
	content io.Reader
}

func (b broken) OpenBlob(ctx context.Context, d digest.Digest) (io.ReadCloser, int64, error) {
	f, size, err := b.Repository.OpenBlob(ctx, d)
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(b.content), size, f.Close()
}

// TestOnlyTheVerdictIsTheEnd breaks a transfer with errors that look like an end. Whoever asks by errors.Is must
// not take them for one.
func TestOnlyTheVerdictIsTheEnd(t *testing.T) {
	t.Parallel()
	r := snapshottest.Repository(t, embedded(t, t.TempDir()), "a")
	const content = "content"
	result := snapshottest.Write(t, r, []byte(content))
	lost := fmt.Errorf("connection lost: %w", io.EOF)
	for name, c := range map[string]struct {
		content io.Reader
		whole   bool
		damaged bool
	}{
		"whole":                {content: strings.NewReader(content), whole: true},
		"whole, end with data": {content: iotest.DataErrReader(strings.NewReader(content)), whole: true},
		"one byte at a time":   {content: iotest.OneByteReader(strings.NewReader(content)), whole: true},
		"lost half-way":        {content: io.MultiReader(strings.NewReader(content[:3]), iotest.ErrReader(lost))},
		"lost at the end":      {content: io.MultiReader(strings.NewReader(content), iotest.ErrReader(lost))},
		"lost with wrong data": {content: io.MultiReader(strings.NewReader("CONTENT"), iotest.ErrReader(lost))},
		"lost at once":         {content: iotest.ErrReader(lost)},
		"short":                {content: strings.NewReader(content[:3]), damaged: true},
		"wrong":                {content: strings.NewReader("CONTENT"), damaged: true},
		"long":                 {content: strings.NewReader(content + "."), damaged: true},
	} {
		opened, err := snapshot.Open(t.Context(), broken{r, c.content}, result.ManifestDigest)
		if err != nil {
			t.Fatal(err)
		}
		var read []byte
		for p := make([]byte, 4); err == nil; {
			var n int
			n, err = opened.Read(p)
			read = append(read, p[:n]...)
		}
		got := string(read)
		mismatch := new(snapshot.DigestMismatchError)
		if errors.Is(err, io.EOF) != c.whole || errors.As(err, &mismatch) != c.damaged {
			t.Errorf("%s: got %q and then %v", name, got, err)
		}
		if _, again := opened.Read(make([]byte, 1)); !errors.Is(again, err) {
			t.Errorf("%s: got %v after %v", name, again, err)
		}
		if c.whole && got != content {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// FuzzOpen gives any manifest with a correct digest, and any content: what is read to the end
// has the digest that the manifest names.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"layers":[{}]}`, `{"config":{"digest":"sha256:x"},"layers":[{"digest":"x"},{}]}`,
		`{"config":{"digest":"` + digest.FromString("{}").String() + `","size":2},"layers":[{"digest":"` + digest.FromString("a").String() + `","size":1}]}`,
	} {
		f.Add([]byte(seed), []byte("a"))
	}
	f.Fuzz(func(t *testing.T, manifest, blob []byte) {
		r, d := liar{manifest: manifest, blob: blob}, digest.FromBytes(manifest)
		if _, err := snapshot.Exists(context.Background(), r, d, ""); err != nil && errors.Is(err, snapshot.ErrNotFound) {
			t.Fatalf("a manifest that is there is not found: %v", err)
		}
		c, err := snapshot.Open(context.Background(), r, d)
		if err != nil {
			return
		}
		if got, err := io.ReadAll(c); err == nil && (c.LayerDigest.Algorithm().FromBytes(got) != c.LayerDigest || int64(len(got)) != c.Size) {
			t.Fatalf("%d wrong bytes for %s", len(got), c.LayerDigest)
		}
	})
}

// TestCopyBetweenSnapshots is the way of every mutation: one snapshot streams into the next.
func TestCopyBetweenSnapshots(t *testing.T) {
	t.Parallel()
	s := embedded(t, t.TempDir())
	from, to := snapshottest.Repository(t, s, "team/from"), snapshottest.Repository(t, s, "team/to")
	fsys := fstest.MapFS{"a/b.yaml": {Data: []byte("b: 1\n")}, "c": {Data: bytes.Repeat([]byte("c"), 1<<20)}}
	source, err := snapshot.Write(t.Context(), from, snapshot.Meta{ResourceVersion: "1"}, func(w io.Writer) error { return archive.Pack(w, fsys) })
	if err != nil {
		t.Fatal(err)
	}
	content, err := snapshot.Open(t.Context(), from, source.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	result, err := snapshot.Write(t.Context(), to, snapshot.Meta{ResourceVersion: "1"}, func(w io.Writer) error {
		_, err := archive.Copy(w, content, nil, archive.Limits{})
		return err
	})
	if err != nil || result != source {
		t.Errorf("got %+v, want %+v: %v", result, source, err)
	}
	if source.LayerDigest != goldenLayer {
		t.Errorf("layer %s: the canonical form changed; every snapshot will be written again", source.LayerDigest)
	}
}

// goldenLayer is the digest of the tree in TestCopyBetweenSnapshots.
const goldenLayer = digest.Digest("sha256:a6fa937fcb13c23f769192a856a67e8c34e68b2a5172988dd9576d9f3c08f595")

func BenchmarkWrite(b *testing.B) {
	for name, size := range map[string]int{"4KiB": 4 << 10, "16MiB": 16 << 20} {
		b.Run(name, func(b *testing.B) {
			s, err := store.Open(b.TempDir(), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			r := snapshottest.Repository(b, snapshot.Embedded(s), "a")
			content := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				content[0], content[1], content[2] = byte(i), byte(i>>8), byte(i>>16)
				snapshottest.Write(b, r, content)
			}
		})
	}
}
