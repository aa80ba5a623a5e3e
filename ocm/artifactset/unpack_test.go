package artifactset_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/ocm-operator/ocm-operator/ocm/artifactset"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
	"github.com/ocm-operator/ocm-operator/ocm/ocmtest"
)

func unpack(t testing.TB, data []byte, l artifactset.Limits) (*artifactset.Unpacked, error) {
	t.Helper()
	o := &opener{data: data}
	u, err := artifactset.Unpack(t.Context(), o.get, artifactset.UnpackOptions{Limits: l, TempDir: t.TempDir()})
	if o.opens > 1 || o.open != 0 {
		t.Errorf("the archive was opened %d times, %d are open", o.opens, o.open)
	}
	return u, err
}

// TestUnpack reads either flavour in one pass, wherever its index is.
func TestUnpack(t *testing.T) {
	t.Parallel()
	for name, archive := range map[string]ocmtest.Archive{
		"set": {}, "old set": {Descriptor: true}, "layout": {Folders: true, Plain: true, NoMain: true},
		"index last": {Reverse: true}, "with dots": {Prefix: "./"},
	} {
		u, err := unpack(t, chart(t, archive), artifactset.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tree, err := oci.TreeOf(t.Context(), u, u.Main, oci.TreeLimits{})
		if err != nil || len(tree.Manifests) != 1 || len(tree.Blobs) != 2 {
			t.Fatalf("%s: %+v, %v", name, tree, err)
		}
		layer := tree.Blobs[1]
		for range 2 { // in any order, as often as one likes
			rc, size, err := u.Blob(t.Context(), layer.Digest, layer.Size)
			if err != nil || size != layer.Size {
				t.Fatalf("%s: %d bytes, %v", name, size, err)
			}
			if got, err := io.ReadAll(rc); string(got) != "chart" || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		if has, err := u.Has(t.Context(), layer); !has || err != nil {
			t.Errorf("%s: Has = %t, %v", name, has, err)
		}
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestUnpackedLacks asks for what is not there, and stores nothing.
func TestUnpackedLacks(t *testing.T) {
	t.Parallel()
	u, err := unpack(t, chart(t, ocmtest.Archive{}), artifactset.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	image, err := u.Main.Image()
	if err != nil {
		t.Fatal(err)
	}
	layer := image.Layers[0]
	if has, err := u.HasManifest(t.Context(), digest.FromString("x")); has || err != nil {
		t.Errorf("HasManifest = %t, %v", has, err)
	}
	if _, _, err := u.Blob(t.Context(), layer.Digest, layer.Size+1); !errors.As(err, new(*oci.DigestMismatchError)) {
		t.Errorf("other size: %v", err)
	}
	if _, _, err := u.Blob(t.Context(), digest.FromString("x"), 1); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("no such blob: %v", err)
	}
	if _, err := u.Manifest(t.Context(), "none"); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("no such tag: %v", err)
	}
	_, err = u.PushManifest(t.Context(), "", nil, "x")
	if !errors.Is(err, oci.ErrReadOnly) || !errors.Is(u.PushBlob(t.Context(), layer, nil), oci.ErrReadOnly) {
		t.Errorf("something was stored: %v", err)
	}
}

// TestUnpackRefused refuses what is broken or hostile, and leaves nothing behind.
func TestUnpackRefused(t *testing.T) {
	t.Parallel()
	some := digest.FromString("x").String()
	blob := "blobs/" + strings.Replace(some, ":", ".", 1)
	good := chart(t, ocmtest.Archive{Plain: true})
	for name, tc := range map[string]struct {
		data   []byte
		limits artifactset.Limits
		is     error
		says   string
	}{
		"empty":            {data: nil},
		"no index":         {data: archiveOf(t, ocmtest.File{Name: blob, Content: []byte("x")}), says: "holds no OCI artifact"},
		"no manifest":      {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}), is: oci.ErrNotFound},
		"other manifest":   {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: blob, Content: []byte("y")}), says: "its digest promises"},
		"two indexes":      {data: archiveOf(t, ocmtest.File{Name: "index.json", Content: index("", some)}, ocmtest.File{Name: "index.json"}), says: "more than one index"},
		"leads out":        {data: archiveOf(t, ocmtest.File{Name: "../index.json"}), says: "leads out"},
		"cut off":          {data: good[:len(good)/2+100]},
		"too many entries": {data: good, limits: artifactset.Limits{Entries: 2}, is: oci.ErrTooLarge},
		"too many bytes":   {data: good, limits: artifactset.Limits{Bytes: 1000}, is: oci.ErrTooLarge},
		"sparse file":      {data: sparse(t, blob, 1<<40), says: "sparse file"},
		"large manifest":   {data: good, limits: artifactset.Limits{ManifestBytes: 9}, is: oci.ErrTooLarge},
	} {
		dir := t.TempDir()
		o := &opener{data: tc.data}
		_, err := artifactset.Unpack(t.Context(), o.get, artifactset.UnpackOptions{Limits: tc.limits, TempDir: dir})
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, tc.is, tc.says)
		}
		left, err := os.ReadDir(dir)
		if err != nil || len(left) > 0 || o.open != 0 {
			t.Errorf("%s: left %v, %v; %d are open", name, left, err, o.open)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := artifactset.Unpack(ctx, (&opener{data: good}).get, artifactset.UnpackOptions{TempDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// sparse returns an archive with a file of so many bytes that are left out, as GNU tar
// writes it.
func sparse(t testing.TB, name string, size int64) []byte {
	t.Helper()
	const writable = "XYZ.sparse." // the writer leaves the real name to itself
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Format: tar.FormatPAX, PAXRecords: map[string]string{
		writable + "name": name, writable + "size": strconv.FormatInt(size, 10), writable + "numblocks": "1", writable + "map": fmt.Sprintf("%d,0", size),
	}})
	if err := errors.Join(err, tw.Close()); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(buf.Bytes(), []byte(writable), []byte("GNU.sparse."))
}

// TestEndless gives up on an archive that does not end.
func TestEndless(t *testing.T) {
	t.Parallel()
	good := chart(t, ocmtest.Archive{})
	for name, start := range map[string][]byte{"zeros": nil, "after the archive": good, "after an archive that is not packed": chart(t, ocmtest.Archive{Plain: true})} {
		read := int64(0)
		open := func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(start), readerFunc(func(p []byte) (int, error) {
				clear(p)
				read += int64(len(p))
				return len(p), nil
			}))), nil
		}
		u, err := artifactset.Unpack(t.Context(), open, artifactset.UnpackOptions{Limits: artifactset.Limits{Bytes: 1 << 20}, TempDir: t.TempDir()})
		if err == nil {
			u.Close()
			t.Errorf("%s: it was read", name)
		}
		if read > 2<<20 {
			t.Errorf("%s: %d bytes were read: %v", name, read, err)
		}
	}
}

