package store_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.uber.org/goleak"

	"github.com/ocm-operator/ocm-operator/registry/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		pushUntilKilled(dir)
	}
	if dir := os.Getenv(rotDir); dir != "" {
		useRotten(dir)
	}
	goleak.VerifyTestMain(m)
}

// clock is a time that tests move.
type clock struct{ seconds atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(1_700_000_000+c.seconds.Load(), 0) }
func (c *clock) Advance(d time.Duration) { c.seconds.Add(int64(d / time.Second)) }

func open(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	o.NoSync = true
	s, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func repository(t testing.TB, s *store.Store, name string) *store.Repository {
	t.Helper()
	r, err := s.Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func push(t testing.TB, r *store.Repository, content string) ocispec.Descriptor {
	t.Helper()
	desc, err := pushBlob(t.Context(), r, []byte(content), "")
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

func pushBlob(ctx context.Context, r *store.Repository, content []byte, want digest.Digest) (ocispec.Descriptor, error) {
	stage, err := r.Stage(ctx)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	defer stage.Close()
	if _, err := stage.Write(content); err != nil {
		return ocispec.Descriptor{}, err
	}
	return stage.Commit(ctx, want)
}

// image is a manifest of one config and some layers.
func image(t testing.TB, subject *ocispec.Descriptor, config ocispec.Descriptor, layers ...ocispec.Descriptor) []byte {
	t.Helper()
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: layers, Subject: subject}
	m.SchemaVersion = 2
	if layers == nil {
		m.Layers = []ocispec.Descriptor{}
	}
	return encode(t, m)
}

func indexOf(t testing.TB, manifests ...ocispec.Descriptor) []byte {
	t.Helper()
	i := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests}
	i.SchemaVersion = 2
	return encode(t, i)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// artifact pushes an image of one layer.
func artifact(t testing.TB, r *store.Repository, content string, tags ...string) (manifest, layer ocispec.Descriptor) {
	t.Helper()
	layer = push(t, r, content)
	manifest, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, nil, push(t, r, "{}"), layer), tags...)
	if err != nil {
		t.Fatal(err)
	}
	return manifest, layer
}

func read(t testing.TB, r *store.Repository, d digest.Digest) (string, error) {
	t.Helper()
	f, size, err := r.OpenBlob(t.Context(), d)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err == nil && int64(len(content)) != size {
		t.Errorf("blob %s has %d bytes and says %d", d, len(content), size)
	}
	return string(content), err
}

func TestNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{
		"a": true, "a/b": true, "a.b_c__d-e---f": true, "team-1/app.v2-x7q2k4a": true, strings.Repeat("a", 255): true,
		"": false, "/a": false, "a/": false, "a//b": false, "A": false, "a..b": false, "a___b": false, "a.-b": false, "-a": false, "a-": false,
		"a/../b": false, ".": false, "..": false, "a b": false, "a\x00": false, strings.Repeat("a", 256): false, "é": false,
	}
	for name, want := range names {
		if got := store.ValidName(name); got != want {
			t.Errorf("name %q: got %v", name, got)
		}
	}
	tags := map[string]bool{
		"latest": true, "v1.2.3": true, "_x": true, "1.0.0.build-1": true, strings.Repeat("a", 128): true,
		"": false, ".x": false, "-x": false, "a+b": false, "a/b": false, "a:b": false, strings.Repeat("a", 129): false,
	}
	for tag, want := range tags {
		if got := store.ValidTag(tag); got != want {
			t.Errorf("tag %q: got %v", tag, got)
		}
	}
	hex := strings.Repeat("0a", 32)
	digests := map[string]bool{
		"sha256:" + hex: true, "sha512:" + hex + hex: true, "sha256:" + strings.ToUpper(hex): false, "sha512:" + hex: false,
		"md5:" + hex[:32]: false, "sha256:": false, hex: false, "sha256:../../" + hex[6:]: false, "": false, "sha384:" + hex + hex[:32]: false,
	}
	for d, want := range digests {
		if _, err := store.ParseDigest(d); (err == nil) != want {
			t.Errorf("digest %q: got %v", d, err)
		}
	}
}

func TestBlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	one, two := repository(t, s, "one/app"), repository(t, s, "two/app")
	desc := push(t, one, "hello")
	if want := digest.FromString("hello"); desc.Digest != want || desc.Size != 5 {
		t.Errorf("got %s, %d", desc.Digest, desc.Size)
	}
	if got, err := read(t, one, desc.Digest); err != nil || got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := read(t, two, desc.Digest); !errors.Is(err, store.ErrBlobNotFound) {
		t.Errorf("a repository reads the blob of another one: %v", err)
	}
	if _, err := two.StatBlob(t.Context(), desc.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a repository knows of the blob of another one: %v", err)
	}
	push(t, two, "hello")
	if got, err := read(t, two, desc.Digest); err != nil || got != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if diff := cmp.Diff(store.Stats{Blobs: 1, Bytes: 5}, s.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
	three := repository(t, s, "three")
	if _, err := three.MountBlob(t.Context(), one, desc.Digest); err != nil {
		t.Error(err)
	}
	if size, err := three.StatBlob(t.Context(), desc.Digest); err != nil || size != 5 {
		t.Errorf("mounted: %d, %v", size, err)
	}
	if _, err := three.MountBlob(t.Context(), one, digest.FromString("other")); !errors.Is(err, store.ErrBlobNotFound) {
		t.Errorf("mount of nothing: %v", err)
	}
}

func TestStageChecksDigest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := repository(t, open(t, dir, store.Options{}), "a")
	var mismatch *store.DigestMismatchError
	wrong := digest.FromString("other")
	if _, err := pushBlob(t.Context(), r, []byte("hello"), wrong); !errors.As(err, &mismatch) || mismatch.Got != digest.FromString("hello") {
		t.Errorf("got %v", err)
	}
	if _, err := r.StatBlob(t.Context(), wrong); !errors.Is(err, store.ErrBlobNotFound) {
		t.Errorf("the wrong content is there: %v", err)
	}
	long := digest.NewDigestFromBytes(digest.SHA512, sum512("hello"))
	if desc, err := pushBlob(t.Context(), r, []byte("hello"), long); err != nil || desc.Digest != long {
		t.Errorf("sha512: %v, %v", desc, err)
	}
	if _, err := pushBlob(t.Context(), r, []byte("hellO"), long); !errors.As(err, &mismatch) {
		t.Errorf("wrong sha512: %v", err)
	}
	stage, err := r.Stage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stage.Close(), stage.Close()); err != nil {
		t.Error(err)
	}
	if _, err := stage.Write([]byte("x")); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := stage.Commit(t.Context(), ""); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) > 0 {
		t.Errorf("uploads left behind: %v, %v", left, err)
	}
}

func sum512(s string) []byte {
	sum := sha512.Sum512([]byte(s))
	return sum[:]
}

func TestManifest(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	r := repository(t, s, "team/app")
	manifest, layer := artifact(t, r, "content", "v1", "latest")
	for _, ref := range []string{"v1", "latest", manifest.Digest.String()} {
		desc, body, err := r.Manifest(t.Context(), ref)
		if err != nil || desc.Digest != manifest.Digest || digest.FromBytes(body) != manifest.Digest || desc.MediaType != ocispec.MediaTypeImageManifest {
			t.Errorf("%s: got %v, %v", ref, desc, err)
		}
	}
	for _, ref := range []string{"v2", digest.FromString("x").String()} {
		if _, _, err := r.Manifest(t.Context(), ref); !errors.Is(err, store.ErrManifestNotFound) || errors.Is(err, store.ErrBlobNotFound) {
			t.Errorf("%s: got %v", ref, err)
		}
	}
	if _, _, err := repository(t, s, "team/other").Manifest(t.Context(), manifest.Digest.String()); !errors.Is(err, store.ErrManifestNotFound) {
		t.Errorf("another repository has it too: %v", err)
	}
	next, _ := artifact(t, r, "newer", "latest")
	if desc, _, err := r.Manifest(t.Context(), "latest"); err != nil || desc.Digest != next.Digest {
		t.Errorf("latest did not move: %v, %v", desc, err)
	}

	if err := r.DeleteBlob(t.Context(), layer.Digest); !errors.Is(err, store.ErrInUse) {
		t.Errorf("delete of a blob in use: %v", err)
	}
	if err := r.DeleteTag(t.Context(), "latest"); err != nil {
		t.Error(err)
	}
	if err := r.DeleteManifest(t.Context(), manifest.Digest); err != nil {
		t.Error(err)
	}
	if tags, more, err := r.Tags(t.Context(), "", 10); err != nil || more || len(tags) > 0 {
		t.Errorf("tags left: %v, %v", tags, err)
	}
	if err := r.DeleteManifest(t.Context(), manifest.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("second delete: %v", err)
	}
	if err := r.DeleteBlob(t.Context(), layer.Digest); err != nil {
		t.Error(err)
	}
	if _, err := read(t, r, layer.Digest); !errors.Is(err, store.ErrBlobNotFound) {
		t.Errorf("deleted blob: %v", err)
	}
}

