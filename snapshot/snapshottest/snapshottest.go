// Package snapshottest checks implementations of snapshot.Store. Whatever keeps snapshots has to
// pass Run.
package snapshottest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/snapshot"
)

// Run checks one implementation. New is called once for each test and returns an empty store.
func Run(t *testing.T, newStore func(t *testing.T) snapshot.Store) {
	t.Helper()
	RunShared(t, newStore)
	for name, test := range map[string]func(t *testing.T, s snapshot.Store){
		"manifest needs blob": manifestNeedsBlob,
		"isolation":           isolation,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

// RunShared is Run for registries whose repositories share their blobs: what one has can be read in all of them. That is
// up to the registry, and no store in front of it can change it.
func RunShared(t *testing.T, newStore func(t *testing.T) snapshot.Store) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s snapshot.Store){
		"blob":                blob,
		"wrong digest":        wrongDigest,
		"dropped stage":       droppedStage,
		"manifest":            manifest,
		"manifest of nothing": manifestOfNothing,
		"not found":           notFound,
		"names":               names,
		"snapshot":            roundTrip,
		"large content":       largeContent,
		"failed content":      failedContent,
		"delete":              deletion,
		"at once":             atOnce,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

// Repository returns a repository of a store, or ends the test.
func Repository(t testing.TB, s snapshot.Store, name string) snapshot.Repository {
	t.Helper()
	r, err := s.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Write writes content as an opaque snapshot, or ends the test.
func Write(t testing.TB, r snapshot.Repository, content []byte) snapshot.Result {
	t.Helper()
	result, err := snapshot.Write(t.Context(), r, snapshot.Meta{Kind: snapshot.Opaque, Tag: "v1"}, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func push(t testing.TB, r snapshot.Repository, content string, want digest.Digest) (ocispec.Descriptor, error) {
	t.Helper()
	stage, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Half by half, and closed twice: a stage is a stream, and cleaning up is always allowed.
	for _, part := range []string{content[:len(content)/2], content[len(content)/2:]} {
		if n, err := io.WriteString(stage, part); err != nil || n != len(part) {
			t.Errorf("write: %d of %d bytes, %v", n, len(part), err)
		}
	}
	desc, err := stage.Commit(t.Context(), want)
	if err := errors.Join(stage.Close(), stage.Close()); err != nil {
		t.Errorf("close after commit: %v", err)
	}
	return desc, err
}

func blob(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	for _, content := range []string{"content", ""} {
		d := digest.FromString(content)
		for _, want := range []digest.Digest{"", d, d} {
			desc, err := push(t, r, content, want)
			if err != nil || desc.Digest != d || desc.Size != int64(len(content)) {
				t.Errorf("commit of %q: %v, %v", content, desc, err)
			}
		}
		if size, err := r.StatBlob(t.Context(), d); err != nil || size != int64(len(content)) {
			t.Errorf("stat of %q: %d, %v", content, size, err)
		}
		f, size, err := r.OpenBlob(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(got) != content || size != int64(len(content)) {
			t.Errorf("got %q of %d bytes, %v", got, size, err)
		}
	}
}

func wrongDigest(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	wrong := digest.FromString("other")
	if _, err := push(t, r, "content", wrong); err == nil {
		t.Error("content with another digest was committed")
	}
	for _, d := range []digest.Digest{wrong, digest.FromString("content")} {
		if _, err := r.StatBlob(t.Context(), d); !errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("%s: %v", d, err)
		}
	}
}

func droppedStage(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	stage, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stage.Write([]byte("content")); err != nil {
		t.Error(err)
	}
	if err := stage.Close(); err != nil {
		t.Error(err)
	}
	if _, err := stage.Commit(t.Context(), ""); err == nil {
		t.Error("a closed stage was committed")
	}
	if _, err := r.StatBlob(t.Context(), digest.FromString("content")); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("dropped content is there: %v", err)
	}
}

func manifest(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	one, two := Write(t, r, []byte("one")), Write(t, r, []byte("two"))
	for ref, want := range map[string]digest.Digest{
		"v1": two.ManifestDigest, one.ManifestDigest.String(): one.ManifestDigest, two.ManifestDigest.String(): two.ManifestDigest,
	} {
		desc, body, err := r.Manifest(t.Context(), ref)
		if err != nil || desc.Digest != want || digest.FromBytes(body) != want || desc.Size != int64(len(body)) {
			t.Errorf("%s: %v, %v", ref, desc, err)
		}
		if desc.MediaType != ocispec.MediaTypeImageManifest {
			t.Errorf("%s: media type %q", ref, desc.MediaType)
		}
		again, err := r.PutManifest(t.Context(), desc.MediaType, body, "again")
		if err != nil || again.Digest != want {
			t.Errorf("put again: %v, %v", again, err)
		}
	}
}

func manifestNeedsBlob(t *testing.T, s snapshot.Store) {
	t.Helper()
	from, to := Repository(t, s, "team/app"), Repository(t, s, "team/other")
	result := Write(t, from, []byte("content"))
	_, body, err := from.Manifest(t.Context(), result.ManifestDigest.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v1"); err == nil {
		t.Error("a manifest was stored without its blobs")
	}
	for _, ref := range []string{"v1", result.ManifestDigest.String()} {
		if _, _, err := to.Manifest(t.Context(), ref); !errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

// manifestOfNothing stores the manifest of content that no repository has.
func manifestOfNothing(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	body := []byte(`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":{"digest":"` + digest.FromString("a").String() +
		`","size":1},"layers":[{"digest":"` + digest.FromString("b").String() + `","size":1}]}`)
	if _, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, body, "v1"); err == nil || errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("a manifest without its blobs was stored: %v", err)
	}
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// atOnce writes the same content by several writers at the same time.
func atOnce(t *testing.T, s snapshot.Store) {
	t.Helper()
	r, content := Repository(t, s, "team/app"), bytes.Repeat([]byte("0123456789abcdef"), 16<<10)
	results := make(chan snapshot.Result)
	const writers = 8
	for range writers {
		go func() {
			result, err := snapshot.Write(t.Context(), r, snapshot.Meta{Kind: snapshot.Opaque, Tag: "v1"}, func(w io.Writer) error {
				_, err := w.Write(content)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			results <- result
		}()
	}
	first := <-results
	for range writers - 1 {
		if result := <-results; result != first {
			t.Errorf("got %+v and %+v", first, result)
		}
	}
	check(t, r, first, content)
}

func isolation(t *testing.T, s snapshot.Store) {
	t.Helper()
	one, two := Repository(t, s, "team/app"), Repository(t, s, "other/app")
	result := Write(t, one, []byte("content"))
	if _, err := two.StatBlob(t.Context(), result.LayerDigest); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("the blob is in another repository: %v", err)
	}
	if found, err := snapshot.Exists(t.Context(), two, result.ManifestDigest, ""); found || err != nil {
		t.Errorf("the snapshot is in another repository: %v, %v", found, err)
	}
	if same := Write(t, two, []byte("content")); same != result {
		t.Errorf("the same content is %v and %v", result, same)
	}
	if err := snapshot.Delete(t.Context(), one, result.ManifestDigest); err != nil {
		t.Error(err)
	}
	check(t, two, result, []byte("content"))
}

func notFound(t *testing.T, s snapshot.Store) {
	t.Helper()
	r, d := Repository(t, s, "team/app"), digest.FromString("absent")
	errs := map[string]error{}
	_, _, errs["tag"] = r.Manifest(t.Context(), "absent")
	_, _, errs["manifest"] = r.Manifest(t.Context(), d.String())
	_, _, errs["open"] = r.OpenBlob(t.Context(), d)
	_, errs["stat"] = r.StatBlob(t.Context(), d)
	_, errs["snapshot"] = snapshot.Open(t.Context(), r, d)
	errs["delete"] = r.DeleteManifest(t.Context(), d)
	for name, err := range errs {
		if !errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if found, err := snapshot.Exists(t.Context(), r, d, ""); found || err != nil {
		t.Errorf("exists: %v, %v", found, err)
	}
}

func names(t *testing.T, s snapshot.Store) {
	t.Helper()
	for _, name := range []string{"", "/", "Upper/case", "../up", "a//b"} {
		if _, err := s.Repository(name); err == nil {
			t.Errorf("%q is accepted as a name", name)
		}
	}
	// A name as long as they get, with every separator that an object name may have.
	Write(t, Repository(t, s, snapshot.RepositoryName("team-a", snapshot.Name("Resource", "app.v1--x"))), []byte("x"))
}

func roundTrip(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	result := Write(t, r, []byte("content"))
	if result.LayerDigest != digest.FromString("content") || result.Size != 7 {
		t.Errorf("got %+v", result)
	}
	check(t, r, result, []byte("content"))
	if again := Write(t, r, []byte("content")); again != result {
		t.Errorf("the second time it is %+v, not %+v", again, result)
	}
	for layer, want := range map[digest.Digest]bool{"": true, result.LayerDigest: true, digest.FromString("other"): false} {
		if found, err := snapshot.Exists(t.Context(), r, result.ManifestDigest, layer); found != want || err != nil {
			t.Errorf("exists with layer %q: %v, %v", layer, found, err)
		}
	}
}

func check(t testing.TB, r snapshot.Repository, result snapshot.Result, want []byte) {
	t.Helper()
	c, err := snapshot.Open(t.Context(), r, result.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if err := errors.Join(err, c.Close()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want %d: %v", len(got), len(want), err)
	}
	if c.Size != int64(len(want)) || c.LayerDigest != result.LayerDigest {
		t.Errorf("content %s of %d bytes", c.LayerDigest, c.Size)
	}
}

func largeContent(t *testing.T, s snapshot.Store) {
	t.Helper()
	large := bytes.Repeat([]byte("0123456789abcdef"), 512<<10)
	r := Repository(t, s, "team/app")
	check(t, r, Write(t, r, large), large)
}

func failedContent(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	broken := errors.New("the source broke off")
	meta := snapshot.Meta{Kind: snapshot.Opaque, Tag: "v1"}
	_, err := snapshot.Write(t.Context(), r, meta, func(w io.Writer) error {
		_, err := io.WriteString(w, "content")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = snapshot.Write(ctx, r, meta, func(w io.Writer) error {
		cancel()
		_, err := io.WriteString(w, "content")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("the tag is there: %v", err)
	}
	if _, err := r.StatBlob(t.Context(), digest.FromString("content")); !errors.Is(err, snapshot.ErrNotFound) {
		t.Errorf("the content is there: %v", err)
	}
}

func deletion(t *testing.T, s snapshot.Store) {
	t.Helper()
	r := Repository(t, s, "team/app")
	result := Write(t, r, []byte("content"))
	for range 2 {
		if err := snapshot.Delete(t.Context(), r, result.ManifestDigest); err != nil {
			t.Error(err)
		}
	}
	for _, ref := range []string{"v1", result.ManifestDigest.String()} {
		if _, _, err := r.Manifest(t.Context(), ref); !errors.Is(err, snapshot.ErrNotFound) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	check(t, r, Write(t, r, []byte("content")), []byte("content"))
}