// TestUnpackStops reads nothing more of an archive once nobody wants it.
func TestUnpackStops(t *testing.T) {
	t.Parallel()
	data := archiveOf(t, ocmtest.File{Name: "blobs/" + strings.Replace(digest.FromString("x").String(), ":", ".", 1), Content: make([]byte, 8<<20)})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	archive := bytes.NewReader(data)
	open := func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(readerFunc(func(p []byte) (int, error) {
			if archive.Len() < len(data)/2 {
				cancel()
			}
			return archive.Read(p)
		})), nil
	}
	if _, err := artifactset.Unpack(ctx, open, artifactset.UnpackOptions{TempDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("Unpack = %v", err)
	}
	if archive.Len() < len(data)/4 {
		t.Errorf("%d of %d bytes were not read", archive.Len(), len(data))
	}
}

// readerFunc is a reader.
type readerFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestWrite writes what every reader of ours reads, equal for equal artifacts.
func TestWrite(t *testing.T) {
	t.Parallel()
	u, err := unpack(t, chart(t, ocmtest.Archive{}), artifactset.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	tree, err := oci.TreeOf(t.Context(), u, u.Main, oci.TreeLimits{})
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := artifactset.Write(t.Context(), w, tree, u, "1.0.0", "latest"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("equal artifacts give different archives")
	}
	checkWritten(t, first.Bytes(), u.Main)
	tree.Blobs = append(tree.Blobs, ocispec.Descriptor{Digest: digest.FromString("none"), Size: 1})
	if err := artifactset.Write(t.Context(), io.Discard, tree, u); !errors.Is(err, oci.ErrNotFound) {
		t.Errorf("a blob that is missing: %v", err)
	}
}

// checkWritten reads the set that was written of an artifact, in both ways.
func checkWritten(t *testing.T, data []byte, main *oci.Manifest) {
	t.Helper()
	if got, err := readLayer(t.Context(), &opener{data: data}, artifactset.Limits{}); got != "chart" || err != nil {
		t.Errorf("content = %q, %v", got, err)
	}
	again, err := unpack(t, data, artifactset.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	tags, err := again.Tags(t.Context())
	if err != nil || !slices.Equal(tags, []string{"1.0.0", "latest"}) {
		t.Errorf("tags = %v, %v", tags, err)
	}
	m, err := again.Manifest(t.Context(), "latest")
	if err != nil || !bytes.Equal(m.Bytes, main.Bytes) || m.Digest != main.Digest {
		t.Fatalf("manifest = %+v, %v", m, err)
	}
	if got := artifactset.MediaTypeOf(m); got != "application/vnd.oci.image.manifest.v1+tar+gzip" {
		t.Errorf("media type %s", got)
	}
}

// FuzzUnpack unpacks anything.
func FuzzUnpack(f *testing.F) {
	for _, a := range []ocmtest.Archive{{}, {Plain: true}, {Descriptor: true, Plain: true}, {Folders: true, Plain: true, Reverse: true}} {
		f.Add(chart(f, a))
	}
	f.Add([]byte{0x1f, 0x8b})
	f.Add(sparse(f, "index.json", 1<<40))
	limits := artifactset.Limits{Entries: 16, Bytes: 1 << 20, ManifestBytes: 64 << 10}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := unpack(t, data, limits)
		if err != nil {
			return
		}
		defer u.Close()
		tree, err := oci.TreeOf(t.Context(), u, u.Main, oci.TreeLimits{Manifests: 16, ManifestBytes: 1 << 20})
		if err != nil {
			return
		}
		for _, b := range tree.Blobs {
			rc, _, err := u.Blob(t.Context(), b.Digest, b.Size)
			if err != nil {
				continue
			}
			if got, err := io.ReadAll(rc); err == nil && b.Digest.Algorithm().FromBytes(got) != b.Digest {
				t.Errorf("%s has other content", b.Digest)
			}
		}
	})
}