// twice repeats the first member of that name under another one.
func twice(body []byte, key, again string) []byte {
	_, rest, _ := strings.Cut(string(body), key+":")
	value := json.RawMessage{}
	if err := json.NewDecoder(strings.NewReader(rest)).Decode(&value); err != nil {
		panic(err)
	}
	return []byte(strings.Replace(string(body), key, again+":"+string(value)+","+key, 1))
}

func TestPutManifestRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	r := repository(t, s, "a")
	config, layer := push(t, r, "{}"), push(t, r, "layer")
	elsewhere := push(t, repository(t, s, "b"), "secret of b")
	child, _ := artifact(t, r, "child")
	larger := layer
	larger.Size++
	good := image(t, nil, config, layer)
	oci, list := ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex
	cases := map[string]struct {
		mediaType string
		body      []byte
		want      any
		reason    string
	}{
		"not pushed":        {oci, image(t, nil, config, ocispec.Descriptor{Digest: digest.FromString("x")}), new(*store.MissingBlobError), "would dangle"},
		"of another":        {oci, image(t, nil, config, elsewhere), new(*store.MissingBlobError), "would make it readable here"},
		"wrong size":        {oci, image(t, nil, config, larger), new(*store.MissingBlobError), "clients would refuse it"},
		"missing child":     {list, indexOf(t, ocispec.Descriptor{Digest: digest.FromString("x")}), new(*store.MissingBlobError), "would dangle"},
		"blob as child":     {list, indexOf(t, layer), new(*store.MissingBlobError), "is no manifest"},
		"manifest as layer": {oci, image(t, nil, config, child), new(*store.MissingBlobError), "is no blob"},
		"media type":        {"text/plain", good, new(*store.ManifestError), "not known"},
		"other media type":  {list, good, new(*store.ManifestError), "says otherwise"},
		"no JSON":           {oci, []byte("{"), new(*store.ManifestError), "not JSON"},
		"schema 1":          {oci, []byte(`{"schemaVersion":1}`), new(*store.ManifestError), "long gone"},
		"both":              {oci, []byte(`{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}`), new(*store.ManifestError), "an image to one and an index to another"},
		"index with layers": {list, []byte(`{"schemaVersion":2,"layers":[],"manifests":[]}`), new(*store.ManifestError), "an image to one and an index to another"},
		"no config":         {oci, []byte(`{"schemaVersion":2,"layers":[]}`), new(*store.ManifestError), "incomplete"},
		"no layers":         {oci, []byte(`{"schemaVersion":2,"config":{}}`), new(*store.ManifestError), "incomplete"},
		"no manifests":      {list, []byte(`{"schemaVersion":2}`), new(*store.ManifestError), "incomplete"},
		"bad digest":        {oci, image(t, nil, ocispec.Descriptor{Digest: "sha256:../../etc/passwd"}), new(*store.ManifestError), "no digest"},
		"bad subject":       {oci, image(t, &ocispec.Descriptor{Digest: "x"}, config), new(*store.ManifestError), "no digest"},
		"two layers":        {oci, twice(good, `"layers"`, `"Layers"`), new(*store.ManifestError), "which list counts is a matter of the client"},
		"two layers, equal": {oci, twice(good, `"layers"`, `"layers"`), new(*store.ManifestError), "which list counts is a matter of the client"},
		"long s":            {oci, twice(good, `"layers"`, `"layer\u017f"`), new(*store.ManifestError), "some clients take it for an s"},
		"capital layers":    {oci, bytes.Replace(good, []byte(`"layers"`), []byte(`"LAYERS"`), 1), new(*store.ManifestError), "no layers for clients that are exact"},
		"two digests":       {oci, twice(good, `"digest"`, `"Digest"`), new(*store.ManifestError), "names two blobs"},
		"two layer sizes":   {oci, []byte(strings.Replace(string(good), `"size":5`, `"size":5,"SIZE":6`, 1)), new(*store.ManifestError), "has two sizes"},
		"two child digests": {list, twice(indexOf(t, child), `"digest"`, `"digest"`), new(*store.ManifestError), "names two manifests"},
		"two platforms":     {list, []byte(strings.Replace(string(indexOf(t, child)), `"size"`, `"platform":{"os":"a","OS":"b"},"size"`, 1)), new(*store.ManifestError), "runs on two systems"},
		"two annotations":   {oci, []byte(strings.Replace(string(good), `"config"`, `"annotations":{"a":"1","a":"2"},"config"`, 1)), new(*store.ManifestError), "says two things"},
		"too large":         {oci, bytes.Repeat([]byte(" "), store.MaxManifestBytes+1), new(*store.ManifestError), "held in memory"},
	}
	for name, c := range cases {
		_, err := r.PutManifest(t.Context(), c.mediaType, c.body, "tag")
		if err == nil || !errors.As(err, c.want) {
			t.Errorf("%s: got %v (%s)", name, err, c.reason)
		}
	}
	if tags, _, err := r.Tags(t.Context(), "", 10); err != nil || len(tags) > 0 {
		t.Errorf("a refused manifest left a tag: %v, %v", tags, err)
	}
	var nameError *store.NameError
	if _, err := r.PutManifest(t.Context(), oci, good, "a+b"); !errors.As(err, &nameError) {
		t.Errorf("bad tag: %v", err)
	}
	var mismatch *store.DigestMismatchError
	if _, err := r.PutManifestAs(t.Context(), digest.FromString("x"), oci, good); !errors.As(err, &mismatch) {
		t.Errorf("wrong digest: %v", err)
	}
	for name, member := range map[string]string{
		"annotations of two cases": `"annotations":{"a":"1","A":"2"}`, "an extension": `"x":{"Digest":[{"size":1e999,"Size":{}}],"digest":null}`,
	} {
		body := bytes.Replace(good, []byte(`"config"`), []byte(member+`,"config"`), 1)
		if _, err := r.PutManifest(t.Context(), oci, body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	foreign := ocispec.Descriptor{MediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Digest: digest.FromString("x"), Size: 7}
	if _, err := r.PutManifest(t.Context(), oci, image(t, nil, config, foreign)); err != nil {
		t.Errorf("layer that is kept elsewhere: %v", err)
	}
	if desc, err := r.PutManifestAs(t.Context(), digest.SHA512.FromBytes(good), oci, good); err != nil || desc.Digest.Algorithm() != digest.SHA512 {
		t.Errorf("sha512: %v, %v", desc, err)
	}
}

func TestListings(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	r := repository(t, s, "b/app")
	subject, _ := artifact(t, r, "subject", "v2", "v10", "B", "a")
	config := push(t, r, "{}")
	var want []digest.Digest
	for i := range 5 {
		config.MediaType = fmt.Sprintf("application/vnd.example.%d", i%2)
		desc, err := r.PutManifest(t.Context(), ocispec.MediaTypeImageManifest, image(t, &subject, config, push(t, r, strconv.Itoa(i))))
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, desc.Digest)
	}
	var tags []string
	for last, more := "", true; more; {
		var some []string
		var err error
		if some, more, err = r.Tags(t.Context(), last, 3); err != nil {
			t.Fatal(err)
		}
		tags = append(tags, some...)
		last = some[len(some)-1]
	}
	if diff := cmp.Diff([]string{"B", "a", "v10", "v2"}, tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if _, _, err := repository(t, s, "nothing").Tags(t.Context(), "", 3); !errors.Is(err, store.ErrRepositoryNotFound) {
		t.Errorf("tags of nothing: %v", err)
	}
	got := map[digest.Digest]bool{}
	for last, more := digest.Digest(""), true; more; {
		var some []ocispec.Descriptor
		var err error
		if some, more, err = r.Referrers(t.Context(), subject.Digest, "", last, 2); err != nil {
			t.Fatal(err)
		}
		for _, d := range some {
			got[d.Digest], last = true, d.Digest
		}
	}
	for _, d := range want {
		if !got[d] {
			t.Errorf("referrer %s is not listed", d)
		}
	}
	if some, _, err := r.Referrers(t.Context(), subject.Digest, "application/vnd.example.0", "", 10); err != nil || len(some) != 3 {
		t.Errorf("by type: got %d, %v", len(some), err)
	}
	if err := r.DeleteManifest(t.Context(), want[0]); err != nil {
		t.Fatal(err)
	}
	if some, _, err := r.Referrers(t.Context(), subject.Digest, "", "", 10); err != nil || len(some) != 4 {
		t.Errorf("after a deletion: got %d, %v", len(some), err)
	}
	artifact(t, repository(t, s, "a"), "x")
	if names, more, err := s.Repositories(t.Context(), "", 1); err != nil || !more || names[0] != "a" {
		t.Errorf("got %v, %v, %v", names, more, err)
	}
	if names, more, err := s.Repositories(t.Context(), "a", 5); err != nil || more || cmp.Diff([]string{"b/app"}, names) != "" {
		t.Errorf("got %v, %v, %v", names, more, err)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	r := repository(t, s, "a")
	manifest, layer := artifact(t, r, "content", "v1")
	loose := push(t, r, "pushed, and the manifest comes after the restart")
	stats := s.Stats()
	if _, err := store.Open(dir, store.Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second store opened the directory: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Manifest(t.Context(), "v1"); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "uploads", "blob-1"), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, store.Options{})
	r = repository(t, s, "a")
	if desc, _, err := r.Manifest(t.Context(), "v1"); err != nil || desc.Digest != manifest.Digest {
		t.Errorf("got %v, %v", desc, err)
	}
	for _, d := range []ocispec.Descriptor{layer, loose} {
		if size, err := r.StatBlob(t.Context(), d.Digest); err != nil || size != d.Size {
			t.Errorf("%s: %d, %v", d.Digest, size, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(dir, "uploads")); err != nil || len(left) > 0 {
		t.Errorf("uploads left behind: %v, %v", left, err)
	}
	if got := s.Stats(); got != stats {
		t.Errorf("got %+v, had %+v", got, stats)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), &clock{}
	s := open(t, dir, store.Options{Now: c.Now})
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("sound store: %v", err)
	}
	uploads := filepath.Join(dir, "uploads")
	if err := errors.Join(os.RemoveAll(uploads), os.WriteFile(uploads, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("the verdict of a moment ago: %v", err)
	}
	c.Advance(time.Minute)
	if err := s.Check(t.Context()); err == nil {
		t.Error("a store that can't be written is called sound")
	}
}

func TestDamageIsNoAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	r := repository(t, s, "a")
	manifest, layer := artifact(t, r, "content")
	path := filepath.Join(dir, "blobs", "sha256", layer.Digest.Encoded()[:2], layer.Digest.Encoded())
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	_, body, err := r.Manifest(t.Context(), manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	var missing *store.MissingBlobError
	if _, err := r.PutManifest(t.Context(), manifest.MediaType, body, "v2"); !errors.As(err, &missing) {
		t.Errorf("a manifest over a cut blob: %v", err)
	}
	push(t, r, "content")
	if got, err := read(t, r, layer.Digest); err != nil || got != "content" {
		t.Errorf("pushing again did not repair the blob: %q, %v", got, err)
	}
	// A collection corrects the totals, which knew nothing of the cut.
	collect(t, s)
	if got := s.Stats(); got.Blobs != 2 || got.Bytes != int64(len("content"+"{}")) {
		t.Errorf("got %+v", got)
	}
}
